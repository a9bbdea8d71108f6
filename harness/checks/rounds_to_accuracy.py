"""Speed of convergence, in rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from harness.checks.base import Share, checks
from harness.checks.base import at_most as _at_most
from harness.results.record import Verdict
from harness.training.history import TrainingHistory


@checks("rounds_to_accuracy")
def rounds_to_accuracy(
    histories: Sequence[TrainingHistory], *, target: Share, at_most: Annotated[int, Field(ge=1)]
) -> Verdict:
    """The first evaluated round with test accuracy of `target`, mean over seeds, is at most this.

    A seed that never gets there fails the check. The measure is that of McMahan et al.,
    AISTATS 2017, table 2 ("rounds to reach a target accuracy").
    """
    reached = [
        next((r.round for r in h.evaluated if (r.accuracy or 0.0) >= target), None)
        for h in histories
    ]
    missed = reached.count(None)
    expected = f"{target:g} by round {at_most}"
    if missed:
        return Verdict(
            expectation="rounds_to_accuracy",
            expected=expected,
            passed=False,
            note=f"not reached by {missed} of {len(reached)} seed(s)",
        )
    return _at_most("rounds_to_accuracy", [r for r in reached if r is not None], at_most, expected)
