"""Expectations by name: each judges the histories of a run, whoever made them.

A check takes the histories, one for each seed, and its keys from the scenario file, and
returns a `Verdict`. Most are made by `expectation` of a function that gives one training's figure.
"""

from harness.checks.accuracy import accuracy, accuracy_area, accuracy_drop, best_accuracy
from harness.checks.base import (
    POLICIES,
    Bounds,
    NoFigure,
    Policy,
    Reference,
    checks,
    compare,
    expectation,
    judge,
    references,
)
from harness.checks.convergence import bytes_to_accuracy, rounds_to_accuracy
from harness.checks.custom import custom
from harness.checks.early import certain
from harness.checks.fairness import (
    class_recall,
    client_accuracy,
    client_accuracy_deviation,
    worst_client_accuracy,
    worst_tenth_accuracy,
)
from harness.checks.gaps import gain_over_local, gap, gap_to_centralised
from harness.checks.loss import loss
from harness.checks.privacy import epsilon
from harness.checks.regression import FALSE_ALARMS, compare_with_baseline
from harness.checks.speed import seconds_per_round

__all__ = [
    "FALSE_ALARMS",
    "POLICIES",
    "Bounds",
    "NoFigure",
    "Policy",
    "Reference",
    "accuracy",
    "accuracy_area",
    "accuracy_drop",
    "best_accuracy",
    "bytes_to_accuracy",
    "certain",
    "checks",
    "class_recall",
    "client_accuracy",
    "client_accuracy_deviation",
    "compare",
    "compare_with_baseline",
    "custom",
    "epsilon",
    "expectation",
    "gain_over_local",
    "gap",
    "gap_to_centralised",
    "judge",
    "loss",
    "references",
    "rounds_to_accuracy",
    "seconds_per_round",
    "worst_client_accuracy",
    "worst_tenth_accuracy",
]
