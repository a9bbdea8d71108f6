"""Federated training written in NumPy (float64) after the papers, and ours in the same terms.

The problem is an MLP with five hidden units and three rounds of four clients. A test's algorithm is
a `client` and a `server` step, and otherwise the same as FedAvg.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Optional

import numpy as np
from pytest_federated.clients.cohort import shuffled_examples
from pytest_federated.clients.sampling.sampler import draw, samplers
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training

Weights = list[np.ndarray]

SEED, ROUNDS, COHORT = 1, 3, 4
MODEL = models.parse({"kind": "mlp", "hidden": [5]})
BASE = {"rounds": ROUNDS, "local_epochs": 2, "batch_size": 8}
RATE, MOMENTUM = 0.1, 0.9  # of the clients: the default, and in tests of momentum

Server = Callable[[Weights, Weights], Weights]  # (weights, mean change) -> weights
Client = tuple[Weights, float]  # its weights after training, and its weight in the mean


def gradient(w: Weights, x: np.ndarray, y: np.ndarray) -> Weights:
    """Returns the gradient of the mean cross entropy of softmax(relu(x W1 + b1) W2 + b2)."""
    hidden = x @ w[0] + w[1]
    active = np.maximum(hidden, 0)
    logits = active @ w[2] + w[3]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(y)), y] -= 1
    shares /= len(y)
    back = (shares @ w[2].T) * (hidden > 0)
    return [x.T @ back, back.sum(axis=0), active.T @ shares, shares.sum(axis=0)]


def measure(data: FederatedData, cohort: int = COHORT, **training: Any) -> list[Weights]:
    """Returns our weights of the server after each round."""
    settings = Training.model_validate({**BASE, **training})
    trainer = trainer_for(MODEL, settings, data, cohort)
    return [
        [np.asarray(w) for w in trainer.algorithm.weights(step.state).trainable]
        for step in steps(data, MODEL, settings, cohort, SEED)
    ]


def cohort_of(data: FederatedData, number: int, size: int = COHORT) -> np.ndarray:
    return draw(samplers.parse("uniform"), data.population, size, SEED, number)


def batches(data: FederatedData, client: int, number: int, size: int = 8, epochs: int = 2) -> Any:
    own = shuffled_examples(data, client, SEED, number)
    x, y = own.x.reshape(len(own), math.prod(own.x.shape[1:])).astype(np.float64), own.y
    cut = [slice(begin, begin + size) for begin in range(0, len(own), size)]
    return [(x[c], y[c]) for c in cut] * epochs


def cross_entropy(w: Weights, x: np.ndarray, y: np.ndarray) -> float:
    logits = np.maximum(x @ w[0] + w[1], 0) @ w[2] + w[3]
    logits -= logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]))


def reference(
    data: FederatedData,
    client: Callable[[Weights, int, int], Client],
    server: Optional[Server] = None,
    cohort: int = COHORT,
) -> list[Weights]:
    """Returns weights by round: the server steps along the clients' weighted mean change.

    Source: Reddi et al., algorithm 1.
    """
    settings = Training.model_validate(BASE)
    first = trainer_for(MODEL, settings, data).initial_weights(SEED).trainable
    weights = [w.numpy().astype(np.float64) for w in first]
    history = []
    for number in range(1, ROUNDS + 1):
        change, mass = [np.zeros_like(w) for w in weights], 0.0
        for one in cohort_of(data, number, cohort):
            trained, weight = client(weights, int(one), number)
            change = [c + weight * (t - w) for c, t, w in zip(change, trained, weights)]
            mass += weight
        mean = [c / mass for c in change]
        weights = server(weights, mean) if server else [w + c for w, c in zip(weights, mean)]
        history.append(weights)
    return history


def sgd(
    data: FederatedData,
    weigh: Callable[[int, int, float], float] = lambda examples, steps, loss: float(examples),
    rate: Callable[[int], float] = lambda number: RATE,
) -> Callable[[Weights, int, int], Client]:
    """Returns a client's step of SGD (McMahan et al., algorithm 1, ClientUpdate)."""

    def train(weights: Weights, client: int, number: int) -> Client:
        own = batches(data, client, number)
        losses, total = 0.0, 0
        for x, y in own:
            losses, total = losses + len(y) * cross_entropy(weights, x, y), total + len(y)
            weights = [w - rate(number) * g for w, g in zip(weights, gradient(weights, x, y))]
        return weights, weigh(len(data.clients[client]), len(own), losses / total)

    return train


def assert_close(ours: list[Weights], theirs: list[Weights], atol: float = 2e-6) -> None:
    assert len(ours) == len(theirs) == ROUNDS
    for one, other in zip(ours, theirs):
        for a, b in zip(one, other):
            np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def assert_far(ours: list[Weights], theirs: list[Weights]) -> None:
    """Asserts that two algorithms differ by more than the tolerance."""
    assert max(np.abs(a - b).max() for a, b in zip(ours[-1], theirs[-1])) > 1e-3
