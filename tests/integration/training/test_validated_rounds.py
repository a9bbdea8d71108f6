"""The validation set is evaluated whenever the test set is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_data import federation
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.checkpoints import Checkpoints
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.history import TrainingHistory
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

MODEL = models.parse("linear")


def validated(sizes: list[int]) -> FederatedData:
    held = federation([12], 9).train
    return replace(federation(sizes, 0), validation=Examples(held.x, held.y))


def curves(history: TrainingHistory) -> list[tuple[bool, bool, bool]]:
    return [
        (r.loss is None, r.validation_loss is None, r.validation_accuracy is None)
        for r in history.rounds
    ]


@pytest.mark.parametrize("execution", ["standard", "packed"])
def test_figures_are_those_of_the_model_after_the_round(execution: str) -> None:
    data = validated([20, 9])
    settings = {"rounds": 3, "eval_every": 2, "execution": execution}
    training = Training.model_validate(settings)
    history = train(data, MODEL, training, 2, 0)
    assert curves(history) == [(True,) * 3, (False,) * 3, (False,) * 3]
    assert history.validation_examples == 12
    trainer = trainer_for(MODEL, training, data)
    held = data.validation
    assert held is not None
    for step in steps(data, MODEL, training, 2, 0):
        w, b = (np.asarray(v) for v in trainer.algorithm.weights(step.state).trainable)
        logits = held.x.reshape(12, -1) @ w + b
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        if step.round.validation_loss is not None:
            accuracy = (logits.argmax(axis=1) == held.y).mean()
            loss = -np.log(shares[np.arange(12), held.y]).mean()
            assert step.round.validation_accuracy == pytest.approx(accuracy)
            assert step.round.validation_loss == pytest.approx(loss, rel=1e-5)


def test_the_validation_set_changes_no_other_figure() -> None:
    training = Training(rounds=2)
    data = validated([20, 9])
    plain = train(replace(data, validation=None), MODEL, training, 2, 0)
    whole = train(data, MODEL, training, 2, 0)
    none = {"validation_loss": None, "validation_accuracy": None}
    rounds = tuple(done.model_copy(update=none) for done in whole.rounds)
    assert whole.model_copy(update={"rounds": rounds, "validation_examples": 0}) == plain


def test_models_of_single_clients_are_judged_on_what_these_hold_out() -> None:
    data = federation([12, 9], 0)
    held = tuple(own[:3] for own in data.clients)
    kept = tuple(own[3:] for own in data.clients)
    whole = data.train.select(np.concatenate(held))
    data = replace(data, clients=kept, client_validation=held, validation=whole)
    training = Training.model_validate({"rounds": 1, "algorithm": "local_only"})
    (done,) = train(data, MODEL, training, 2, 0).rounds
    tested = replace(data, client_test=held, validation=None)
    (as_test,) = train(tested, MODEL, training, 2, 0).rounds
    assert done.validation_loss == as_test.loss != done.loss
    assert done.validation_accuracy == as_test.accuracy


def test_a_training_that_goes_on_is_evaluated_like_a_whole_one(tmp_path: Path) -> None:
    data = validated([20, 9])
    long = Training(rounds=4, eval_every=3)
    first = Checkpoints(tmp_path / "a", every=1, keeps_last=True)
    train(data, MODEL, Training(rounds=2), 2, 0, checkpoints=first)
    resumed = train(data, MODEL, long, 2, 0, checkpoints=Checkpoints(tmp_path / "a"))
    assert resumed == train(data, MODEL, long, 2, 0)
    short = Training(rounds=2, eval_every=3)
    first = Checkpoints(tmp_path / "b", every=1, keeps_last=True)
    train(data, MODEL, long.model_copy(update={"rounds": 2}), 2, 0, checkpoints=first)
    again = train(data, MODEL, short, 2, 0, checkpoints=Checkpoints(tmp_path / "b"))
    assert curves(again) == [(True,) * 3, (False,) * 3]
