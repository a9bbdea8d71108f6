"""How the final model serves clients that never trained."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_federated.data.datasets.dataset import LABELED
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.resolution import UNSEEN_CLIENT_EXAMPLE
from pytest_federated.training.history import TrainingHistory


def _accuracies(history: TrainingHistory, keys: Mapping[str, Any]) -> Sequence[float]:
    return history.unseen_accuracy


@metrics(
    "unseen_client_accuracy",
    title="unseen clients",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=UNSEEN_CLIENT_EXAMPLE,
    accuracies=_accuracies,
    of_unseen=True,
    column=55,
    is_optional=True,
)
def unseen_client_accuracy(history: TrainingHistory) -> float:
    """Accuracy of the final model on each client that never trains (0 to 1), mean over clients.

    These are the share `clients.unseen` of the clients, and those with test examples only. Where
    the other clients are tested on examples that they hold out, `client_accuracy` less this is the
    participation gap of Yuan et al., "What Do We Mean by Generalization in Federated Learning?",
    ICLR 2022, arXiv:2110.14216.
    """
    if not history.unseen_accuracy:
        raise NoValue("accuracy of unseen clients not measured")
    return statistics.fmean(history.unseen_accuracy)
