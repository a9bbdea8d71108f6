"""The names of the clients that figures are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_federated.metrics.measure import keys_in
from pytest_federated.metrics.metric import spec_of
from pytest_federated.metrics.worst_client import worst_client
from pytest_federated.results.record import Result, Verdict


def worst_clients(result: Result, name: str, keys: Mapping[str, Any]) -> list[str]:
    """The client that a metric is of, by seed; empty texts where it is not of one client."""
    return [worst_client(spec_of(name), history, keys) for history in result.histories]


def worst_clients_of(result: Result, verdict: Verdict) -> list[str]:
    """The client that the figure behind a verdict is of, by seed."""
    return worst_clients(result, verdict.expectation, keys_in(result, verdict.expectation))


def worst_of_seeds(result: Result, verdict: Verdict) -> str:
    """The client with the worst of the figures: ``ward-3``, ``ward-3 in seed 2``; or empty.

    The seed is left out where it is the only one, and where all seeds have the same client.
    """
    clients = worst_clients_of(result, verdict)
    if len(verdict.figures) != len(clients) or not any(clients):
        return ""
    sign = spec_of(verdict.expectation).sign
    place = min(range(len(clients)), key=lambda n: sign * verdict.figures[n])
    are_same = len({*clients}) == 1
    return clients[place] if are_same else f"{clients[place]} in seed {result.seeds[place]}"
