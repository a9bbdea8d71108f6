"""The forms in which TFF takes models: Keras, functional, and with variables of their own.

A form makes of a scenario's model what the two executions and the evaluation need, so that these
do not ask what kind of model it is.
"""
