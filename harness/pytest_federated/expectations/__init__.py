"""Expectations by name: each judges the histories of a run, whoever made them.

A check takes the histories, one for each seed, and its keys from the scenario file, and
returns a `Verdict`. Most are made by `expectation` of a function that gives one training's figure.
"""
