"""Fine-tuning of the final model on each client, and learning processes of the user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import federation
from numpy_reference import gradient
from pydantic import ValidationError
from pytest_federated.clients.cohort import shuffled_examples
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.evaluation.personalized import tuning
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

SEED = 1
MODEL = models.parse({"kind": "mlp", "hidden": [5]})


@pytest.fixture(scope="module")
def data() -> FederatedData:
    """Two clients that hold out their last third, and one that holds out nothing."""
    whole = federation([30, 24, 3], 0)
    cut = [len(own) - len(own) // 3 for own in whole.clients[:2]] + [3]
    return replace(
        whole,
        clients=tuple(own[:n] for own, n in zip(whole.clients, cut)),
        client_test=tuple(own[n:] for own, n in zip(whole.clients, cut)),
    )


@pytest.mark.parametrize("execution", ["packed", "standard"])
def test_clients_take_their_steps_from_the_final_model(data: FederatedData, execution: str) -> None:
    settings = {"rounds": 2, "batch_size": 8, "execution": execution}
    optimizer = {"kind": "sgd", "learning_rate": 0.7}
    chosen = Training.model_validate(
        {**settings, "personalize": {"steps": 5, "optimizer": optimizer}}
    )
    history = train(data, MODEL, chosen, 3, SEED)
    *_, last = steps(data, MODEL, chosen, 3, SEED)
    final = trainer_for(MODEL, chosen, data).algorithm.weights(last.state).trainable
    expected = []
    for client in (0, 1):
        own, test = shuffled_examples(data, client, SEED, 3), data.test_examples(client)
        x, y = own.x.reshape(len(own), -1).astype(np.float64), own.y
        weights = [np.asarray(w, np.float64) for w in final]
        batches = [slice(b, b + 8) for b in range(0, len(own), 8)]
        for number in range(5):
            part = batches[number % len(batches)]
            step = gradient(weights, x[part], y[part])
            weights = [w - 0.7 * g for w, g in zip(weights, step)]
        z = test.x.reshape(len(test), -1)
        logits = np.maximum(z @ weights[0] + weights[1], 0) @ weights[2] + weights[3]
        expected.append(np.mean(logits.argmax(axis=1) == test.y))
    assert history.personalized_accuracy == pytest.approx(expected, abs=1e-5)
    assert (
        train(data, MODEL, Training.model_validate(settings), 3, SEED).personalized_accuracy == ()
    )


def test_fine_tuning_is_built_once_for_all_seeds(data: FederatedData) -> None:
    settings = {"rounds": 1, "batch_size": 8, "personalize": {"steps": 4}}
    built = tuning.cache_info().misses
    for seed in (0, 1):
        train(data, MODEL, Training.model_validate(settings), 3, seed)
    assert tuning.cache_info().misses == built + 1


@pytest.mark.parametrize(
    ("training", "data", "message"),
    [
        ({}, {}, "needs data.holdout: per_client"),
        ({"algorithm": "local_only"}, {"holdout": "per_client"}, "has no model that all clients"),
    ],
    ids=["nothing held out", "no model"],
)
def test_personalization_that_is_impossible_is_refused(
    training: Any, data: Any, message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Scenario.model_validate(
            {
                "name": "a",
                "data": {"dataset": "digits", **data},
                "clients": {"count": 2},
                "model": "mlp",
                "training": {"rounds": 1, "personalize": {"steps": 1}, **training},
            }
        )


def test_fine_tuned_clients_are_judged_on_test_rows_of_their_own() -> None:
    data = federation([12, 9], SEED)
    test = federation([3, 5], 7).train
    own = (np.arange(3), np.arange(3, 8))
    training = Training.model_validate({"rounds": 1, "personalize": {"steps": 1}})
    tested = replace(data, tested=test, test=test, client_test=own)
    joined = Examples(np.concatenate([data.train.x, test.x]), np.append(data.train.y, test.y))
    moved = tuple(len(data.train) + positions for positions in own)
    same = replace(data, train=joined, client_test=moved)
    figures = [train(d, MODEL, training, 2, SEED).personalized_accuracy for d in (tested, same)]
    assert len(figures[0]) == 2 and figures[0] == figures[1]


def test_clients_without_test_examples_are_refused_before_they_train() -> None:
    training = Training.model_validate({"rounds": 1, "personalize": {"steps": 1}})
    with pytest.raises(DataError, match=r"^training\.personalize: no client has test examples of"):
        train(federation([12, 9], SEED), MODEL, training, 2, SEED)


PROCESSES = """\
import tensorflow_federated as tff

def build(model_fn, server_optimizer, *, rate):
    return tff.learning.algorithms.build_weighted_fed_avg(
        model_fn, tff.learning.optimizers.build_sgdm(rate), server_optimizer)

def wrong(model_fn):
    return model_fn

def raises():
    return 1 / 0

def without_metrics():
    return tff.learning.algorithms.build_fed_kmeans(2, (4,), (0, 0))
"""


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_processes.py").write_text(PROCESSES)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("processes")
def test_a_process_of_the_user_is_run_unchanged(data: FederatedData) -> None:
    def final(**training: Any) -> Any:
        settings = Training.model_validate({"rounds": 2, "execution": "standard", **training})
        *_, last = steps(data, MODEL, settings, 3, SEED)
        return last.state.global_model_weights.trainable, last.round

    own = {"tff": "odd_processes:build", "args": {"rate": 0.1}}
    (ours, one), (theirs, other) = final(algorithm=own), final()
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs))
    assert one == other


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "wrong",
            "odd_processes:wrong gave function, not a tff.learning.templates.LearningProcess",
        ),
        (
            "raises",
            r"odd_processes:raises raised ZeroDivisionError: .* \(line 11 of .*return 1 / 0",
        ),
        ("nothing", "the module 'odd_processes' has no function 'nothing'"),
        ("without_metrics", "has no metrics num_examples, loss, accuracy under client_work, train"),
    ],
)
def test_a_wrong_process_of_the_user_is_named(
    data: FederatedData, function: str, message: str
) -> None:
    settings = Training.model_validate(
        {"rounds": 1, "algorithm": {"tff": f"odd_processes:{function}"}}
    )
    with pytest.raises(ModelError, match=f"training.algorithm.tff: .*{message}"):
        trainer_for(MODEL, settings, data)


@pytest.mark.usefixtures("processes")
def test_an_aggregator_that_a_process_of_the_user_would_ignore_is_refused(
    data: FederatedData,
) -> None:
    own = {"tff": "odd_processes:build", "args": {"rate": 0.1}}
    settings = Training.model_validate({"rounds": 1, "algorithm": own, "aggregator": "clipping"})
    with pytest.raises(ModelError, match="odd_processes:build has no parameter model_aggregator"):
        trainer_for(MODEL, settings, data)
