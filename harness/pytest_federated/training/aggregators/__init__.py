"""Aggregators by name: what the server makes of its clients' changes of the model.

An aggregator function takes the number of clients that a round is expected to have, and its keys
from the scenario file. It returns a factory of `tff.aggregators`, or None for the plain mean.
"""
