"""How many clients a metric of clients was measured on, where that is not all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_federated.metrics.metric import Metric
from pytest_federated.training.history import TrainingHistory


def coverage(metric: Metric, histories: Sequence[TrainingHistory], keys: Mapping[str, Any]) -> str:
    """Returns ``812 of 3,400 clients``, empty for a metric of all clients or of none."""
    if metric.accuracies is None:
        return ""
    accuracies = [metric.accuracies(history, keys) for history in histories]
    return measured_clients(histories, accuracies, of_unseen=metric.of_unseen)


def measured_clients(
    histories: Sequence[TrainingHistory],
    accuracies: Sequence[Sequence[float]],
    *,
    of_unseen: bool = False,
) -> str:
    """Returns ``812 of 3,400 clients``, from each training's accuracies; empty where these are all.

    The worst of some clients is no bound for the others, so whoever reads the figure has to know.
    Where seeds differ: ``812 to 840 of 3,400 clients``. `of_unseen` for those that never train.
    """
    measured = sorted({len(of_clients) for of_clients in accuracies} - {0})
    population = max(
        (h.unseen_clients if of_unseen else len(h.client_examples) for h in histories), default=0
    )
    if not measured or measured[0] >= population:
        return ""
    counts = " to ".join(f"{count:,}" for count in sorted({measured[0], measured[-1]}))
    return f"{counts} of {population:,} clients"
