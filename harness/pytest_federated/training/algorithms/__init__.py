"""Algorithms by name: each builds a TFF learning process.

An algorithm function takes `AlgorithmInputs` and its keys from the scenario file, and returns a
`LearningProcess`: TFF's, or one like it. Those whose clients keep something between rounds return
an `StatefulAlgorithm`.
"""
