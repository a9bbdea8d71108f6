"""Differential privacy."""

from __future__ import annotations

from typing import Annotated, Optional

from pydantic import Field

from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.training.history import TrainingHistory


@metrics(
    "epsilon",
    title="epsilon",
    scale="positive",
    direction="lower",
    bounds=("at_most", "between"),
    column=100,
)
def epsilon(
    history: TrainingHistory, *, delta: Optional[Annotated[float, Field(gt=0, lt=1)]] = None
) -> float:
    """Epsilon of the differential privacy that the whole training gives.

    With `delta`, a training whose epsilon is for a larger one fails the expectation.
    """
    if history.epsilon is None:
        raise NoValue("no differential privacy")
    if delta is not None and (history.delta is None or history.delta > delta):
        raise NoValue(f"delta is {history.delta}, more than {delta:g},")
    return history.epsilon
