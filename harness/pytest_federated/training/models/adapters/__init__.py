"""Adapters of models to TFF: of Keras models, FunctionalModels and VariableModels.

An adapter gives the two kinds of execution and the evaluation what they need of a scenario's
model, so that these need not ask what kind of model it is.
"""
