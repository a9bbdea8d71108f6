"""The training itself, compared with FedAvg and FedProx written in NumPy after the papers.

McMahan et al., AISTATS 2017, algorithm 1: in each round every client of the cohort runs SGD on
its batches for a number of epochs; the server averages the models, weighted by examples. Li et
al., MLSys 2020, equation 2: mu/2 |w - w0|^2 is added to the clients' loss.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy_reference import Weights, gradient
from paths import ROOT
from pytest_federated.clients.cohort import shuffled_examples
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import Cache
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.engine import standard
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps
from pytest_federated.training.models.adapters.keras import KerasAdapter


def fedavg(
    data: FederatedData,
    start: Weights,
    scenario: Scenario,
    seed: int,
    uniform: bool = False,
    mu: float = 0.0,
) -> list[Weights]:
    """Returns the server's weights after each round, in float64."""
    training, work = scenario.training, scenario.training.local_work
    rate = training.client_optimizer.model_dump()["learning_rate"]
    server = [w.astype(np.float64) for w in start]
    history = []
    for number in range(1, training.rounds + 1):
        cohort = np.sort(
            generator(seed, Stream.COHORT, number).choice(
                len(data.clients),
                scenario.clients.cohort_size(len(data.clients)),
                replace=False,
            )
        )
        total, mass = [np.zeros_like(w) for w in server], 0.0
        for client in cohort:
            order = generator(seed, Stream.BATCHES, number, int(client)).permutation(
                data.clients[client]
            )
            x = data.train.x[order].reshape(len(order), -1).astype(np.float64)
            y = data.train.y[order]
            local = [w.copy() for w in server]
            batch_size = work.batch_size_of(len(order))
            for _ in range(training.local_epochs):
                for begin in range(0, len(order), batch_size):
                    batch = slice(begin, begin + batch_size)
                    step = gradient(local, x[batch], y[batch])
                    local = [
                        w - rate * (g + mu * (w - w0)) for w, g, w0 in zip(local, step, server)
                    ]
            weight = 1.0 if uniform else float(len(order))
            total = [t + weight * w for t, w in zip(total, local)]
            mass += weight
        server = [t / mass for t in total]
        history.append(server)
    return history


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["standard", "packed"])
@pytest.mark.parametrize(
    ("algorithm", "right", "wrong"),
    [
        ({"kind": "fedavg", "weighting": "examples"}, {}, {"uniform": True}),
        ({"kind": "fedavg", "weighting": "uniform"}, {"uniform": True}, {}),
        ({"kind": "fedprox", "mu": 1.5}, {"mu": 1.5}, {}),
    ],
    ids=["fedavg", "uniform", "fedprox"],
)
def test_three_rounds_agree_with_numpy(
    algorithm: dict[str, Any],
    right: dict[str, Any],
    wrong: dict[str, Any],
    execution: str,
    tmp_path: Path,
) -> None:
    seed = 3
    scenario = Scenario.model_validate(
        {
            "name": "reference",
            "data": {"dataset": "digits"},
            # Skewed sizes and a part of the clients: weighting and cohorts both matter.
            "clients": {
                "count": 12,
                "split": {"kind": "dirichlet", "alpha": 0.3},
                "per_round": 5,
            },
            "model": {"kind": "mlp", "hidden": [32]},
            "training": {
                "rounds": 3,
                "execution": execution,
                "local_epochs": 2,
                "batch_size": 16,
                "algorithm": algorithm,
            },
        }
    )
    data = federate(scenario.data, scenario.clients, seed, Cache(tmp_path))
    model, training = scenario.model, scenario.training
    start = [w.numpy() for w in trainer_for(model, training, data).initial_weights(seed).trainable]
    expected = fedavg(data, start, scenario, seed, **right)

    cohort_size = scenario.clients.cohort_size(len(data.clients))
    trainer = trainer_for(model, training, data)
    measured: list[Any] = [
        trainer.algorithm.weights(step.state).trainable
        for step in steps(data, model, training, cohort_size, seed)
    ]
    assert len(measured) == len(expected) == 3
    for ours, reference in zip(measured, expected):
        for w, r in zip(ours, reference):
            np.testing.assert_allclose(w, r, rtol=0, atol=2e-6)
    # The tolerance distinguishes the right algorithm from its neighbor.
    other = fedavg(data, start, scenario, seed, **wrong)
    assert max(np.abs(w - r).max() for w, r in zip(measured[-1], other[-1])) > 1e-3


@pytest.mark.usefixtures("running")
def test_the_other_sides_of_the_cross_check_train_as_we_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in docs/cross-check.md, which has Flower as well, on less data; and through its files."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    check = importlib.import_module("cross_check")
    files = importlib.import_module("cross.federation")
    scenario = Scenario.model_validate(
        {
            "name": "small-cross-check",
            "data": {"dataset": "mnist_5k"},
            "clients": {"count": 20, "split": "shards", "per_round": 4},
            "model": {"kind": "mlp", "hidden": [30, 20]},
            "training": {
                "rounds": 3,
                "batch_size": 10,
                "local_epochs": 2,
                "client_optimizer": {"kind": "sgd", "learning_rate": 0.05},
            },
        }
    )
    check.handed_over(scenario, 2, Cache(tmp_path)).write(tmp_path)
    given = files.read(tmp_path)
    ours, beside = check.with_ours(scenario, given, 2)
    assert len(ours) == 3
    for theirs in (check.with_numpy(given), beside):
        np.testing.assert_allclose(theirs, ours, rtol=1e-4)
    # Another order of examples, or another client, would be seen.
    backwards = dataclasses.replace(given, orders=[[o[::-1] for o in r] for r in given.orders])
    shifted = dataclasses.replace(given, orders=[*given.orders[1:], given.orders[0]])
    for other in (backwards, shifted):
        wrong = check.with_numpy(other)
        assert np.abs(np.subtract(wrong, ours)).max(axis=1).min() > 1e-3


@pytest.mark.usefixtures("running")
def test_fedprox_of_tff_has_the_wrong_sign_in_its_term(tmp_path: Path, tff: Any) -> None:
    """This is why TFF's builder is not used: with mu it does what -mu should do."""
    scenario = Scenario.model_validate(
        {
            "name": "reference",
            "data": {"dataset": "digits"},
            "clients": {"count": 3},
            "model": {"kind": "mlp", "hidden": [8]},
            "training": {"rounds": 1, "batch_size": 100, "execution": "standard"},
        }
    )
    data = federate(scenario.data, scenario.clients, 0, Cache(tmp_path))
    trainer = trainer_for(scenario.model, scenario.training, data)
    weights, adapter = trainer.initial_weights(0), cast("KerasAdapter", trainer.adapter)
    examples = [shuffled_examples(data, client, 0, 1) for client in range(3)]
    arguments = standard.arguments(examples, scenario.training.local_work)

    def model() -> Any:
        import tensorflow as tf

        return tff.learning.models.from_keras_model(
            tf.keras.models.clone_model(adapter.model),
            adapter.losses.training,
            arguments[0].element_spec,
        )

    theirs = tff.learning.algorithms.build_weighted_fed_prox(
        model, 1.5, tff.learning.optimizers.build_sgdm(0.1)
    )
    state = theirs.set_model_weights(theirs.initialize(), weights)
    state = theirs.next(state, arguments).state
    measured = theirs.get_model_weights(state).trainable
    start = [w.numpy() for w in weights.trainable]
    (reversed_,), (right,) = (fedavg(data, start, scenario, 0, mu=mu) for mu in (-1.5, 1.5))
    for w, r in zip(measured, reversed_):
        np.testing.assert_allclose(w, r, rtol=0, atol=2e-6)
    assert max(np.abs(w - r).max() for w, r in zip(measured, right)) > 1e-3


@pytest.mark.usefixtures("running")
def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    scenario = Scenario.model_validate(
        {
            "name": "twice",
            "data": {"dataset": "digits"},
            "clients": {"count": 6, "per_round": 0.5},
            "model": {"kind": "cnn", "filters": [4], "hidden": 8},
            "training": {"rounds": 2},
        }
    )

    def final(seed: int) -> Weights:
        data = federate(scenario.data, scenario.clients, seed, Cache(tmp_path))
        *_, last = steps(data, scenario.model, scenario.training, 3, seed)
        trainer = trainer_for(scenario.model, scenario.training, data)
        return [np.asarray(w) for w in trainer.algorithm.weights(last.state).trainable]

    one, two, other = final(0), final(0), final(1)
    assert all(np.array_equal(a, b) for a, b in zip(one, two))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other))
