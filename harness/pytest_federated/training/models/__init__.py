"""Models by name: each function builds a fresh, uncompiled Keras 2 model, or one of TFF's.

A model function takes the `Shape` of the data and its keys from the scenario file. Its
``outputs`` key says whether a Keras model ends in logits or in probabilities.
"""
