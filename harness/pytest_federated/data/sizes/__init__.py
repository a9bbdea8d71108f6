"""Quantity skew by name: how many examples each client gets, whatever their labels.

A function of sizes takes the number of clients, the number of training examples, a random
generator and its keys from the scenario file, and returns how the clients compare: positive
numbers (clients,), of which `draw` makes whole sizes that use every example.
"""
