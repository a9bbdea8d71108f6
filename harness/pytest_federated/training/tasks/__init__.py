"""What a model has to predict: a label, a label for each position, or tags.

A task defines the shape of a model's outputs, their loss, and what counts as right, for packed and
standard execution and for evaluation.
"""
