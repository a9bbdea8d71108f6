"""IFCA follows Ghosh et al., algorithm 1, with model averaging."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from example_data import federation
from numpy_reference import (
    BASE,
    COHORT,
    MODEL,
    RATE,
    ROUNDS,
    SEED,
    Weights,
    batches,
    cohort_of,
    cross_entropy,
    gradient,
)
from pytest_federated.core.errors import ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.engine.build import Trainer, trainer_for
from pytest_federated.training.loop import steps, train
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

CLUSTERS = 3


@pytest.fixture(scope="module")
def clustered() -> FederatedData:
    """Six clients of two kinds: the labels of every second one are the others', moved by one."""
    data = federation([30, 14, 17, 9, 25, 11], 0)
    y = data.train.y.copy()
    for positions in data.clients[1::2]:
        y[positions] = (y[positions] + 1) % 3
    return replace(data, train=replace(data.train, y=y))


def settings(execution: str, weighting: str = "uniform") -> Training:
    algorithm = {"kind": "ifca", "clusters": CLUSTERS, "weighting": weighting}
    return Training.model_validate({**BASE, "algorithm": algorithm, "execution": execution})


def models_of(state: Any) -> list[Weights]:
    stacked = [np.asarray(w, np.float64) for w in state.server.global_model_weights.trainable]
    return [[w[cluster] for w in stacked] for cluster in range(CLUSTERS)]


def taken(models: list[Weights], x: np.ndarray, y: np.ndarray) -> int:
    return int(np.argmin([cross_entropy(model, x, y) for model in models]))


def trained(data: FederatedData, training: Training) -> tuple[Trainer, list[Any]]:
    trainer = trainer_for(MODEL, training, data, COHORT)
    return trainer, [step.state for step in steps(data, MODEL, training, COHORT, SEED)]


@pytest.mark.parametrize(
    ("weighting", "execution"), [("uniform", "standard"), ("examples", "packed")]
)
def test_each_model_is_the_mean_of_the_clients_that_take_it(
    clustered: FederatedData, weighting: str, execution: str
) -> None:
    trainer, states = trained(clustered, settings(execution, weighting))
    models = models_of(trainer.initial_state(SEED, clustered))
    assert not any(np.array_equal(one[0], models[0][0]) for one in models[1:])
    used: list[set[int]] = []  # in each round, the models that clients took
    for number, state in enumerate(states, start=1):
        ends: list[list[tuple[float, Weights]]] = [[] for _ in models]
        for one in map(int, cohort_of(clustered, number)):
            ((x, y),) = batches(clustered, one, number, size=100, epochs=1)
            cluster = taken(models, x, y)
            weights = models[cluster]
            for x, y in batches(clustered, one, number):
                weights = [w - RATE * g for w, g in zip(weights, gradient(weights, x, y))]
            count = len(clustered.clients[one]) if weighting == "examples" else 1.0
            ends[cluster].append((count, weights))
        used.append({cluster for cluster, own in enumerate(ends) if own})
        models = [
            [
                np.sum([count * weights[i] for count, weights in own], axis=0)
                / sum(count for count, _ in own)
                for i in range(len(old))
            ]
            if own
            else old
            for own, old in zip(ends, models)
        ]
        for ours, theirs in zip(models_of(state), models):
            for a, b in zip(ours, theirs):
                np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)
    assert len(states) == ROUNDS
    assert any(1 < len(cohort) < CLUSTERS for cohort in used), "needs several, and one left alone"


def test_clients_are_judged_by_the_model_that_they_would_take(clustered: FederatedData) -> None:
    held_out = tuple(np.array([i, i + 1]) for i in range(len(clustered.clients)))
    data = replace(clustered, client_test=held_out, tested=clustered.train)
    training = settings("packed")
    trainer, states = trained(data, training)
    models = models_of(states[-1])
    right = total = 0
    for client in range(len(data.clients)):
        own, test = data.examples(client), data.test_examples(client)
        weights = models[taken(models, own.x.reshape(len(own), -1), own.y)]
        hidden = np.maximum(test.x.reshape(len(test), -1) @ weights[0] + weights[1], 0)
        right += int(((hidden @ weights[2] + weights[3]).argmax(axis=1) == test.y).sum())
        total += len(test)
    history = train(data, MODEL, training, COHORT, SEED)
    assert history.rounds[-1].accuracy == pytest.approx(right / total)
    with pytest.raises(ModelError, match="has no model that all clients share"):
        trainer.algorithm.weights(states[-1])
