"""FedNova, q-FedAvg, FedDyn, Ditto, FedPer and FedRep follow their papers over three rounds.

The references are written in NumPy (float64) after the papers. Both run on five clients of very
different sizes, four of whom take part in each round, and an MLP with five hidden units.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Optional

import numpy as np
import pytest
from numpy_reference import (
    BASE,
    COHORT,
    MODEL,
    MOMENTUM,
    RATE,
    ROUNDS,
    SEED,
    Client,
    Weights,
    assert_close,
    assert_far,
    batches,
    cohort_of,
    cross_entropy,
    gradient,
    measure,
    reference,
    sgd,
)
from pydantic import ValidationError
from pytest_federated.clients.cohort import cohort_of_round
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.stragglers.straggler import stragglers
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.engine.build import Trainer, trainer_for
from pytest_federated.training.loop import Step, steps, train
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

CLIENTS = 5
UNIFORM = {"kind": "fedavg", "weighting": "uniform"}


def run(
    data: FederatedData, participation: Optional[Participation] = None, **training: Any
) -> tuple[list[Step], Trainer]:
    settings = Training.model_validate({**BASE, **training})
    participation = participation or Participation()
    done = list(steps(data, MODEL, settings, COHORT, SEED, participation=participation))
    return done, trainer_for(MODEL, settings, data, COHORT)


def first_weights(data: FederatedData) -> Weights:
    trainer = trainer_for(MODEL, Training.model_validate(BASE), data)
    return [w.numpy().astype(np.float64) for w in trainer.initial_weights(SEED).trainable]


def descend(
    weights: Weights,
    own: Any,
    correct: Callable[[Weights, Weights], Weights] = lambda gradients, weights: gradients,
) -> Weights:
    """Runs SGD over batches, along corrected gradients."""
    for x, y in own:
        down = correct(gradient(weights, x, y), weights)
        weights = [w - RATE * g for w, g in zip(weights, down)]
    return weights


def minus(one: Weights, other: Weights, factor: float = 1.0) -> Weights:
    return [factor * (a - b) for a, b in zip(one, other)]


@pytest.mark.parametrize("momentum", [None, MOMENTUM], ids=["plain", "momentum"])
def test_fednova_averages_changes_per_step(data: FederatedData, momentum: Optional[float]) -> None:
    """Follows Wang et al., equation 9, with the mean number of steps; stragglers do fewer."""
    participation = Participation(stragglers=stragglers.parse({"kind": "epochs", "share": 0.75}))
    optimizer = {"kind": "sgd", "learning_rate": RATE, "momentum": momentum}
    settings = {"local_epochs": 4, "client_optimizer": optimizer}
    done, trainer = run(data, participation, algorithm="fednova", **settings)
    ours = [[np.asarray(w) for w in trainer.algorithm.weights(s.state).trainable] for s in done]
    work = Training.model_validate({**BASE, **settings}).local_work
    weights, theirs, counts = first_weights(data), [], set()
    for number in range(1, ROUNDS + 1):
        cohort = cohort_of_round(data, COHORT, SEED, number, work, participation)
        changes, held, normalizers = [], [], []
        for examples, taken in zip(cohort.examples, cohort.steps):
            x, y = examples.x.reshape(len(examples), -1).astype(np.float64), examples.y
            cuts = [slice(b, b + 8) for b in range(0, len(y), 8)] * work.epochs
            own, velocity = weights, [np.zeros_like(w) for w in weights]
            given, counted = 0.0, 0.0  # the weight of the last gradients, and their sum
            for cut in cuts[:taken]:
                down = gradient(own, x[cut], y[cut])
                velocity = [(momentum or 0) * v + g for v, g in zip(velocity, down)]
                own = [w - RATE * v for w, v in zip(own, velocity)]
                given = (momentum or 0) * given + 1
                counted += given
            changes.append(minus(own, weights, 1 / counted))
            held.append(len(y))
            normalizers.append(counted)
            counts.add(int(taken))
        shares = np.array(held) / sum(held)
        steps_of_mean = float(shares @ normalizers)
        weights = [
            w + steps_of_mean * sum(p * c[i] for p, c in zip(shares, changes))
            for i, w in enumerate(weights)
        ]
        theirs.append(weights)
    assert len(counts) > 2, "clients of one number of steps would make it FedAvg"
    assert_close(ours, theirs)
    done, trainer = run(data, participation, algorithm="fedavg", **settings)
    fedavg = [[np.asarray(w) for w in trainer.algorithm.weights(s.state).trainable] for s in done]
    assert_far(ours, fedavg)


def test_fednova_of_clients_with_equal_steps_is_fedavg(data: FederatedData) -> None:
    one_step = {"batch_size": 100, "local_epochs": 3}
    ours = measure(data, algorithm="fednova", **one_step)
    assert_close(ours, measure(data, algorithm="fedavg", **one_step), atol=5e-7)


@pytest.mark.parametrize("q", [0.5, 2.0])
def test_q_fedavg_gives_weight_to_clients_of_high_loss(data: FederatedData, q: float) -> None:
    """Follows Li et al., algorithm 2."""
    scaled: list[tuple[float, float]] = []  # of the clients of this round: F^q, and h
    changes: list[Weights] = []

    def client(weights: Weights, one: int, number: int) -> Client:
        ((x, y),) = batches(data, one, number, size=100, epochs=1)
        loss = cross_entropy(weights, x, y)
        trained = descend(weights, batches(data, one, number))
        steep = minus(weights, trained, 1 / RATE)
        norm = sum(float((d**2).sum()) for d in steep)
        scaled.append((loss**q, q * loss ** (q - 1) * norm + loss**q / RATE))
        changes.append(steep)
        return trained, 1.0

    def server(weights: Weights, _: Weights) -> Weights:
        total = sum(h for _, h in scaled)
        moved = [
            w - sum(f * c[i] for (f, _), c in zip(scaled, changes)) / total
            for i, w in enumerate(weights)
        ]
        scaled.clear()
        changes.clear()
        return moved

    ours = measure(data, algorithm={"kind": "q_fedavg", "q": q})
    assert_close(ours, reference(data, client, server))
    assert_far(ours, measure(data, algorithm=UNIFORM))


def test_q_fedavg_with_q_0_is_fedavg_with_uniform_weights(data: FederatedData) -> None:
    ours = measure(data, algorithm={"kind": "q_fedavg", "q": 0})
    assert_close(ours, measure(data, algorithm=UNIFORM), atol=5e-7)


def test_feddyn_moves_the_optima_of_clients(data: FederatedData) -> None:
    """Follows Acar et al., algorithm 1, with a part of the clients in each round."""
    alpha = 0.3
    zeros = [np.zeros_like(w) for w in first_weights(data)]
    own = {client: zeros for client in range(CLIENTS)}
    h = zeros
    ends: list[Weights] = []

    def client(weights: Weights, one: int, number: int) -> Client:
        def regularized(gradients: Weights, current: Weights) -> Weights:
            parts = zip(gradients, own[one], current, weights)
            return [g - mine + alpha * (w - w0) for g, mine, w, w0 in parts]

        trained = descend(weights, batches(data, one, number), regularized)
        own[one] = [g - alpha * (w - w0) for g, w, w0 in zip(own[one], trained, weights)]
        ends.append(trained)
        return trained, 1.0

    def server(weights: Weights, _: Weights) -> Weights:
        nonlocal h
        h = [
            one - alpha / CLIENTS * sum(end[i] - w for end in ends)
            for i, (one, w) in enumerate(zip(h, weights))
        ]
        mean = [sum(end[i] for end in ends) / len(ends) for i in range(len(h))]
        ends.clear()
        return [w - one / alpha for w, one in zip(mean, h)]

    ours = measure(data, algorithm={"kind": "feddyn", "alpha": alpha})
    assert_close(ours, reference(data, client, server), atol=5e-6)
    assert_far(ours, measure(data, algorithm={"kind": "fedprox", "mu": alpha}))


def own_models(data: FederatedData, done: list[Step], trainer: Trainer) -> list[list[Weights]]:
    """Returns the weights of each client's own model, after each round."""
    algorithm: Any = trainer.algorithm
    return [
        [
            [np.asarray(w) for w in algorithm.own_weights(step.state, client).trainable]
            for client in range(CLIENTS)
        ]
        for step in done
    ]


def assert_all_close(ours: list[list[Weights]], theirs: list[list[Weights]]) -> None:
    for client in range(CLIENTS):
        assert_close([of[client] for of in ours], [of[client] for of in theirs])


def test_ditto_draws_the_own_models_to_the_common_one(data: FederatedData) -> None:
    """Follows Li et al., algorithm 1; the common model is FedAvg's."""
    penalty = 0.7
    done, trainer = run(data, algorithm={"kind": "ditto", "penalty": penalty})
    common = [first_weights(data), *reference(data, sgd(data))]
    own = [common[0]] * CLIENTS
    theirs: list[list[Weights]] = []
    for number in range(1, ROUNDS + 1):
        center = common[number - 1]

        def drawn(gradients: Weights, current: Weights, center: Weights = center) -> Weights:
            return [g + penalty * (v - w) for g, v, w in zip(gradients, current, center)]

        for one in cohort_of(data, number):
            own[one] = descend(own[one], batches(data, int(one), number), drawn)
        theirs.append(list(own))
    ours = own_models(data, done, trainer)
    assert_all_close(ours, theirs)
    states: list[Any] = [step.state for step in done]
    shared = [[np.asarray(w) for w in s.server.global_model_weights.trainable] for s in states]
    assert_close(shared, common[1:])
    assert_far([of[0] for of in ours], shared)


@pytest.mark.parametrize("head_epochs", [None, 3], ids=["fedper", "fedrep"])
def test_some_layers_are_averaged_and_the_others_stay(
    data: FederatedData, head_epochs: Optional[int]
) -> None:
    """Follows Arivazhagan et al., algorithms 1 and 2, and Collins et al., algorithm 1."""
    body, head = {0, 1}, {2, 3}

    def only(moved: set[int]) -> Callable[[Weights, Weights], Weights]:
        return lambda gradients, _: [
            g if i in moved else np.zeros_like(g) for i, g in enumerate(gradients)
        ]

    algorithm = {"kind": "fedper", "local_layers": "last", "head_epochs": head_epochs}
    done, trainer = run(data, algorithm=algorithm)
    first = first_weights(data)
    shared, own = first[:2], [first[2:]] * CLIENTS
    theirs: list[list[Weights]] = []
    for number in range(1, ROUNDS + 1):
        total, mass = [np.zeros_like(w) for w in shared], 0.0
        for one in cohort_of(data, number):
            weights = [*shared, *own[one]]
            if head_epochs is not None:
                again = batches(data, int(one), number, epochs=head_epochs)
                weights = descend(weights, again, only(head))
            moved = body if head_epochs is not None else body | head
            weights = descend(weights, batches(data, int(one), number), only(moved))
            own[one] = weights[2:]
            examples = len(data.clients[one])
            total = [t + examples * w for t, w in zip(total, weights)]
            mass += examples
        shared = [t / mass for t in total]
        theirs.append([[*shared, *of] for of in own])
    assert_all_close(own_models(data, done, trainer), theirs)
    with pytest.raises(ModelError, match="has no model that all clients share"):
        trainer.algorithm.weights(done[-1].state)


@pytest.mark.parametrize(
    "algorithm",
    [
        {"kind": "feddyn", "alpha": 0.1},
        {"kind": "ditto", "penalty": 0.1},
        {"kind": "fedper"},
    ],
    ids=lambda algorithm: algorithm["kind"],
)
def test_clients_whose_training_overflows_keep_what_they_had(
    data: FederatedData, algorithm: dict[str, Any]
) -> None:
    huge = {"kind": "sgd", "learning_rate": 1e38}
    done, _ = run(data, algorithm=algorithm, client_optimizer=huge)
    states: list[Any] = [step.state for step in done]
    for state in states:
        assert all(np.isfinite(values).all() for values in state.kept)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            {"algorithm": "scaffold", "client_optimizer": {"kind": "sgd", "momentum": 0.9}},
            "got sgd with momentum 0.9; scaffold is made for plain SGD",
        ),
        (
            {"algorithm": {"kind": "q_fedavg", "q": 1}, "client_optimizer": {"kind": "adam"}},
            "got adam; q_fedavg is made for plain SGD",
        ),
        (
            {"algorithm": "fednova", "client_optimizer": {"kind": "adam"}},
            "got adam; fednova is made for SGD; allowed: .* with momentum or without",
        ),
        (
            {"algorithm": {"kind": "q_fedavg", "q": 1}, "aggregator": "median"},
            "got median; q_fedavg aggregates in its own way: leave it out",
        ),
        ({"algorithm": "local_only", "aggregator": "median"}, "local_only aggregates in its own"),
    ],
)
def test_what_an_algorithm_is_not_made_for_is_refused_before_it_runs(
    training: dict[str, Any], message: str
) -> None:
    optimizer = training.get("client_optimizer")
    rated = {"client_optimizer": {"learning_rate": RATE, **optimizer}} if optimizer else {}
    with pytest.raises(ValidationError, match=message):
        Training.model_validate({**BASE, **training, **rated})


@pytest.mark.parametrize(
    "algorithm",
    [
        {"kind": "ditto", "penalty": 1.0},
        {"kind": "fed_recon", "split_dataset": False},
        {"kind": "ifca", "clusters": 2},
    ],
)
def test_own_models_that_no_client_can_be_judged_by_are_no_result(
    data: FederatedData, algorithm: dict[str, Any]
) -> None:
    """As with a data set's own test set, and clients too small to hold anything out."""
    nothing = replace(data, client_test=(np.array([], np.int64),) * CLIENTS)
    settings = Training.model_validate({**BASE, "rounds": 1, "algorithm": algorithm})
    with pytest.raises(DataError, match=r"test_fraction: .* no client holds out anything"):
        train(nothing, MODEL, settings, COHORT, SEED)


def test_a_training_with_own_models_is_judged_by_them(data: FederatedData) -> None:
    settings = Training.model_validate({**BASE, "algorithm": {"kind": "ditto", "penalty": 1.0}})
    history = train(data, MODEL, settings, COHORT, SEED)
    done, trainer = run(data, algorithm={"kind": "ditto", "penalty": 1.0})
    right = 0
    tested = list(data.tested_by_client())
    for (client, examples), weights in zip(tested, own_models(data, done, trainer)[-1]):
        x = examples.x.reshape(len(examples), -1)
        scores = np.maximum(x @ weights[0] + weights[1], 0) @ weights[2] + weights[3]
        right += int((scores.argmax(axis=1) == examples.y).sum())
        assert client == tested[client][0]
    accuracy = history.rounds[-1].accuracy
    assert accuracy == pytest.approx(right / sum(len(e) for _, e in tested))
