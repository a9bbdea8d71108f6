"""Metrics of clients after a round in which clients were measured."""

from __future__ import annotations

from typing import Any

from pytest_federated.metrics.metric import NoValue, measured, metrics
from pytest_federated.training.history import ON_CLIENTS, Round, TrainingHistory


def metrics_of_clients(done: Round) -> dict[str, float]:
    """Returns all metrics of clients after a round: ``worst_client_accuracy``, ``f1_clients``.

    Those of predictions are there once for each value of `over`. Empty for a round after which no
    client was measured.
    """
    if not done.client_accuracy and not done.client_scores:
        return {}
    history = TrainingHistory(
        seed=0,
        rounds=(done,),
        client_examples=(),
        test_examples=0,
        **{name: getattr(done, name) for name in ON_CLIENTS},
    )
    values: dict[str, float] = {}
    for name in metrics.names():
        entry = metrics[name]
        if entry.spec.accuracies is None or entry.spec.reference is not None:
            continue
        is_of_predictions = entry.spec.score is not None
        for over in ("clients", "worst_client") if is_of_predictions else (None,):
            keys: dict[str, Any] = {"over": over} if over else {}
            if not entry.spec.accuracies(history, keys):
                continue
            try:
                value = measured(entry, history, **keys)
            except NoValue:
                continue
            values[f"{name}_{over}" if over else name] = value
    return values
