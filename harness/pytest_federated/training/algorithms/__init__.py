"""Algorithms by name.

An algorithm's function takes `AlgorithmInputs` and its keys of the scenario file, and returns an
`Algorithm`. `engine.standard.TffAlgorithm` makes one of a TFF learning process.
"""
