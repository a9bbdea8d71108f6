"""Figures of single clients after rounds, with `training.eval_clients_every`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import federation
from pytest_federated.core.errors import DataError
from pytest_federated.data.federation import FederatedData
from pytest_federated.metrics.prediction import scores_of
from pytest_federated.training.checkpoints import Checkpoints
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.evaluation import per_client
from pytest_federated.training.history import ON_CLIENTS, TrainingHistory
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.model import models
from pytest_federated.training.observer import Observer, Progress
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

MODEL = models.parse({"kind": "mlp", "hidden": [5]})
SCORES = scores_of({"f1": MODEL}, "label")


def trained(data: FederatedData, rounds: int = 5, **more: Any) -> TrainingHistory:
    checkpoints, observer = more.pop("checkpoints", None), more.pop("observer", Observer())
    training = Training.model_validate({"rounds": rounds, **more})
    return train(data, MODEL, training, len(data.clients), 0, observer, checkpoints, scores=SCORES)


def test_clients_are_measured_after_every_second_round_and_the_last() -> None:
    data = federation([40, 3, 17, 30], 0)
    plain, history = trained(data), trained(data, eval_clients_every=2)
    assert [r.round for r in history.rounds if r.client_accuracy] == [2, 4, 5]
    assert history.model_dump(exclude={"rounds"}) == plain.model_dump(exclude={"rounds"})
    assert [r.model_dump(exclude={*ON_CLIENTS}) for r in history.rounds] == [
        r.model_dump() for r in plain.rounds
    ]
    last = history.rounds[-1]
    assert last.client_accuracy == history.client_accuracy
    assert last.client_scores == history.client_scores
    assert {*last.client_scores} == {"f1"}
    settings = Training(rounds=2)
    *_, step = steps(data, MODEL, settings, 4, 0)
    weights = trainer_for(MODEL, settings, data).algorithm.weights(step.state).trainable
    a, b, c, d = (np.asarray(w) for w in weights)
    outputs = np.maximum(data.train.x.reshape(len(data.train), -1) @ a + b, 0) @ c + d
    right = outputs.argmax(axis=1) == data.train.y
    expected = [right[own].mean() for own in data.clients]
    assert history.rounds[1].client_accuracy == pytest.approx(expected, abs=1e-6)


def test_rounds_measure_all_that_clients_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(per_client, "_EXAMPLES", 45)
    monkeypatch.setattr(per_client, "_SHARE", 1e-9)
    data = replace(federation([40, 3, 17, 30], 0), names=("a", "b", "c", "d"))
    history = trained(data, 2, eval_clients_every=1)
    assert len(history.client_accuracy) < 4 == len(history.rounds[0].client_accuracy)
    assert history.rounds[0].measured_clients == ()
    monkeypatch.setattr(per_client, "_CLIENTS", 3)
    history = trained(data, 2, eval_clients_every=1)
    first, last = history.rounds
    assert len(first.measured_clients) == 3
    assert first.measured_clients == last.measured_clients  # the same clients in all rounds
    assert {*history.measured_clients} < {*first.measured_clients}


@pytest.mark.parametrize("before", [3, 7])
def test_a_resumed_training_has_the_figures_of_its_own_rounds(before: int, tmp_path: Path) -> None:
    data = federation([10, 20], 0)
    folder = tmp_path / "checkpoints"
    trained(data, before, eval_clients_every=2, checkpoints=Checkpoints(folder, 1, keeps_last=True))
    resumed = trained(data, 5, eval_clients_every=2, checkpoints=Checkpoints(folder, 1))
    assert resumed == trained(data, 5, eval_clients_every=2)


def test_models_of_ones_own_are_judged_on_what_clients_hold_out() -> None:
    class NoRounds(Observer):
        def after_round(self, progress: Progress) -> bool:
            raise AssertionError("trained before it said so")

    data = federation([10, 20], 0)
    with pytest.raises(DataError) as error:
        trained(data, 3, algorithm="local_only", eval_clients_every=2, observer=NoRounds())
    assert str(error.value) == (
        "training.eval_clients_every: with local_only, clients have models of their own, which are "
        "judged on examples of their own; needs data.holdout: per_client"
    )
    tested = replace(data, client_test=data.clients)
    history = trained(tested, 2, algorithm="local_only", eval_clients_every=1)
    assert [len(r.client_accuracy) for r in history.rounds] == [2, 2]
    assert history.rounds[-1].client_accuracy == history.client_accuracy
