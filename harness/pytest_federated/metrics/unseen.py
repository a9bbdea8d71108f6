"""How the final model serves clients that never trained."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from pytest_federated.data.datasets.dataset import LABELED, has_test_set
from pytest_federated.data.splits.partition import splits
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.needs import Lack, Measured, shared_model
from pytest_federated.metrics.resolution import UNSEEN_CLIENT_EXAMPLE
from pytest_federated.training.history import TrainingHistory


def _accuracies(history: TrainingHistory, keys: Mapping[str, Any]) -> Sequence[float]:
    return history.unseen_accuracy


def _unseen_clients(keys: Any, scenario: Measured) -> Optional[Lack]:
    """Clients that never train: a share of all, or clients that only a test set has."""
    clients, settings = scenario.clients, scenario.data.dataset.model_dump()
    may_be_tested_only = has_test_set(settings) and splits.entry(clients.split).spec.natural
    if clients.unseen is None and not may_be_tested_only:
        return Lack("is measured on clients that never train", "clients.unseen")
    return shared_model(keys, scenario)


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
    needs=_unseen_clients,
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
