"""Mime follows Karimireddy et al., algorithm 1, with the momentum of TFF's SGD."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import pytest
from numpy_reference import (
    MOMENTUM,
    RATE,
    ROUNDS,
    Weights,
    assert_close,
    assert_far,
    batches,
    cohort_of,
    gradient,
    measure,
    reference,
)
from pytest_federated.data.federation import FederatedData

pytestmark = pytest.mark.usefixtures("running")


def settings(momentum: Optional[float] = MOMENTUM, **others: Any) -> dict[str, Any]:
    optimizer = {"kind": "sgd", "learning_rate": RATE, "momentum": momentum}
    return {"client_optimizer": optimizer, **others}


def cohort_gradient(data: FederatedData, weights: Weights, number: int, weighting: str) -> Weights:
    """Returns the mean of the gradients of a round's clients over all their examples."""
    found: list[tuple[float, Weights]] = []
    for one in cohort_of(data, number):
        ((x, y),) = batches(data, int(one), number, size=100, epochs=1)
        weight = len(y) if weighting == "examples" else 1.0
        found.append((weight, gradient(weights, x, y)))
    mass = sum(weight for weight, _ in found)
    return [np.sum([n * g[i] for n, g in found], axis=0) / mass for i in range(len(weights))]


@pytest.mark.parametrize("execution", ["standard", "packed"])
@pytest.mark.parametrize(
    ("weighting", "momentum"),
    [("examples", MOMENTUM), ("uniform", None)],
    ids=["momentum", "uniform-plain"],
)
def test_local_gradients_are_corrected_by_the_cohorts(
    data: FederatedData, weighting: str, momentum: Optional[float], execution: str
) -> None:
    velocity: Weights = []
    corrections: dict[int, Weights] = {}  # by round

    def client(first: Weights, one: int, number: int) -> tuple[Weights, float]:
        nonlocal velocity
        velocity = velocity or [np.zeros_like(w) for w in first]
        if number not in corrections:
            corrections[number] = cohort_gradient(data, first, number, weighting)
        weights = first
        for x, y in batches(data, one, number):
            parts = zip(gradient(weights, x, y), gradient(first, x, y), corrections[number])
            steps = [(momentum or 0) * v + g - f + c for v, (g, f, c) in zip(velocity, parts)]
            weights = [w - RATE * s for w, s in zip(weights, steps)]
        return weights, len(data.clients[one]) if weighting == "examples" else 1.0

    def server(weights: Weights, change: Weights) -> Weights:
        nonlocal velocity
        mean = corrections[max(corrections)]
        velocity = [(momentum or 0) * v + c for v, c in zip(velocity, mean)]
        return [w + c for w, c in zip(weights, change)]

    chosen = {"kind": "mime", "weighting": weighting}
    ours = measure(data, algorithm=chosen, execution=execution, **settings(momentum))
    assert_close(ours, reference(data, client, server))
    assert len(corrections) == ROUNDS
    lite = {**chosen, "kind": "mime_lite"}
    assert_far(ours, measure(data, algorithm=lite, **settings(momentum)))


def test_with_one_step_over_all_examples_it_is_mime_lite(data: FederatedData) -> None:
    """Then each client's own gradient cancels, and all take the same step, along the mean."""
    whole = settings(batch_size="all", local_epochs=1)
    ours, lite = (measure(data, algorithm=kind, **whole) for kind in ("mime", "mime_lite"))
    assert_close(ours, lite, atol=5e-7)
