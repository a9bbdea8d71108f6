"""Adapters of models to TFF: of Keras, functional, and with variables of their own.

An adapter makes of a scenario's model what the two executions and the evaluation need, so that
these do not ask what kind of model it is.
"""
