"""What examples ask of a model: a label, a label for each position, or tags.

A task says what a model's outputs look like, what their loss is, and what counts as right. Packed
and standard execution and evaluation all take these from here.
"""
