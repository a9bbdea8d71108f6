"""Learning rates of clients and of the server that change from round to round."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np
import pytest
import tree
from example_data import algorithm
from numpy_reference import (
    BASE,
    COHORT,
    MODEL,
    RATE,
    ROUNDS,
    SEED,
    Weights,
    assert_close,
    assert_far,
    measure,
    reference,
    sgd,
)
from pydantic import ValidationError
from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.core.errors import ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import Step, steps
from pytest_federated.training.observer import Progress
from pytest_federated.training.schedules.schedule import factors, schedules, spanning
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

both = pytest.mark.parametrize("execution", ["standard", "packed"])
CLIENT, SERVER = "client_optimizer", "server_optimizer"


def refuses(name: str, side: str) -> bool:
    return f"training.{side}.schedule" in algorithms[name].spec.refuses


@pytest.fixture
def half_later() -> Iterator[str]:
    """The name of a schedule that is registered for the time of a test."""

    @schedules("half_later")
    def half_later(round_number: int) -> float:
        """All of it first, then a half."""
        return 1.0 if round_number == 1 else 0.5

    yield "half_later"
    entry = schedules._entries.pop("half_later")
    del schedules._by_params[entry.params]
    schedules._by_folder.pop("half_later", None)


def optimizer(rate: float, **keys: Any) -> dict[str, Any]:
    return {"kind": "sgd", "learning_rate": rate, **keys}


@both
def test_a_schedule_changes_the_clients_rate_by_round(data: FederatedData, execution: str) -> None:
    schedule = {"kind": "step", "every": 2, "rate": 0.3}
    keys: Any = {CLIENT: optimizer(RATE, schedule=schedule)}
    ours = measure(data, execution=execution, **keys)
    rates = [RATE, RATE, 0.3 * RATE]
    assert_close(ours, reference(data, sgd(data, rate=lambda number: rates[number - 1])))
    assert_far(ours, reference(data, sgd(data)))


@pytest.mark.parametrize("weighting", ["uniform", "examples_held", "num_batches", "loss"])
def test_so_it_does_with_any_weighting(data: FederatedData, weighting: str) -> None:
    weigh: Any = {
        "uniform": lambda examples, steps, loss: 1.0,
        "examples_held": lambda examples, steps, loss: float(examples),
        "num_batches": lambda examples, steps, loss: float(steps),
        "loss": lambda examples, steps, loss: loss,
    }[weighting]
    keys: Any = {
        "algorithm": {"kind": "fedavg", "weighting": weighting},
        CLIENT: optimizer(RATE, schedule={"kind": "exponential", "rate": 0.5}),
    }
    by_halves = sgd(data, weigh, rate=lambda number: RATE / 2 ** (number - 1))
    assert_close(measure(data, execution="standard", **keys), reference(data, by_halves))


def with_momentum(rates: list[float], momentum: float) -> Any:
    """Returns the step of a server by SGD with momentum, at the rate of each round."""
    velocity: Weights = []
    done = 0

    def step(weights: Weights, change: Weights) -> Weights:
        nonlocal velocity, done
        velocity = velocity or [np.zeros_like(w) for w in weights]
        velocity = [momentum * v + c for v, c in zip(velocity, change)]
        done += 1
        return [w + rates[done - 1] * v for w, v in zip(weights, velocity)]

    return step


@both
def test_both_sides_have_schedules_of_their_own(data: FederatedData, execution: str) -> None:
    falling = {"kind": "exponential", "rate": 0.5}
    keys: Any = {
        CLIENT: optimizer(2 * RATE, schedule=falling),
        SERVER: optimizer(0.9, momentum=0.6, schedule={"kind": "warmup", "rounds": 3}),
    }
    ours = measure(data, execution=execution, **keys)
    client = sgd(data, rate=lambda number: 2 * RATE / 2 ** (number - 1))
    assert_close(ours, reference(data, client, with_momentum([0.3, 0.6, 0.9], 0.6)))
    assert_far(ours, reference(data, client))


@both
def test_the_rate_of_an_adaptive_server_changes(data: FederatedData, execution: str) -> None:
    """Adam's averages go on as they were, and only the length of its step changes."""
    rate, tau, beta_1, beta_2 = 0.25, 0.01, 0.9, 0.99
    m: Any = 0.0
    v: Any = 0.0
    done = 0

    def step(weights: Weights, change: Weights) -> Weights:
        nonlocal m, v, done
        flat = np.concatenate([c.ravel() for c in change])
        done += 1
        m, v = beta_1 * m + (1 - beta_1) * flat, beta_2 * v + (1 - beta_2) * flat**2
        eta = 0.03 * rate ** (done - 1) * np.sqrt(1 - beta_2**done) / (1 - beta_1**done)
        moved = np.split(eta * m / (np.sqrt(v) + tau), np.cumsum([w.size for w in weights])[:-1])
        return [w + part.reshape(w.shape) for w, part in zip(weights, moved)]

    keys = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": tau}
    schedule = {"kind": "exponential", "rate": rate}
    adam = {"kind": "adam", "learning_rate": 0.03, "schedule": schedule, **keys}
    ours = measure(data, execution=execution, server_optimizer=adam)
    assert_close(ours, reference(data, sgd(data), step), atol=1e-6)


def is_rate(path: tuple[Any, ...], leaf: Any) -> bool:
    """Says whether it is a learning rate, or a factor of one, in an algorithm's state.

    Mime's server keeps what is in its clients' optimizer without the names.
    """
    names = {"learning_rate", "client_rate_factor", "server_rate_factor"}
    return bool(names & {*path}) or ("client_work" in path and np.shape(leaf) == ())


def halved(state: Any) -> Any:
    """Returns a state with half of the learning rates of the optimizers that are kept in it."""

    def half(path: tuple[Any, ...], leaf: Any) -> Any:
        return leaf / np.float32(2) if is_rate(path, leaf) else leaf

    return tree.map_structure_with_path(half, state)


def trained(state: Any) -> list[np.ndarray]:
    """Returns the arrays of a state, those that clients keep included, without rates."""
    leaves = tree.flatten_with_path(state)
    return [np.asarray(leaf) for path, leaf in leaves if not is_rate(path, leaf)]


# One of each way to train on clients; the others are slow together.
WAYS = ["fedprox", "scaffold", "fedper", "mime", "mime_lite", "local_only", "centralized"]
OTHERS = [n for n in algorithms.names() if n not in (*WAYS, "tff", "kmeans", "fedavg")]
CASES = [
    *((name, "auto") for name in WAYS),
    *((name, "standard") for name in ("fedprox", "scaffold")),
    *(pytest.param(name, "auto", marks=pytest.mark.slow) for name in OTHERS),
]


@pytest.mark.parametrize(("name", "execution"), CASES)
def test_every_algorithm_takes_schedules(
    data: FederatedData, half_later: str, name: str, execution: str
) -> None:
    """Half of the rates by a schedule, from the second round on, are rates that are half of it."""
    sides = [side for side in (CLIENT, SERVER) if not refuses(name, side)]

    def training(scale: float = 1, **keys: Any) -> Training:
        chosen = {side: optimizer(scale * RATE, **keys) for side in sides}
        work = {"algorithm": algorithm(name), "execution": execution, "local_epochs": 1}
        return Training.model_validate({**BASE, **work, **chosen, "rounds": 2})

    def run(training: Training, begin: Optional[Progress] = None) -> Iterator[Step]:
        return steps(data, MODEL, training, COHORT, SEED, begin)

    first = next(run(training()))
    (second,) = run(training(0.5), Progress((first.round,), halved(first.state)))
    kept = next(run(training(), Progress((first.round,), first.state)))
    for step, expected in zip(run(training(schedule=half_later)), (first, second)):
        pairs = [*zip(trained(step.state), trained(expected.state))]
        assert len(pairs) == len(trained(step.state)) == len(trained(expected.state))
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)
    assert any(
        np.abs(ours - theirs).max() > 1e-4
        for ours, theirs in zip(trained(second.state), trained(kept.state))
        if ours.dtype == np.float32 and ours.size
    )


@both
@pytest.mark.parametrize("name", ["q_fedavg", "scaffold"])  # which divide by the rate
def test_a_rate_of_zero_changes_no_weights(data: FederatedData, name: str, execution: str) -> None:
    falling = optimizer(RATE, schedule={"kind": "linear", "rounds": 1})
    keys: dict[str, Any] = {CLIENT: falling, "execution": execution, "rounds": 2}
    first, second = measure(data, algorithm=algorithm(name), **keys)
    for before, after in zip(first, second):
        np.testing.assert_array_equal(after, before)


@both
def test_a_round_without_clients_counts(data: FederatedData, execution: str) -> None:
    """The rate is that of the round, not of how often somebody took part."""
    cohorts = samplers.parse({"kind": "fixed", "cohorts": [[0, 1], [], [0, 1]]})
    schedule = {"kind": "exponential", "rate": 0.5}
    sides = {CLIENT: optimizer(RATE, schedule=schedule), SERVER: optimizer(1.0, schedule=schedule)}
    settings = Training.model_validate({**BASE, **sides, "execution": execution})
    done = list(steps(data, MODEL, settings, 2, SEED, participation=Participation(cohorts)))
    trainer = trainer_for(MODEL, settings, data, 2)
    weights = [
        [np.asarray(w) for w in trainer.algorithm.weights(step.state).trainable] for step in done
    ]
    train = sgd(data, rate=lambda number: RATE / 4)
    trained = [train([w.astype(np.float64) for w in weights[1]], client, 3) for client in (0, 1)]
    mass = sum(weight for _, weight in trained)
    for i, (old, ours) in enumerate(zip(weights[1], weights[2])):
        mean = sum(weight * own[i] for own, weight in trained) / mass
        np.testing.assert_allclose(ours, old + (mean - old) / 4, rtol=0, atol=2e-6)


@both
def test_attackers_can_change_what_they_send(data: FederatedData, execution: str) -> None:
    schedule = {"kind": "exponential", "rate": 0.5}
    settings = Training.model_validate(
        {**BASE, CLIENT: optimizer(RATE, schedule=schedule), "execution": execution}
    )
    flipped = attacks.parse({"kind": "sign_flip", "share": 1.0})
    initial = trainer_for(MODEL, settings, data).initial_weights(SEED).trainable
    after: list[Any] = []
    for who in (Participation(), Participation(attacks=flipped)):
        trainer = trainer_for(MODEL, settings, data, COHORT, who.attacks)
        step = next(steps(data, MODEL, settings, COHORT, SEED, participation=who))
        after.append(trainer.algorithm.weights(step.state).trainable)
    for start, honest, attacked in zip(initial, *after):
        np.testing.assert_allclose(
            np.asarray(attacked) - start, start - np.asarray(honest), rtol=0, atol=1e-6
        )


def test_an_algorithm_that_does_not_use_the_optimizer_says_so(data: FederatedData) -> None:
    """Such as a user's, which has to use what it is given."""

    @algorithms("stubborn")
    def stubborn(inputs: Any) -> Any:
        """Has a server of its own."""
        import tensorflow_federated as tff
        from pytest_federated.training.engine.standard import TffAlgorithm

        sgdm = tff.learning.optimizers.build_sgdm
        return TffAlgorithm(
            tff.learning.algorithms.build_weighted_fed_avg(inputs.model, sgdm(RATE), sgdm(1.0))
        )

    try:
        for side in (CLIENT, SERVER):
            keys: Any = {side: optimizer(RATE, schedule="inverse_sqrt")}
            with pytest.raises(ModelError, match=rf"training\.{side}\.schedule: the algorithm do"):
                measure(data, algorithm="stubborn", **keys)
    finally:
        entry = algorithms._entries.pop("stubborn")
        del algorithms._by_params[entry.params]
        algorithms._by_folder.pop("stubborn", None)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"kind": "exponential", "rate": 0.5}, [1, 0.5, 0.25, 0.125]),
        ({"kind": "step", "every": 2}, [1, 1, 0.1, 0.1]),
        ("inverse_sqrt", [1, 1 / math.sqrt(2), 1 / math.sqrt(3), 0.5]),
        ({"kind": "cosine", "rounds": 2, "lowest": 0.2}, [1, 0.6, 0.2, 0.2]),
        ("cosine", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
        ({"kind": "linear", "rounds": 2, "lowest": 0.2}, [1, 0.6, 0.2, 0.2]),
        ("linear", [1, 0.75, 0.5, 0.25]),
        ({"kind": "warmup", "rounds": 4}, [0.25, 0.5, 0.75, 1]),
    ],
)
def test_schedules_give_their_factors(chosen: Any, expected: list[float]) -> None:
    assert factors(spanning(schedules.parse(chosen), 4), 4) == pytest.approx(expected)


def test_a_schedule_spans_the_training_unless_it_says_otherwise() -> None:
    own = optimizer(RATE, schedule={"kind": "linear", "rounds": 2})
    training = Training.model_validate(
        {"rounds": ROUNDS, CLIENT: optimizer(RATE, schedule="linear"), SERVER: own}
    )
    shown = training.model_dump(mode="json")
    assert [shown[side]["schedule"]["rounds"] for side in (CLIENT, SERVER)] == [ROUNDS, 2]
    # Fewer rounds, as of --fed-rounds, are the first ones of the same training.
    shorter = training.model_copy(update={"rounds": 1})
    assert shorter.rate_factors()["client_rate_factor"] == (1.0,)
    again = Training.model_validate({**shown, "rounds": 2})
    assert again.rate_factors()["client_rate_factor"] == pytest.approx((1, 2 / 3))


def test_an_optimizer_outside_of_rounds_has_no_schedule() -> None:
    falling = optimizer(RATE, schedule="inverse_sqrt")
    tuned = {"personalize": {"steps": 1, "optimizer": falling}}
    recon = {"algorithm": {"kind": "fed_recon", "reconstruction_optimizer": falling}}
    for keys in (tuned, recon):
        with pytest.raises(ValidationError, match="got inverse_sqrt; there are no rounds here"):
            Training.model_validate({"rounds": 1, **keys})
