"""Expectations by name: each judges the histories of a run, whoever made them.

A check takes the histories, one for each seed, and its keys from the scenario file, and
returns a `Verdict`.
"""

from harness.checks.accuracy import accuracy
from harness.checks.base import checks, judge
from harness.checks.loss import loss
from harness.checks.rounds_to_accuracy import rounds_to_accuracy

__all__ = ["accuracy", "checks", "judge", "loss", "rounds_to_accuracy"]
