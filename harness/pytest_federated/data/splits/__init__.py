"""Splits by name: each says which client holds each example.

A split is a pure function of a `Pool`, a random generator and its keys from the scenario
file; it returns the client of each example, int (n,). What all splits share (drawing again,
minimum sizes, checking the result) is in `assign`.
"""
