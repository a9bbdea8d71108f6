"""Speed of convergence, in rounds and in bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from pytest_federated.expectations.judging import NoFigure, Share, expectation
from pytest_federated.training.history import Round, TrainingHistory

_NOT_REACHED = "not reached"


def _rounds_so_far(rounds: Sequence[Round], target: float) -> tuple[float, float]:
    """The round, once the target was reached; any later one before."""
    for done in rounds:
        if done.accuracy is not None and done.accuracy >= target:
            return done.round, done.round
    return (rounds[-1].round if rounds else 0) + 1, math.inf


@expectation(
    "rounds_to_accuracy",
    Annotated[int, Field(ge=1)],
    bounds=("at_most", "between"),
    phrase="{target:g} by round {at_most}",
    so_far=_rounds_so_far,
)
def rounds_to_accuracy(history: TrainingHistory, *, target: Share) -> float:
    """The first evaluated round with test accuracy of `target`.

    A seed that never gets there fails the expectation. The measure is that of McMahan et al.,
    AISTATS 2017, table 2 ("rounds to reach a target accuracy").
    """
    return _reached(history, target).round


@expectation(
    "bytes_to_accuracy",
    Annotated[int, Field(ge=1)],
    bounds=("at_most", "between"),
    phrase="{target:g} within {at_most} bytes ({direction})",
)
def bytes_to_accuracy(
    history: TrainingHistory, *, target: Share, direction: Literal["both", "up", "down"] = "both"
) -> float:
    """Bytes that server and clients exchange until test accuracy is `target`.

    `up` counts what clients send, `down` what the server sends to them, all clients together.
    """
    last = _reached(history, target).round
    sent = 0
    for done in history.rounds[:last]:
        up = 0 if direction == "down" else done.bytes_up
        down = 0 if direction == "up" else done.bytes_down
        if up is None or down is None:
            raise NoFigure("bytes not measured")
        sent += up + down
    return sent


def _reached(history: TrainingHistory, target: float) -> Round:
    for done in history.evaluated:
        if (done.accuracy or 0.0) >= target:
            return done
    raise NoFigure(_NOT_REACHED)
