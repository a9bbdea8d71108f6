"""AFL follows Mohri et al., Stochastic-AFL, with several local steps as in Ro et al."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy_reference import (
    BASE,
    COHORT,
    MODEL,
    RATE,
    ROUNDS,
    SEED,
    Client,
    Weights,
    assert_close,
    assert_far,
    batches,
    cross_entropy,
    gradient,
    measure,
    reference,
)
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.algorithms.afl import _on_simplex
from pytest_federated.training.loop import steps
from pytest_federated.training.schema import Training

CLIENTS, LAMBDA_RATE = 5, 0.4
ALGORITHM = {"kind": "afl", "lambda_rate": LAMBDA_RATE}


def on_simplex(values: np.ndarray) -> np.ndarray:
    """Projects by bisection: the shift at which what is left above zero has the sum 1."""
    low, high = values.min() - 1, values.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(values - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(values - low, 0)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["standard", "packed"])
def test_clients_of_high_loss_count_more(data: FederatedData, execution: str) -> None:
    """With four of the five clients in each round."""
    shares = np.full(CLIENTS, 1 / CLIENTS)
    history: list[np.ndarray] = []
    losses: dict[int, float] = {}
    changes: list[Weights] = []

    def client(weights: Weights, one: int, number: int) -> Client:
        ((x, y),) = batches(data, one, number, size=100, epochs=1)
        losses[one] = cross_entropy(weights, x, y)
        trained = weights
        for x, y in batches(data, one, number):
            trained = [w - RATE * g for w, g in zip(trained, gradient(trained, x, y))]
        changes.append([shares[one] * (t - w) for t, w in zip(trained, weights)])
        return trained, 1.0

    def server(weights: Weights, _: Weights) -> Weights:
        nonlocal shares
        scale = CLIENTS / len(changes)
        new = [w + scale * sum(c[i] for c in changes) for i, w in enumerate(weights)]
        risen = shares.copy()
        for one, loss in losses.items():
            risen[one] += LAMBDA_RATE * scale * loss
        shares = on_simplex(risen)
        history.append(shares)
        losses.clear()
        changes.clear()
        return new

    theirs = reference(data, client, server)
    settings: dict[str, Any] = {**BASE, "algorithm": ALGORITHM, "execution": execution}
    done = steps(data, MODEL, Training.model_validate(settings), COHORT, SEED)
    ours: list[Any] = [step.state for step in done]
    found = [[np.asarray(w) for w in s.server.global_model_weights.trainable] for s in ours]
    assert_close(found, theirs)
    np.testing.assert_allclose([s.server.client_work["kept"][0] for s in ours], history, atol=2e-6)
    assert len(history) == ROUNDS
    assert (history[-1] == 0).any(), "the projection never cut off a client"
    assert_far(found, measure(data, algorithm={"kind": "fedavg", "weighting": "uniform"}))


@pytest.mark.usefixtures("tff")
@given(arrays(np.float32, st.integers(1, 8), elements=st.floats(-4, 4, width=32)))
def test_the_projection_is_the_nearest_point_of_the_simplex(values: np.ndarray) -> None:
    projected = _on_simplex(values).numpy()
    np.testing.assert_allclose(projected, on_simplex(values.astype(np.float64)), atol=1e-5)
