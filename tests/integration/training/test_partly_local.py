"""Federated reconstruction follows its paper over three rounds, and FedAvg without local layers.

The reference is written in NumPy (float64) after algorithm 1 of Singhal et al., NeurIPS 2021. Both
run on five clients of very different sizes, four of whom take part in each round.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tree
from example_data import federation
from numpy_reference import Weights, gradient
from pytest_federated.clients.cohort import Cohort, cohort_of_round, shuffled_examples
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.stragglers.straggler import stragglers
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.aggregators.differential_privacy import NOISE_SEED
from pytest_federated.training.engine.build import Trainer, trainer_for
from pytest_federated.training.engine.build import _trainers as built
from pytest_federated.training.loop import Step, steps, train
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

SEED, ROUNDS, COHORT, BATCH, RATE = 1, 3, 4, 4, 0.1
MODEL = models.parse({"kind": "mlp", "hidden": [5]})
ALL_WELL = Participation()
EXECUTIONS = ["packed", "standard"]
BASE = {"rounds": ROUNDS, "local_epochs": 2, "batch_size": BATCH}


def training(execution: str = "auto", **algorithm: Any) -> Training:
    return Training.model_validate(
        {**BASE, "execution": execution, "algorithm": {"kind": "fed_recon", **algorithm}}
    )


def run(
    data: FederatedData,
    settings: Training,
    participation: Participation = ALL_WELL,
) -> tuple[list[Step], Trainer]:
    done = list(steps(data, MODEL, settings, COHORT, SEED, participation=participation))
    return done, trainer_for(MODEL, settings, data, COHORT)


def shared(step: Step) -> Weights:
    state: Any = step.state
    server = getattr(state, "server", state)  # of packed clients
    return [np.asarray(w) for w in server.global_model_weights.trainable]


def cut(own: Examples) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the batches of one epoch."""
    x, y = own.x.reshape(len(own), -1).astype(np.float64), own.y
    return [(x[b : b + BATCH], y[b : b + BATCH]) for b in range(0, len(own), BATCH)]


def descend(weights: Weights, batches: Any, moved: set[int], rate: float) -> Weights:
    """Runs SGD on some of the weights, with the others fixed."""
    for x, y in batches:
        down = gradient(weights, x, y)
        weights = [w - rate * g if i in moved else w for i, (w, g) in enumerate(zip(weights, down))]
    return weights


def losses(weights: Weights, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cross entropy of each example, and whether its prediction is right."""
    logits = np.maximum(x.reshape(len(y), -1) @ weights[0] + weights[1], 0) @ weights[2]
    logits = logits + weights[3]
    high = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - high).sum(axis=1)) + high[:, 0]
    return total - logits[np.arange(len(y)), y], logits.argmax(axis=1) == y


class Reference:
    """Server and clients, with local weights at the positions `own`."""

    def __init__(self, data: FederatedData, first: Weights, own: set[int], **keys: Any) -> None:
        self.data, self.first, self.own = data, first, own
        self.split, self.uniform = keys["split"], keys.get("uniform", False)
        self.epochs, self.most = keys.get("epochs", 1), keys.get("most")
        self.rate = keys.get("rate", RATE)
        self.weights = first

    def reconstructed(self, batches: Any) -> Weights:
        begin = [(self.first if i in self.own else self.weights)[i] for i in range(len(self.first))]
        return descend(begin, (batches * self.epochs)[: self.most], self.own, self.rate)

    def round(self, cohort: Cohort) -> int:
        """Averages the clients' shared weights; returns the number of examples that count."""
        places, trained = set(range(len(self.first))) - self.own, []
        for own, steps_done in zip(cohort.examples, cohort.steps):
            batches = cut(own)
            support, query = (batches[::2], batches[1::2]) if self.split else (batches, batches)
            # The share of its other steps that the client finishes, beyond reconstruction.
            taken = (query * 2)[: math.ceil(steps_done * len(query) / len(batches))]
            count = sum(len(y) for _, y in taken)
            weights = descend(self.reconstructed(support), taken, places, RATE)
            trained.append((weights, 1 if self.uniform else count, count))
        mass = sum(weight for _, weight, _ in trained)
        self.weights = [
            np.sum([weight * ws[i] for ws, weight, _ in trained], axis=0) / mass
            for i in range(len(self.first))
        ]
        return sum(count for _, _, count in trained)

    def shared(self) -> Weights:
        return [w for i, w in enumerate(self.weights) if i not in self.own]

    def judged(self) -> tuple[float, float]:
        """Returns loss and accuracy of all clients, reconstructed from training examples."""
        total, right = [], []
        for client, tested in self.data.tested_by_client():
            own = shuffled_examples(self.data, client, self.data.seed, 0)
            for values, of in zip(
                losses(self.reconstructed(cut(own)), tested.x, tested.y), (total, right)
            ):
                of.extend(values)
        return float(np.mean(total)), float(np.mean(right))


def check(
    data: FederatedData,
    settings: Training,
    own: set[int],
    participation: Participation = ALL_WELL,
    **keys: Any,
) -> None:
    done, trainer = run(data, settings, participation)
    first = [w.numpy().astype(np.float64) for w in trainer.initial_weights(SEED).trainable]
    reference = Reference(data, first, own, **keys)
    for number, step in enumerate(done, start=1):
        cohort = cohort_of_round(data, COHORT, SEED, number, settings.local_work, participation)
        assert step.round.examples == reference.round(cohort) == step.planned_examples
        for a, b in zip(shared(step), reference.shared()):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)
        loss, accuracy = reference.judged()
        assert step.round.loss == pytest.approx(loss, abs=1e-5)
        assert step.round.accuracy == pytest.approx(accuracy)
    # The tolerance distinguishes the weights from the initial ones.
    begin = Reference(data, first, own, **keys).shared()
    assert max(np.abs(a - b).max() for a, b in zip(shared(done[-1]), begin)) > 1e-2


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_the_last_layer_stays_local_and_uses_disjoint_halves(
    data: FederatedData, execution: str
) -> None:
    check(data, training(execution), {2, 3}, split=True)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_the_reconstruction_follows_its_keys(data: FederatedData, execution: str) -> None:
    chosen = {
        "local_layers": "first",
        "reconstruction_optimizer": {"kind": "sgd", "learning_rate": 0.3},
        "reconstruction_epochs": 2,
        "reconstruction_steps": 5,
        "split_dataset": False,
        "weighting": "uniform",
    }
    keys = {"split": False, "uniform": True, "epochs": 2, "most": 5, "rate": 0.3}
    held = tuple(own[: len(own) // 3] for own in data.clients)
    kept = tuple(own[len(own) // 3 :] for own in data.clients)
    slow = Participation(stragglers=stragglers.parse({"kind": "epochs", "share": 0.5}))
    tested = replace(data, clients=kept, client_test=held)
    check(tested, training(execution, **chosen), {0, 1}, slow, **keys)


def test_without_local_layers_it_is_fedavg(data: FederatedData) -> None:
    ours = run(data, training(local_layers=[], split_dataset=False))[0]
    theirs = run(data, Training.model_validate(BASE))[0]
    for one, other in zip(ours, theirs):
        for a, b in zip(shared(one), shared(other)):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
        assert one.round.train_loss == pytest.approx(other.round.train_loss, abs=1e-5)
        assert one.round.loss == pytest.approx(other.round.loss, abs=1e-5)
        assert one.round.accuracy == other.round.accuracy


@pytest.mark.parametrize("kind", ["fed_recon", "local_only"])
def test_each_client_is_measured_with_its_own_model(data: FederatedData, kind: str) -> None:
    held = tuple(own[: len(own) // 3] for own in data.clients)  # none of the last client
    kept = tuple(own[len(own) // 3 :] for own in data.clients)
    divided = replace(data, clients=kept, client_test=held)
    settings = Training.model_validate({**BASE, "algorithm": kind, "batch_size": 2})
    history = train(divided, MODEL, settings, COHORT, SEED)
    assert history.measured_clients == (0, 1, 2, 3)
    sizes = [len(own) for own in held[:4]]
    mean = np.average(history.client_accuracy, weights=sizes)
    assert history.rounds[-1].accuracy == pytest.approx(mean, abs=1e-5)
    for found, size in zip(history.client_accuracy, sizes):
        assert found * size == pytest.approx(round(found * size), abs=1e-4)
    assert train(data, MODEL, settings, COHORT, SEED).client_accuracy == ()


def test_only_the_shared_layers_are_sent(data: FederatedData) -> None:
    done, trainer = run(data, training())
    sent = 4 * (16 * 5 + 5)
    assert (done[0].round.bytes_down, done[0].round.bytes_up) == (COHORT * sent, COHORT * sent)
    assert trainer.adapter.parameters() == 16 * 5 + 5 + 5 * 3 + 3


def test_a_process_that_is_built_again_gives_the_same_numbers(data: FederatedData) -> None:
    """The initial weights of local layers come from the seed, and not from Keras."""
    one = run(data, training("standard"))[0][-1]
    built.clear()
    other = run(data, training("standard"))[0][-1]
    assert one.round == other.round
    for a, b in zip(shared(one), shared(other)):
        np.testing.assert_array_equal(a, b)


def test_noise_comes_from_the_seed_of_the_training(data: FederatedData) -> None:
    private = {"kind": "dp", "noise_multiplier": 1.0, "clip": 1.0}
    chosen = Training.model_validate({**BASE, "algorithm": "fed_recon", "aggregator": private})
    trainer = trainer_for(MODEL, chosen, data)
    states = [trainer.initial_state(seed, data) for seed in (1, 1, 2)]
    found = [
        [leaf for path, leaf in tree.flatten_with_path(s) if NOISE_SEED in path] for s in states
    ]
    assert np.array_equal(found[0], found[1])
    assert len(found[0]) and not np.array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (["dnse_head"], r"got 'dnse_head'; the model has 2 layers .* allowed: .*dense"),
        ([2], "got 2; the model has 2 layers with weights to train and no such one"),
        ([0, -1], r"got \[0, -1\]; fed_recon shares the other layers, and there are none"),
    ],
)
def test_layers_that_cannot_stay_local_are_refused(
    data: FederatedData, layers: Any, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        trainer_for(MODEL, training(local_layers=layers), data)


def test_clients_of_one_batch_have_nothing_left_to_train_on() -> None:
    with pytest.raises(DataError, match="no client of the round has a second batch to train on"):
        run(federation([4, 3, 4, 2], 0), training())
