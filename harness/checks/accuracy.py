"""Final accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from harness.checks.base import Share, checks
from harness.checks.base import at_least as _at_least
from harness.results.record import Verdict
from harness.training.history import TrainingHistory


@checks("accuracy")
def accuracy(histories: Sequence[TrainingHistory], *, at_least: Share) -> Verdict:
    """Test accuracy after the last round, mean over seeds, is at least this share (0 to 1)."""
    return _at_least("accuracy", [h.evaluated[-1].accuracy or 0.0 for h in histories], at_least)
