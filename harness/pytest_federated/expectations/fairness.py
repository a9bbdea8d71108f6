"""How the final model serves the clients, each by itself, and each label."""

from __future__ import annotations

import math
import statistics
from typing import Annotated, Optional

from pydantic import Field

from pytest_federated.expectations.judging import NoFigure, Number, Share, expectation
from pytest_federated.training.history import TrainingHistory


@expectation("client_accuracy", Share)
def client_accuracy(history: TrainingHistory, *, personalized: bool = False) -> float:
    """Accuracy of each client on its own examples (0 to 1), mean over clients.

    With `personalized`, after each client has fine-tuned the model; so for all expectations here.
    """
    return statistics.fmean(_of_clients(history, personalized))


@expectation("worst_client_accuracy", Share)
def worst_client_accuracy(history: TrainingHistory, *, personalized: bool = False) -> float:
    """Accuracy of the client that is served worst, on its own examples."""
    return min(_of_clients(history, personalized))


@expectation("worst_tenth_accuracy", Share)
def worst_tenth_accuracy(history: TrainingHistory, *, personalized: bool = False) -> float:
    """Accuracy of the tenth of the clients that is served worst, mean over them, one at least.

    The measure is that of Li et al., "Fair Resource Allocation in Federated Learning", ICLR 2020,
    table 1 ("worst 10 %").
    """
    found = sorted(_of_clients(history, personalized))
    return statistics.fmean(found[: math.ceil(len(found) / 10)])


@expectation("client_accuracy_deviation", Annotated[Number, Field(ge=0)])
def client_accuracy_deviation(history: TrainingHistory, *, personalized: bool = False) -> float:
    """Standard deviation of accuracy over all clients: 0 is the fairest.

    Its square is the variance in the definition of fairness by Li et al., ICLR 2020, definition 1.
    """
    return statistics.pstdev(_of_clients(history, personalized))


@expectation("class_recall", Share)
def class_recall(
    history: TrainingHistory, *, label: Optional[Annotated[int, Field(ge=0)]] = None
) -> float:
    """Share of the test examples of a label that are classified correctly; of the worst label
    where none is named.
    """
    known = {n: share for n, share in enumerate(history.class_recall) if share is not None}
    if not known:
        raise NoFigure("recall not measured")
    if label is None:
        return min(known.values())
    if label not in known:
        raise NoFigure(f"label {label} not in the test set")
    return known[label]


def _of_clients(history: TrainingHistory, personalized: bool) -> tuple[float, ...]:
    if personalized:
        if not history.personalized_accuracy:
            raise NoFigure("personalized accuracy not measured")
        return history.personalized_accuracy
    if not history.client_accuracy:
        raise NoFigure("accuracy of clients not measured")
    return history.client_accuracy
