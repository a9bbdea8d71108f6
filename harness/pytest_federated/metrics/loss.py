"""Loss on the test set."""

from __future__ import annotations

from pytest_federated.metrics.last_rounds import OverLast, last_or_mean
from pytest_federated.metrics.metric import metrics
from pytest_federated.metrics.scales import Margin
from pytest_federated.metrics.validation import BestBy, chosen_round, set_that_chooses
from pytest_federated.training.history import TrainingHistory


@metrics(
    "loss",
    title="loss",
    unit="nats",
    scale="loss",
    direction="lower",
    margin=Margin(relative=0.02),
    needs=set_that_chooses,
    is_in_every_baseline=True,
    column=30,
)
def loss(history: TrainingHistory, *, best_by: BestBy = None, over_last: OverLast = None) -> float:
    """Test loss after the last round: cross entropy (nats), or squared error of numbers.

    With `training.loss` it is that loss, always without class weights. For clusters, it is the
    squared distance. With `best_by: validation` it is that of another round, as for
    `best_accuracy`; with `over_last: 10` the mean over the last ten rounds.
    """
    rounds = (chosen_round(history),) if best_by else history.rounds
    return last_or_mean(rounds, lambda r: r.loss, over_last, "not evaluated")
