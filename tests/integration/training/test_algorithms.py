"""Each algorithm differs from FedAvg over three rounds exactly as its paper says.

The references are written in NumPy (float64) after the papers. Both run on five clients of very
different sizes, four of whom take part in each round, and an MLP with five hidden units.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from types import SimpleNamespace
from typing import Any, Optional

import numpy as np
import pytest
from example_data import algorithm, federation
from numpy_reference import (
    BASE,
    COHORT,
    MODEL,
    MOMENTUM,
    RATE,
    ROUNDS,
    SEED,
    Client,
    Server,
    Weights,
    assert_close,
    assert_far,
    batches,
    cohort_of,
    gradient,
    measure,
    reference,
    sgd,
)
from pydantic import ValidationError
from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.clients.cohort import LocalWork, cohort_of_round, shuffled_examples
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.stragglers.straggler import stragglers
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.algorithms import adaptive as adaptive_servers
from pytest_federated.training.algorithms.algorithm import AlgorithmInputs, algorithms
from pytest_federated.training.algorithms.scaffold import scaffold
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps
from pytest_federated.training.optimizers.optimizer import optimizers, server_optimizer_of
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

both = pytest.mark.parametrize("execution", ["standard", "packed"])


@both
@pytest.mark.parametrize(
    ("weighting", "weigh"),
    [
        ("num_batches", lambda examples, steps, loss: float(steps)),
        ("loss", lambda examples, steps, loss: loss),
    ],
    ids=["num_batches", "loss"],
)
def test_clients_can_be_weighted_by_batches_or_by_loss(
    data: FederatedData, weighting: str, weigh: Any, execution: str
) -> None:
    chosen = {"kind": "fedavg", "weighting": weighting}
    ours = measure(data, algorithm=chosen, execution=execution)
    assert_close(ours, reference(data, sgd(data, weigh)))
    assert_far(ours, reference(data, sgd(data)))


@both
@pytest.mark.parametrize("boosted", [False, True], ids=["honest", "boosted"])
def test_fedprox_can_weigh_stragglers_by_the_examples_they_hold(
    data: FederatedData, boosted: bool, execution: str
) -> None:
    """As litian96/FedProx, flearn/models/client.py, where solve_inner returns num_samples."""
    participation = Participation(
        stragglers=stragglers.parse({"kind": "epochs", "share": 0.75}),
        attacks=attacks.parse({"kind": "boost", "share": 0.4, "factor": 2.0}) if boosted else None,
    )
    mu, epochs = 0.5, 4

    def measured(weighting: str) -> tuple[list[Weights], list[Weights]]:
        """Returns our weights after each round, and those of the reference."""
        chosen = {"kind": "fedprox", "mu": mu, "weighting": weighting}
        settings = Training.model_validate(
            {**BASE, "local_epochs": epochs, "algorithm": chosen, "execution": execution}
        )
        trainer = trainer_for(MODEL, settings, data, COHORT, participation.attacks)
        weights = [w.numpy().astype(np.float64) for w in trainer.initial_weights(SEED).trainable]
        ours, theirs = [], []
        for step in steps(data, MODEL, settings, COHORT, SEED, participation=participation):
            ours.append([np.asarray(w) for w in trainer.algorithm.weights(step.state).trainable])
            number = step.round.round
            cohort = cohort_of_round(data, COHORT, SEED, number, settings.local_work, participation)
            assert step.round.stragglers == 3
            total, mass = [np.zeros_like(w) for w in weights], 0.0
            for held, done, factor in zip(cohort.examples, cohort.steps, cohort.factors):
                own, processed = weights, 0
                cut = [slice(begin, begin + 8) for begin in range(0, len(held), 8)] * epochs
                for batch in cut[:done]:
                    x, y = (
                        held.x[batch].reshape(len(held.y[batch]), -1).astype(np.float64),
                        held.y[batch],
                    )
                    down = gradient(own, x, y)
                    own = [
                        w - RATE * (g + mu * (w - start)) for w, g, start in zip(own, down, weights)
                    ]
                    processed += len(y)
                counted = len(held) if weighting == "examples_held" else processed
                total = [
                    t + counted * factor * (w - start) for t, w, start in zip(total, own, weights)
                ]
                mass += counted
            weights = [w + t / mass for w, t in zip(weights, total)]
            theirs.append(weights)
        return ours, theirs

    by_held, expected = measured("examples_held")
    assert_close(by_held, expected)
    by_processed, expected = measured("examples")
    assert_close(by_processed, expected)
    assert_far(by_held, by_processed)


@both
def test_clients_can_do_the_same_number_of_local_steps(data: FederatedData, execution: str) -> None:
    """Whatever they hold, and beginning again where they have gone through their batches."""

    def seven_steps(weights: Weights, client: int, number: int) -> Client:
        processed = 0
        for x, y in batches(data, client, number, epochs=7)[:7]:
            weights = [w - RATE * g for w, g in zip(weights, gradient(weights, x, y))]
            processed += len(y)
        return weights, processed

    ours = measure(data, local_epochs=1, local_steps=7, execution=execution)
    assert_close(ours, reference(data, seven_steps))
    assert_far(ours, measure(data, local_epochs=7, execution=execution))


@both
@pytest.mark.parametrize("local_steps", [None, 4])
def test_clients_without_examples_change_nothing(
    execution: str, local_steps: Optional[int]
) -> None:
    """Going through no batches as often as four steps need would never end."""
    some_empty = federation([5, 0, 17, 0, 20], seed=0)

    def train(weights: Weights, client: int, number: int) -> Client:
        processed = 0
        for x, y in batches(some_empty, client, number, epochs=4 if local_steps else 2)[
            :local_steps
        ]:
            weights = [w - RATE * g for w, g in zip(weights, gradient(weights, x, y))]
            processed += len(y)
        return weights, processed

    work = {"local_epochs": 1, "local_steps": local_steps} if local_steps else {"local_epochs": 2}
    assert_close(measure(some_empty, **work, execution=execution), reference(some_empty, train))


@both
def test_a_batch_can_be_all_that_a_client_has(data: FederatedData, execution: str) -> None:
    ours = measure(data, batch_size="all", execution=execution)
    largest = max(len(held) for held in data.clients)
    assert_close(ours, measure(data, batch_size=largest, execution=execution), atol=1e-7)


@both
def test_a_batch_can_be_a_share_of_what_a_client_has(data: FederatedData, execution: str) -> None:
    share = 0.3

    def client(weights: Weights, one: int, number: int) -> Client:
        size = math.ceil(share * len(data.clients[one]))
        for x, y in batches(data, one, number, size):
            weights = [w - RATE * g for w, g in zip(weights, gradient(weights, x, y))]
        return weights, len(data.clients[one])

    ours = measure(data, batch_size=share, execution=execution)
    assert_close(ours, reference(data, client))
    whole = measure(data, batch_size="all", execution=execution)
    assert_close(measure(data, batch_size=1.0, execution=execution), whole, atol=1e-7)


@both
def test_uniform_fedavg_with_a_server_rate_is_reptile(data: FederatedData, execution: str) -> None:
    """As openai/supervised-reptile, reptile.py (`train_step`): old + step (mean of new - old)."""
    meta_step = 0.4
    ours = measure(
        data,
        algorithm={"kind": "fedavg", "weighting": "uniform"},
        server_optimizer={"kind": "sgd", "learning_rate": meta_step},
        execution=execution,
    )

    def interpolated(old: Weights, change: Weights) -> Weights:
        averages = [o + c for o, c in zip(old, change)]
        return [o + meta_step * (n - o) for o, n in zip(old, averages)]

    equally = sgd(data, weigh=lambda examples, steps, loss: 1.0)
    assert_close(ours, reference(data, equally, interpolated))


@both
def test_gradients_of_clients_can_be_clipped_and_weights_can_decay(
    data: FederatedData, execution: str
) -> None:
    norm, decay = 0.5, 0.2

    def client(weights: Weights, one: int, number: int) -> Client:
        for x, y in batches(data, one, number):
            down = gradient(weights, x, y)
            length = np.sqrt(sum((g**2).sum() for g in down))
            down = [g * min(1, norm / length) for g in down]
            weights = [w - RATE * (g + decay * w) for w, g in zip(weights, down)]
        return weights, len(data.clients[one])

    optimizer = {"kind": "sgd", "learning_rate": RATE, "weight_decay": decay, "clip_norm": norm}
    ours = measure(data, client_optimizer=optimizer, execution=execution)
    assert_close(ours, reference(data, client))
    assert_far(ours, reference(data, sgd(data)))


@both
def test_fedsgd_is_a_step_along_the_gradient_over_all_examples(
    data: FederatedData, execution: str
) -> None:
    def whole(weights: Weights, client: int, number: int) -> Client:
        ((x, y),) = batches(data, client, number, size=100, epochs=1)
        return [w - g for w, g in zip(weights, gradient(weights, x, y))], len(y)

    def step(weights: Weights, change: Weights) -> Weights:
        return [w + RATE * c for w, c in zip(weights, change)]

    chosen = {"algorithm": "fedsgd", "local_epochs": 1, "execution": execution}
    ours = measure(data, **chosen, server_optimizer={"kind": "sgd", "learning_rate": RATE})
    assert_close(ours, reference(data, whole, step))
    assert_far(ours, reference(data, sgd(data)))
    # As in section 2 of the paper, it equals FedAvg with one local step on all examples.
    one_step = measure(data, execution=execution, local_epochs=1, batch_size=100)
    assert_close(ours, one_step, atol=5e-7)


def adaptive(kind: str, step: str, eta: float, tau: float, beta_1: float, beta_2: float) -> Server:
    """Returns the server step of Reddi et al., algorithm 2, lines 10 to 14, or of their code.

    Their code uses Keras's Adagrad and Adam, and utils/optimizers/yogi.py of
    google-research/federated.
    """
    m: Any = 0.0
    v: Any = tau**2 if step == "paper" else 0.0
    number = 0

    def next_weights(weights: Weights, change: Weights) -> Weights:
        nonlocal m, v, number
        number += 1
        flat = np.concatenate([c.ravel() for c in change])
        m = beta_1 * m + (1 - beta_1) * flat
        rate = eta
        if kind == "fedadagrad":
            v = v + flat**2
        else:
            if kind == "fedadam":
                v = beta_2 * v + (1 - beta_2) * flat**2
            else:
                v = v - (1 - beta_2) * flat**2 * np.sign(v - flat**2)
            if step == "code":
                rate = eta * np.sqrt(1 - beta_2**number) / (1 - beta_1**number)
        moved = np.split(rate * m / (np.sqrt(v) + tau), np.cumsum([w.size for w in weights])[:-1])
        return [w + part.reshape(w.shape) for w, part in zip(weights, moved)]

    return next_weights


@pytest.mark.parametrize(
    ("kind", "step", "execution"),
    [
        ("fedadagrad", "code", "packed"),
        ("fedadagrad", "paper", "standard"),
        ("fedadam", "code", "standard"),
        ("fedadam", "code", "packed"),
        ("fedadam", "paper", "packed"),
        ("fedyogi", "code", "packed"),
        ("fedyogi", "paper", "standard"),
    ],
)
def test_adaptive_servers_follow_the_authors(
    data: FederatedData, kind: str, step: str, execution: str
) -> None:
    keys = {"tau": 0.01, "beta_1": 0.8}
    betas = {} if kind == "fedadagrad" else {"beta_2": 0.95}
    chosen = {"kind": kind, **keys, **betas, **({} if step == "code" else {"step": step})}
    rate = {"learning_rate": 0.03}
    ours = measure(data, algorithm=chosen, server_optimizer=rate, execution=execution)
    server = adaptive(kind, step, 0.03, 0.01, 0.8, 0.95)
    assert_close(ours, reference(data, sgd(data), server), atol=1e-6)
    other = adaptive(kind, "paper" if step == "code" else "code", 0.03, 0.01, 0.8, 0.95)
    assert_far(ours, reference(data, sgd(data), other))


def steps_of_server(kind: str, changes: np.ndarray, rate: float, **keys: Any) -> np.ndarray:
    """Returns what the server of an algorithm adds to its weights, float64 (rounds, n)."""
    import tensorflow as tf

    chosen = algorithms.parse({"kind": kind, **keys})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptive_servers, "fedavg", lambda inputs, weighting: inputs.server_optimizer)
        step = partial(server_optimizer_of, optimizers.parse({"learning_rate": rate}))
        unread: Any = None
        inputs = AlgorithmInputs(unread, unread, unread, step)
        server: Any = algorithms.entry(chosen).call(chosen, inputs)
    weights: Any = (tf.zeros(changes.shape[1]),)
    state = server.initialize((tf.TensorSpec(changes.shape[1:], tf.float32),))
    path = [np.zeros(changes.shape[1])]
    for change in changes:
        state, weights = server.next(state, weights, (tf.constant(-change, tf.float32),))
        path.append(weights[0].numpy().astype(np.float64))
    return np.diff(path, axis=0)


@pytest.mark.parametrize("kind", ["fedadam", "fedadagrad"])
def test_adaptive_servers_step_as_keras_does(kind: str) -> None:
    """Keras's optimizers are the servers of the authors' experiments."""
    import tensorflow as tf

    legacy = tf.keras.optimizers.legacy
    kept: Any = legacy.Adam(0.03, beta_1=0.9, beta_2=0.99, epsilon=1e-2)
    if kind == "fedadagrad":
        kept = legacy.Adagrad(0.03, initial_accumulator_value=0.0, epsilon=1e-2)
    changes = np.random.default_rng(0).normal(0, 0.1, (12, 6))
    weights = tf.Variable(tf.zeros(6))
    path = [np.zeros(6)]
    for change in changes:
        kept.apply_gradients([(tf.constant(-change, tf.float32), weights)])
        path.append(weights.numpy().astype(np.float64))
    ours = steps_of_server(kind, changes, rate=0.03, tau=1e-2)
    np.testing.assert_allclose(ours, np.diff(path, axis=0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("step", ["code", "paper"])
@pytest.mark.parametrize("kind", ["fedadam", "fedyogi"])
def test_the_second_moment_is_that_of_the_change(kind: str, step: str) -> None:
    """If it were that of the momentum, the first step would be 0.0905."""
    steps = steps_of_server(kind, np.ones((1, 3)), rate=0.01, tau=1e-3, step=step)
    np.testing.assert_allclose(steps, 0.0099, atol=5e-6)


def test_fedavgm_keeps_a_momentum(data: FederatedData) -> None:
    velocity: Any = None

    def step(weights: Weights, change: Weights) -> Weights:
        nonlocal velocity
        velocity = [
            c if velocity is None else 0.6 * v + c for c, v in zip(change, velocity or change)
        ]
        return [w + 0.7 * v for w, v in zip(weights, velocity)]

    chosen = {"kind": "fedavgm", "momentum": 0.6}
    ours = measure(data, algorithm=chosen, server_optimizer={"learning_rate": 0.7})
    assert_close(ours, reference(data, sgd(data), step))
    assert_far(ours, reference(data, sgd(data)))


@both
@pytest.mark.parametrize(
    ("scheduled", "weighting"),
    [(False, "examples"), (True, "examples"), (False, "uniform")],
    ids=["plain", "scheduled", "uniform"],
)
def test_mime_lite_leaves_the_servers_momentum_unchanged(
    data: FederatedData, scheduled: bool, weighting: str, execution: str
) -> None:
    """Follows Karimireddy et al., algorithm 1, with the momentum of TFF's SGD."""
    momentum: Weights = []
    whole: list[tuple[float, Weights]] = []  # of the clients of this round
    rates = [RATE, RATE / 2, RATE / 4] if scheduled else [RATE] * 3

    def client(weights: Weights, one: int, number: int) -> Client:
        nonlocal momentum
        momentum = momentum or [np.zeros_like(w) for w in weights]
        ((x, y),) = batches(data, one, number, size=100, epochs=1)
        weight = len(y) if weighting == "examples" else 1.0
        whole.append((weight, gradient(weights, x, y)))
        for x, y in batches(data, one, number):
            step = gradient(weights, x, y)
            weights = [
                w - rates[number - 1] * (MOMENTUM * m + g)
                for w, m, g in zip(weights, momentum, step)
            ]
        return weights, whole[-1][0]

    def server(weights: Weights, change: Weights) -> Weights:
        nonlocal momentum
        mass = sum(n for n, _ in whole)
        mean = [sum(n * g[i] for n, g in whole) / mass for i in range(len(weights))]
        momentum = [MOMENTUM * m + g for m, g in zip(momentum, mean)]
        whole.clear()
        return [w + c for w, c in zip(weights, change)]

    optimizer: dict[str, Any] = {"kind": "sgd", "learning_rate": RATE, "momentum": MOMENTUM}
    if scheduled:
        optimizer["schedule"] = {"kind": "exponential", "rate": 0.5}
    chosen = {"kind": "mime_lite", "weighting": weighting}
    ours = measure(data, algorithm=chosen, client_optimizer=optimizer, execution=execution)
    assert_close(ours, reference(data, client, server))
    assert_far(ours, measure(data, client_optimizer=optimizer))


def test_scaffold_corrects_the_drift_of_clients(data: FederatedData) -> None:
    """Follows Karimireddy et al., algorithm 1, option II, with a part of the clients per round."""
    zeros = [np.zeros((16, 5)), np.zeros(5), np.zeros((5, 3)), np.zeros(3)]
    common, own = zeros, {client: zeros for client in range(5)}
    moved: list[Weights] = []

    def client(weights: Weights, one: int, number: int) -> Client:
        trained = weights
        for x, y in (used := batches(data, one, number)):
            trained = [
                w - RATE * (g - mine + c)
                for w, g, mine, c in zip(trained, gradient(trained, x, y), own[one], common)
            ]
        change = [(w - t) / (len(used) * RATE) - c for w, t, c in zip(weights, trained, common)]
        own[one] = [mine + c for mine, c in zip(own[one], change)]
        moved.append(change)
        return trained, 1.0

    def server(weights: Weights, change: Weights) -> Weights:
        nonlocal common
        common = [c + sum(m[i] for m in moved) / 5 for i, c in enumerate(common)]
        moved.clear()
        return [w + c for w, c in zip(weights, change)]

    ours = measure(data, algorithm="scaffold")
    assert_close(ours, reference(data, client, server))
    uniform = {"kind": "fedavg", "weighting": "uniform"}
    assert_far(ours, measure(data, algorithm=uniform))


def test_scaffold_finds_the_optimum_of_the_papers_quadratics(tff: Any) -> None:
    """As in theorem II, FedAvg with several local steps misses w = 0.

    The clients' functions are f1 = mu w^2 + G w and f2 = -G w.
    """
    import tensorflow as tf

    mu, bias, rate, local_steps = 0.5, 4.0, 0.1, 5

    class Quadratic(tf.keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(name="w", shape=(), initializer="ones")

        def call(self, x: Any) -> Any:
            return x[:, :1] * self.w**2 + x[:, 1:] * self.w

    class Value(tf.keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return y_pred

    def model() -> Any:
        return tff.learning.models.from_keras_model(
            tf.keras.Sequential([tf.keras.layers.InputLayer((2,)), Quadratic()]),
            loss=Value(),
            input_spec=OrderedDict(
                x=tf.TensorSpec((None, 2), tf.float32), y=tf.TensorSpec((None,), tf.int32)
            ),
        )

    sgdm = tff.learning.optimizers.build_sgdm
    algorithm = scaffold(AlgorithmInputs(model, sgdm(rate), sgdm(1.0), population=2))
    x = np.array([[mu, bias], [0.0, -bias]], np.float32)
    examples = [Examples(x[i : i + 1], np.zeros(1, np.int32)) for i in (0, 1)]
    cohort: Any = SimpleNamespace(clients=np.arange(2), examples=examples, steps=None)
    work = LocalWork(batch_size=20, epochs=local_steps)
    two: Any = SimpleNamespace(clients=[0, 1])
    weights = tff.learning.models.ModelWeights([np.float32(1.0)], [])
    rng = np.random.default_rng(0)
    state = algorithm.initialize(weights, two, rng)

    w = biased = measured = 1.0
    control, own = 0.0, [0.0, 0.0]
    for number in range(60):
        state, _ = algorithm.next(state, cohort, work, rng)
        ends, drifted, moved = [], [], []
        for i, (square, slope) in enumerate(x.astype(float)):
            y, z = w, biased
            for _ in range(local_steps):
                y -= rate * (2 * square * y + slope - own[i] + control)
                z -= rate * (2 * square * z + slope)
            moved.append((w - y) / (local_steps * rate) - control)
            own[i] += moved[-1]
            ends.append(y)
            drifted.append(z)
        w, biased, control = sum(ends) / 2, sum(drifted) / 2, control + sum(moved) / 2
        measured = float(algorithm.weights(state).trainable[0])
        if number < ROUNDS:
            assert measured == pytest.approx(w, abs=2e-6)
    assert measured == pytest.approx(0.0, abs=1e-3)
    # FedAvg's fixed point: K rate G / (1 - (1 - 2 mu rate)^K) - G / (2 mu).
    assert biased == pytest.approx(0.8839, abs=1e-3)


@pytest.mark.parametrize("local_steps", [None, 7])
def test_centralized_trains_on_the_pooled_examples(
    data: FederatedData, local_steps: Optional[int]
) -> None:
    """In epochs, or in as many steps as the clients of the cohort would take together."""
    work = {"local_epochs": 1, "local_steps": local_steps} if local_steps else {}
    settings = Training.model_validate({**BASE, "algorithm": "centralized", **work})
    weights = [
        w.numpy().astype(np.float64)
        for w in trainer_for(MODEL, settings, data).initial_weights(SEED).trainable
    ]
    expected = []
    for number in range(1, ROUNDS + 1):
        cohort = cohort_of(data, number)
        own = [shuffled_examples(data, int(client), SEED, number) for client in cohort]
        order = generator(SEED, Stream.ALGORITHM, number).permutation(sum(map(len, own)))
        x = np.concatenate([e.x for e in own])[order].reshape(len(order), -1).astype(np.float64)
        y = np.concatenate([e.y for e in own])[order]
        begins = [*range(0, len(y), 8)] * (len(own) * local_steps if local_steps else 2)
        for begin in begins[: len(own) * local_steps if local_steps else None]:
            part = slice(begin, begin + 8)
            step = gradient(weights, x[part], y[part])
            weights = [w - RATE * g for w, g in zip(weights, step)]
        expected.append(weights)
    assert_close(measure(data, algorithm="centralized", **work), expected)


@pytest.mark.parametrize("kind", ["epochs", "steps"])
def test_centralized_leaves_out_what_stragglers_do_not_finish(
    data: FederatedData, kind: str
) -> None:
    settings = Training.model_validate({**BASE, "local_epochs": 3, "algorithm": "centralized"})
    participation = Participation(stragglers=stragglers.parse({"kind": kind, "share": 0.75}))
    weights = [
        w.numpy().astype(np.float64)
        for w in trainer_for(MODEL, settings, data).initial_weights(SEED).trainable
    ]
    done = list(steps(data, MODEL, settings, COHORT, SEED, participation=participation))
    for number, step in enumerate(done, start=1):
        cohort = cohort_of_round(data, COHORT, SEED, number, settings.local_work, participation)
        assert step.round.stragglers == 3
        order = generator(SEED, Stream.ALGORITHM, number).permutation(
            sum(map(len, cohort.examples))
        )
        left = []  # the examples that each client processes, in order
        for own, taken in zip(cohort.examples, cohort.steps):
            cut = [[*range(len(own))][begin : begin + 8] for begin in range(0, len(own), 8)]
            left.append([example for batch in (cut * 3)[:taken] for example in batch])
        assert step.round.examples == sum(map(len, left))
        pool = [(client, i) for client, own in enumerate(cohort.examples) for i in range(len(own))]
        for epoch in range(3):
            here = [pool[o] for o in order if left[pool[o][0]].count(pool[o][1]) > epoch]
            x = np.array([cohort.examples[c].x[i].ravel() for c, i in here], np.float64)
            y = np.array([cohort.examples[c].y[i] for c, i in here])
            for begin in range(0, len(y), 8):
                part = slice(begin, begin + 8)
                down = gradient(weights, x[part], y[part])
                weights = [w - RATE * g for w, g in zip(weights, down)]
        state: Any = step.state
        for ours, expected in zip(state.weights.trainable, weights):
            np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6)


def test_local_only_trains_each_client_by_itself(data: FederatedData) -> None:
    settings = Training.model_validate({**BASE, "algorithm": "local_only"})
    trainer = trainer_for(MODEL, settings, data)
    *_, last = steps(data, MODEL, settings, COHORT, SEED)
    state: Any = last.state
    first = [w.numpy().astype(np.float64) for w in trainer.initial_weights(SEED).trainable]
    train, right = sgd(data), []
    for client in range(5):
        weights = first
        for number in range(1, ROUNDS + 1):
            if client in cohort_of(data, number):
                weights, _ = train(weights, client, number)
        for ours, expected in zip(state.weights.trainable, weights):
            np.testing.assert_allclose(ours[client], expected, rtol=0, atol=2e-6)
        x = data.test.x.reshape(len(data.test), -1)
        logits = np.maximum(x @ weights[0] + weights[1], 0) @ weights[2] + weights[3]
        right.append(np.mean(logits.argmax(axis=1) == data.test.y))
    assert last.round.accuracy == pytest.approx(np.mean(right))


@pytest.mark.parametrize("name", ["local_only", "centralized"])
def test_with_one_client_fedavg_is_local_training(name: str) -> None:
    alone = federation([30], 0)
    fedavg = measure(alone, cohort=1)
    settings = Training.model_validate({**BASE, "algorithm": name})
    *_, last = steps(alone, MODEL, settings, 1, SEED)
    state: Any = last.state
    for ours, theirs in zip(state.weights.trainable, fedavg[-1]):
        np.testing.assert_allclose(np.reshape(ours, theirs.shape), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "key"),
    [(n, key) for n in algorithms.names() for key in algorithms[n].spec.fixes],
)
def test_a_scenario_may_not_set_what_its_algorithm_sets(name: str, key: str) -> None:
    value = 3 if key.startswith("local_") else {"kind": "adam", "learning_rate": 0.1}
    training = {"rounds": 1, "algorithm": algorithm(name)}
    scenario = {"name": "a", "data": {"dataset": "digits"}, "clients": {"count": 2}, "model": "mlp"}
    Scenario.model_validate({**scenario, "training": training})
    with pytest.raises(ValidationError, match=f"{name} sets it itself: leave it out"):
        Scenario.model_validate({**scenario, "training": {**training, key: value}})
