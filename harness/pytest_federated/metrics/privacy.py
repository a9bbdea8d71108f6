"""Differential privacy."""

from __future__ import annotations

from typing import Annotated, Any, Optional

from pydantic import Field

from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.needs import Lack, Measured
from pytest_federated.training.history import TrainingHistory
from pytest_federated.training.privacy import no_epsilon


def _guarantee(keys: Any, scenario: Measured) -> Optional[Lack]:
    aggregator = scenario.training.aggregator
    if reason := no_epsilon(aggregator, scenario.clients.participation):
        return Lack(f"has no value, as no epsilon can be promised: {reason}")
    promised: float = aggregator.delta  # type: ignore[attr-defined]  # see the trait `private`
    if keys.delta is not None and keys.delta < promised:
        why = f"is for a delta of at most {keys.delta:g}"
        return Lack(why, "training.aggregator", f"got a delta of {promised:g}")
    return None


@metrics(
    "epsilon",
    title="epsilon",
    scale="positive",
    direction="lower",
    bounds=("at_most", "between"),
    column=100,
    needs=_guarantee,
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
