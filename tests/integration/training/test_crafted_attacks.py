"""Attackers that craft their updates from those of the honest clients, compared with NumPy."""

from __future__ import annotations

import statistics
from typing import Any, Callable

import numpy as np
import pytest
from example_data import federation, training_with
from numpy_reference import (
    BASE,
    MODEL,
    SEED,
    Weights,
    assert_close,
    assert_far,
    sgd,
)
from pydantic import ValidationError
from pytest_federated.clients.attacks.attack import attack, attackers, attacks
from pytest_federated.clients.cohort import cohort_of_round
from pytest_federated.clients.participation import Participation
from pytest_federated.core.errors import ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.sharding import undividable
from pytest_federated.training.algorithms.algorithm import algorithms, no_change
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.engine.crafting import Known
from pytest_federated.training.engine.process import aggregated
from pytest_federated.training.loop import steps
from pytest_federated.training.schema import Training

CLIENTS = 9
COHORT = 7
EXECUTIONS = ["standard", "packed"]
Craft = Callable[[np.ndarray, int], np.ndarray]  # honest changes, attackers: what these send


@pytest.fixture
def data() -> FederatedData:
    return federation([21, 9, 30, 16, 24, 12, 18, 7, 11], 0)


def alie(honest: np.ndarray, m: int, z: Any = None) -> np.ndarray:
    """Changes are after less before here, so that "less" in the paper's gradients is "plus"."""
    n = len(honest) + m
    s = n // 2 + 1 - m
    z_max = statistics.NormalDist().inv_cdf((n - m - s) / (n - m)) if z is None else z
    return honest.mean(axis=0) + z_max * honest.std(axis=0)


def flat(weights: Weights) -> np.ndarray:
    return np.concatenate([w.ravel() for w in weights])


def unflat(row: np.ndarray, like: Weights) -> Weights:
    ends = np.cumsum([w.size for w in like])[:-1]
    return [part.reshape(w.shape) for part, w in zip(np.split(row, ends), like)]


def by_examples(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.average(rows, axis=0, weights=sizes)


def median(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.median(rows, axis=0)


def crafted(
    data: FederatedData, participation: Participation, craft: Craft, aggregate: Any
) -> list[Weights]:
    """Returns the weights of three rounds of FedAvg under attack."""
    settings = Training.model_validate(BASE)
    first = trainer_for(MODEL, settings, data).initial_weights(SEED).trainable
    weights = [w.numpy().astype(np.float64) for w in first]
    is_attacker = attackers(participation.attacks, CLIENTS, SEED)  # type: ignore[arg-type]
    train, history = sgd(data), []
    for number in range(1, 4):
        cohort = cohort_of_round(data, COHORT, SEED, number, settings.local_work, participation)
        attack_now = is_attacker[cohort.clients]
        assert 0 < attack_now.sum() == cohort.attackers < 4
        rows = np.array(
            [flat(train(weights, int(c), number)[0]) - flat(weights) for c in cohort.clients]
        )
        rows[attack_now] = craft(rows[~attack_now], int(attack_now.sum()))
        change = aggregate(rows, data.sizes[cohort.clients])
        weights = [w + c for w, c in zip(weights, unflat(change, weights))]
        history.append(weights)
    return history


def measured(data: FederatedData, participation: Participation, **training: Any) -> list[Weights]:
    settings = Training.model_validate({**BASE, **training})
    trainer = trainer_for(MODEL, settings, data, COHORT, participation.attacks)
    assert trainer.execution.kind == training.get("execution", "standard")
    return [
        [np.asarray(w) for w in trainer.algorithm.weights(step.state).trainable]
        for step in steps(data, MODEL, settings, COHORT, SEED, participation=participation)
    ]


def clipped_mean(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return by_examples(rows * np.minimum(1, 0.3 / norms), sizes)


AGGREGATORS: dict[str, tuple[Any, Any]] = {
    "mean": ("mean", by_examples),
    "median": ("median", median),
    "clipping": ({"kind": "clipping", "norm": 0.3}, clipped_mean),
}
CRAFTS: dict[str, tuple[dict[str, Any], Craft]] = {
    "alie": ({"kind": "alie"}, alie),
    "alie of a given z": ({"kind": "alie", "z": 1.5}, lambda rows, m: alie(rows, m, 1.5)),
    "ipm": ({"kind": "ipm", "epsilon": 0.8}, lambda rows, m: -0.8 * rows.mean(axis=0)),
}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("name", "execution"),
    [
        *((name, execution) for name in ("mean", "median") for execution in EXECUTIONS),
        pytest.param("clipping", "standard", marks=pytest.mark.slow),
        ("clipping", "packed"),
    ],
)
@pytest.mark.parametrize(("keys", "craft"), CRAFTS.values(), ids=list(CRAFTS))
def test_attackers_send_what_they_craft_from_the_honest_updates(
    data: FederatedData, keys: dict[str, Any], craft: Craft, name: str, execution: str
) -> None:
    participation = Participation(attacks=attacks.parse({**keys, "share": 1 / 3}))
    aggregator, aggregate = AGGREGATORS[name]
    ours = measured(data, participation, aggregator=aggregator, execution=execution)
    assert_close(ours, crafted(data, participation, craft, aggregate))
    honest = measured(data, Participation(), aggregator=aggregator, execution=execution)
    assert_far(ours, honest)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("kind", [{"kind": "alie"}, {"kind": "ipm", "epsilon": 1.0}])
def test_attackers_without_anyone_to_know_send_nothing(
    data: FederatedData, kind: dict[str, Any], execution: str
) -> None:
    everyone = Participation(attacks=attacks.parse({**kind, "share": 1.0}))
    first, *_, last = measured(data, everyone, execution=execution)
    assert all(np.array_equal(a, b) for a, b in zip(first, last))


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(
    "aggregator", ["mean", pytest.param({"kind": "clipping", "norm": 0.3}, marks=pytest.mark.slow)]
)
def test_an_attacker_whose_training_diverges_is_left_out(
    data: FederatedData, execution: str, aggregator: Any
) -> None:
    participation = Participation(attacks=attacks.parse({"kind": "alie", "share": 1 / 3}))
    lost = int(np.flatnonzero(attackers(participation.attacks, CLIENTS, SEED))[0])  # type: ignore[arg-type]
    data.train.x[data.clients[lost]] = np.inf
    for weights in measured(data, participation, execution=execution, aggregator=aggregator):
        assert all(np.isfinite(w).all() for w in weights)


@pytest.mark.usefixtures("tff")
def test_a_negative_weight_counts_in_the_mean_of_an_attacked_round_as_in_any() -> None:
    import tensorflow as tf

    rows, weights = tf.constant([[1.0], [2.0], [4.0]]), tf.constant([2.0, -1.0, 3.0])
    sums = (rows, weights, tf.ones(3))  # factors of honest clients
    (mean,) = aggregated(None, sums, tf.constant(4.0), (tf.zeros(1),), lambda known: tf.zeros(1))
    np.testing.assert_allclose(mean, [(2 - 2 + 12) / 4])


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize(
    ("attackers", "share"),
    [
        (4, 4 / 5),  # of 9 clients: s = 1, so that 5 - 1 of the 5 honest ones are left
        (5, 4 / 6),  # of 10, of which 4 count: s = 2
        (9, 6 / 8),  # of 14, of which 6 count: s = 2
    ],
)
def test_z_of_a_majority_of_attackers_is_that_of_the_largest_minority(
    attackers: int, share: float
) -> None:
    known = Known(np.zeros((5, 1), np.float32), attackers)
    assert float(known.z_max) == pytest.approx(statistics.NormalDist().inv_cdf(share), abs=1e-5)


@pytest.mark.usefixtures("running")
def test_several_workers_divide_a_crafted_round_only_if_it_is_packed(data: FederatedData) -> None:
    chosen = attacks.parse({"kind": "ipm", "epsilon": 1.0, "share": 0.5})

    def reason(execution: Any) -> Any:
        training = Training(rounds=1, execution=execution)
        trainer = trainer_for(MODEL, training, data, COHORT, chosen)
        return undividable(*trainer.algorithm.computations)

    assert reason("packed") is None
    assert "one of its aggregations needs the result of another" in reason("standard")


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["auto", pytest.param("standard", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", sorted(set(algorithms.names()) - {"tff"}))
def test_an_algorithm_says_whether_attackers_can_change_its_updates(
    data: FederatedData, name: str, execution: str
) -> None:
    keys = {"rounds": 1, "execution": execution, **training_with(name)}
    training = Training.model_validate(keys)
    model = None if algorithms[name].spec.adapter else MODEL
    alie = attacks.parse({"kind": "alie", "share": 0.2})
    refused = False
    try:
        trainer_for(model, training, data, COHORT, alie)
    except ModelError as error:
        assert f"clients.attacks: {name} gives no way to change" in str(error)
        refused = True
    assert refused == bool(no_change(training.algorithm, execution == "standard"))


@pytest.mark.parametrize("name", attacks.names())
def test_an_attack_says_whether_it_changes_updates(name: str) -> None:
    made = attack(attacks.parse({"kind": name, "share": 0.2, **attacks[name].spec.example}))
    assert attacks[name].spec.changes_updates == (made.factor != 1 or made.craft is not None)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"kind": "ipm"}, "epsilon"),
        ({"kind": "ipm", "epsilon": 0.0}, "epsilon"),
        ({"kind": "alie", "z": 11.0}, "z"),
    ],
)
def test_keys_of_crafted_attacks_are_checked(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        attacks.parse({**keys, "share": 0.5})
