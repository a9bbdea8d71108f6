"""Speed of convergence, in rounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.checks.base import NoFigure, Share, expectation
from harness.training.history import TrainingHistory


@expectation(
    "rounds_to_accuracy",
    Annotated[int, Field(ge=1)],
    bounds=("at_most", "between"),
    phrase="{target:g} by round {at_most}",
)
def rounds_to_accuracy(history: TrainingHistory, *, target: Share) -> float:
    """The first evaluated round with test accuracy of `target`.

    A seed that never gets there fails the expectation. The measure is that of McMahan et al.,
    AISTATS 2017, table 2 ("rounds to reach a target accuracy").
    """
    for done in history.evaluated:
        if (done.accuracy or 0.0) >= target:
            return done.round
    raise NoFigure("not reached")
