"""What server and clients send, and who does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.resolution import Resolution, Step, bytes_of
from pytest_federated.training.history import TrainingHistory

_MEGABYTE = 1e6


@metrics("dropped_clients", title="dropped clients", scale="count", column=70)
def dropped_clients(history: TrainingHistory) -> float:
    """Number of clients that were drawn for a round but dropped out, in all rounds together."""
    return sum(done.dropped for done in history.rounds)


def _one_round(direction: str) -> Resolution:
    def step(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
        sent = [n for n in (bytes_of(done, direction) for done in history.rounds) if n]
        return Step(min(sent) / _MEGABYTE if sent else 0.0)

    return Resolution("bytes of one round", step)


@metrics(
    "megabytes_down",
    title="MB down",
    unit="MB",
    scale="not negative",
    direction="lower",
    resolution=_one_round("down"),
    column=80,
)
def megabytes_down(history: TrainingHistory) -> float:
    """Megabytes that the server sends, all clients and rounds together."""
    return _megabytes(history, "down")


@metrics(
    "megabytes_up",
    title="MB up",
    unit="MB",
    scale="not negative",
    direction="lower",
    resolution=_one_round("up"),
    column=90,
)
def megabytes_up(history: TrainingHistory) -> float:
    """Megabytes that the clients send, after compression, all clients and rounds together."""
    return _megabytes(history, "up")


def _megabytes(history: TrainingHistory, direction: str) -> float:
    sent = [bytes_of(done, direction) for done in history.rounds]
    known = [n for n in sent if n is not None]
    if not known:
        raise NoValue("bytes not measured")
    return sum(known) / _MEGABYTE
