"""Expectations: what a scenario demands of its trainings, and whether they meet it.

`expectation` is the registry, `bounds` what can be demanded of a metric, `judging` the verdicts;
`baselines` and `regression` compare with an earlier run, `calibrating` proposes bounds, and
`ending_early` says what is certain before the end. All of them read a metric's definition.
"""
