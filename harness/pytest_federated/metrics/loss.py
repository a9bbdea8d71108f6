"""Loss on the test set."""

from __future__ import annotations

from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.scales import Margin
from pytest_federated.training.history import TrainingHistory


@metrics(
    "loss",
    title="loss",
    unit="nats",
    scale="positive",
    direction="lower",
    margin=Margin(relative=0.02),
    is_in_every_baseline=True,
    column=30,
)
def loss(history: TrainingHistory) -> float:
    """Test loss after the last round: cross entropy (nats), or squared error of numbers.

    With `training.loss` it is that loss, always without class weights. For clusters, it is the
    squared distance.
    """
    final = history.evaluated[-1].loss if history.evaluated else None
    if final is None:
        raise NoValue("not evaluated")
    return final
