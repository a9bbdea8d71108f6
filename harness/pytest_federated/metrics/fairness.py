"""How the final model serves the clients, each by itself, and each label."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Optional, Union

from pydantic import Field

from pytest_federated.data.datasets.dataset import LABELED
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.needs import (
    Lack,
    Measured,
    clients_examples,
    personalized_models,
    shared_model,
)
from pytest_federated.metrics.resolution import (
    CLIENT_EXAMPLE,
    LABEL_EXAMPLE,
    TEST_EXAMPLE,
    WORST_CLIENT_EXAMPLE,
    WORST_TENTH_EXAMPLE,
)
from pytest_federated.training.history import TrainingHistory


def _accuracies(history: TrainingHistory, keys: Mapping[str, Any]) -> Sequence[float]:
    return history.personalized_accuracy if keys.get("personalized") else history.client_accuracy


def _own_figures(keys: Any, scenario: Measured) -> Optional[Lack]:
    return (personalized_models if keys.personalized else clients_examples)(keys, scenario)


@metrics(
    "client_accuracy",
    title="client accuracy",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=CLIENT_EXAMPLE,
    accuracies=_accuracies,
    needs=_own_figures,
)
def client_accuracy(history: TrainingHistory, *, personalized: bool = False) -> float:
    """Accuracy of each client on its own examples (0 to 1), mean over clients.

    These are its test examples, in a test set that says whose they are, or those that it holds out;
    where no client has any, those that it trains on. With `personalized`, after each client has
    fine-tuned the model; so for all metrics of clients.
    """
    return statistics.fmean(_of_clients(history, personalized))


@metrics(
    "worst_client_accuracy",
    title="worst client",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=WORST_CLIENT_EXAMPLE,
    column=40,
    accuracies=_accuracies,
    needs=_own_figures,
    worst_of=_accuracies,
)
def worst_client_accuracy(history: TrainingHistory, *, personalized: bool = False) -> float:
    """Lowest accuracy of a client on its own examples.

    Very many clients are sampled with the seed; tables and verdicts then say how many were
    measured.
    """
    return min(_of_clients(history, personalized))


@metrics(
    "worst_tenth_accuracy",
    title="worst tenth of the clients",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=WORST_TENTH_EXAMPLE,
    is_compared_too=True,
    accuracies=_accuracies,
    needs=_own_figures,
)
def worst_tenth_accuracy(history: TrainingHistory, *, personalized: bool = False) -> float:
    """Mean accuracy of the worst tenth of the clients, at least one, on their own examples.

    The measure is that of Li et al., "Fair Resource Allocation in Federated Learning", ICLR 2020,
    table 1 ("worst 10 %").
    """
    accuracies = sorted(_of_clients(history, personalized))
    return statistics.fmean(accuracies[: math.ceil(len(accuracies) / 10)])


@metrics(
    "client_accuracy_deviation",
    title="spread over clients",
    tasks=LABELED,
    scale="not negative",
    direction="lower",
    column=50,
    accuracies=_accuracies,
    needs=_own_figures,
)
def client_accuracy_deviation(history: TrainingHistory, *, personalized: bool = False) -> float:
    """Standard deviation of accuracy over all clients: 0 is the fairest.

    That of the population, as these are all the clients there are: its square is the variance in
    the definition of fairness by Li et al., ICLR 2020, definition 1.
    """
    return statistics.pstdev(_of_clients(history, personalized))


@metrics(
    "personalized_accuracy",
    title="fine-tuned clients",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=TEST_EXAMPLE,
    column=60,
    accuracies=lambda history, keys: history.personalized_accuracy,
    needs=personalized_models,
)
def personalized_accuracy(history: TrainingHistory) -> float:
    """Accuracy of each client after it has fine-tuned the model, mean over clients.

    The same as `client_accuracy` with `personalized`.
    """
    return client_accuracy(history, personalized=True)


@metrics(
    "class_recall",
    title="class recall",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=LABEL_EXAMPLE,
    needs=shared_model,
)
def class_recall(
    history: TrainingHistory,
    *,
    label: Annotated[
        Optional[Union[Annotated[int, Field(ge=0)], Annotated[str, Field(min_length=1)]]],
        Field(description="Its name in the data; the worst label if not given."),
    ] = None,
) -> float:
    """Share of the test examples of a label that are classified correctly.

    Of the worst label where none is named.
    """
    known = {n: share for n, share in enumerate(history.class_recall) if share is not None}
    if not known:
        raise NoValue("recall not measured")
    if label is None:
        return min(known.values())
    position = history.label_at(label)
    if position is None:
        names = [history.label_name(n) for n in range(len(history.class_recall))]
        raise NoValue(f"no label {label!r} among {', '.join(names)}")
    if position not in known:
        raise NoValue(f"label {label} not in the test set")
    return known[position]


def _of_clients(history: TrainingHistory, personalized: bool) -> tuple[float, ...]:
    if personalized:
        if not history.personalized_accuracy:
            raise NoValue("personalized accuracy not measured")
        return history.personalized_accuracy
    if not history.client_accuracy:
        raise NoValue("accuracy of clients not measured")
    return history.client_accuracy
