"""Expectations by name: each judges the histories of a run, whoever made them.

A check takes the histories, one for each seed, and its keys from the scenario file, and
returns a `Verdict`. Most are made by `expectation` of a function that gives one training's figure.
"""

from harness.checks.accuracy import accuracy
from harness.checks.base import (
    POLICIES,
    Bounds,
    NoFigure,
    Policy,
    checks,
    compare,
    expectation,
    judge,
)
from harness.checks.loss import loss
from harness.checks.rounds_to_accuracy import rounds_to_accuracy

__all__ = [
    "POLICIES",
    "Bounds",
    "NoFigure",
    "Policy",
    "accuracy",
    "checks",
    "compare",
    "expectation",
    "judge",
    "loss",
    "rounds_to_accuracy",
]
