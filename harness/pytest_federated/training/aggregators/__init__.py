"""Aggregators by name: how the server combines its clients' changes of the model.

An aggregator function takes the expected number of clients of a round, and its keys from the
scenario file. It returns a factory of `tff.aggregators`, or None for the plain mean.
"""
