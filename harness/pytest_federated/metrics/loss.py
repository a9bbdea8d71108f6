"""Loss on the test set."""

from __future__ import annotations

from typing import Optional

from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.scales import Margin
from pytest_federated.metrics.validation import BestBy, chosen_round, needs_validation
from pytest_federated.training.history import TrainingHistory


@metrics(
    "loss",
    title="loss",
    unit="nats",
    scale="loss",
    direction="lower",
    margin=Margin(relative=0.02),
    needs=needs_validation,
    is_in_every_baseline=True,
    column=30,
)
def loss(history: TrainingHistory, *, best_by: BestBy = None) -> float:
    """Test loss after the last round: cross entropy (nats), or squared error of numbers.

    With `training.loss` it is that loss, always without class weights. For clusters, it is the
    squared distance. With `best_by: validation` it is that of another round, as for
    `best_accuracy`.
    """
    final = chosen_round(history).loss if best_by else _last(history)
    if final is None:
        raise NoValue("not evaluated")
    return final


def _last(history: TrainingHistory) -> Optional[float]:
    return history.evaluated[-1].loss if history.evaluated else None
