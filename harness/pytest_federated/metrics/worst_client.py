"""Which client is served worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from pytest_federated.core.text import shortened
from pytest_federated.metrics.metric import Metric
from pytest_federated.training.history import TrainingHistory


def worst_client(metric: Metric, history: TrainingHistory, keys: Mapping[str, Any]) -> str:
    """Returns the name of the client that a value is of: ``ward-3``, ``ward-3 and 2 more``.

    Empty for a metric that is not of the worst client, and where it is not known which one it is.
    """
    values = metric.worst_of(history, keys) if metric.worst_of else ()
    return name_of_worst(history, values, metric.sign)


def name_of_worst(
    history: TrainingHistory, values: Sequence[Optional[float]], sign: int = 1
) -> str:
    """Returns the name of the client with the worst of the measured clients' values.

    Empty where it is not known which clients these are of. `sign` is 1 where more is better.
    """
    places = measured_places(history, len(values))
    known = [(sign * value, place) for value, place in zip(values, places) if value is not None]
    if not known:
        return ""
    worst = min(value for value, _ in known)
    equal = [place for value, place in known if value == worst]
    name = shortened(history.client_name(equal[0]))
    return f"{name} and {len(equal) - 1:,} more" if equal[1:] else name


def measured_places(history: TrainingHistory, count: int) -> Sequence[int]:
    """Returns the positions of the clients that so many values are of; empty if not known."""
    for places in (history.measured_clients, range(len(history.client_examples))):
        if len(places) == count:
            return places
    return ()
