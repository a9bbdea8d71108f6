"""Accuracy on the test set."""

from __future__ import annotations

from harness.checks.base import Share, expectation
from harness.training.history import TrainingHistory


@expectation("accuracy", Share)
def accuracy(history: TrainingHistory) -> float:
    """Test accuracy after the last round (0 to 1)."""
    return history.evaluated[-1].accuracy or 0.0
