"""Speed of convergence, in rounds and in bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pytest_federated.data.datasets.dataset import LABELED
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.resolution import EVALUATED_BYTES, EVALUATED_ROUND, bytes_of
from pytest_federated.metrics.scales import Share
from pytest_federated.training.history import Round, TrainingHistory


def _rounds_so_far(rounds: Sequence[Round], target: float) -> tuple[float, float]:
    """The round, once the target was reached; any later one before."""
    for done in rounds:
        if done.accuracy is not None and done.accuracy >= target:
            return done.round, done.round
    return (rounds[-1].round if rounds else 0) + 1, math.inf


@metrics(
    "rounds_to_accuracy",
    title="rounds to accuracy",
    tasks=LABELED,
    unit="rounds",
    scale="positive count",
    direction="lower",
    resolution=EVALUATED_ROUND,
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


@metrics(
    "bytes_to_accuracy",
    title="bytes to accuracy",
    tasks=LABELED,
    unit="bytes",
    scale="positive count",
    direction="lower",
    resolution=EVALUATED_BYTES,
    bounds=("at_most", "between"),
    phrase="{target:g} within {at_most} bytes ({direction})",
)
def bytes_to_accuracy(
    history: TrainingHistory, *, target: Share, direction: Literal["both", "up", "down"] = "both"
) -> float:
    """Bytes that server and clients exchange until test accuracy is `target`.

    `up` counts what clients send, `down` what the server sends to them, all clients together.
    """
    total = 0
    for done in history.rounds[: _reached(history, target).round]:
        sent = bytes_of(done, direction)
        if sent is None:
            raise NoValue("bytes not measured")
        total += sent
    return total


def _reached(history: TrainingHistory, target: float) -> Round:
    """The first evaluated round with that accuracy."""
    for done in history.evaluated:
        if (done.accuracy or 0.0) >= target:
            return done
    raise NoValue("not reached")
