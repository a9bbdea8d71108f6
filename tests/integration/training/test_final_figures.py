"""Figures of the final model: by client, by label, and the bytes of its rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import federation
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.report.tables.settings import layer_rows, traffic_rows
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.running.store import Store
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.checkpoints import Checkpoints
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.evaluation import per_client as final
from pytest_federated.training.history import TrainingHistory
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.adapters.keras import KerasAdapter
from pytest_federated.training.models.model import models
from pytest_federated.training.observer import Observer, Progress
from pytest_federated.training.schema import Training

MODEL = models.parse({"kind": "mlp", "hidden": [5]})
TRAINING = Training(rounds=2)


def predicted(data: FederatedData, x: np.ndarray) -> np.ndarray:
    """Returns the labels that the final model predicts for `x`, computed with NumPy."""
    *_, last = steps(data, MODEL, TRAINING, len(data.clients), 0)
    trainer = trainer_for(MODEL, TRAINING, data)
    a, b, c, d = (np.asarray(w) for w in trainer.algorithm.weights(last.state).trainable)
    return (np.maximum(x.reshape(len(x), -1) @ a + b, 0) @ c + d).argmax(axis=1)


def trained(data: FederatedData, **more: Any) -> TrainingHistory:
    training = Training.model_validate({"rounds": 2, **more})
    return train(data, MODEL, training, len(data.clients), 0)


@pytest.mark.usefixtures("running")
def test_clients_that_hold_nothing_out_are_measured_on_training_examples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = federation([40, 3, 17, 1, 30], 0)
    monkeypatch.setattr(
        "pytest_federated.training.models.model._MAX_OUTPUTS", 3 * 7
    )  # batches of seven
    history = trained(data)
    right = predicted(data, data.train.x) == data.train.y
    expected = [right[own].mean() for own in data.clients]
    assert history.client_accuracy == pytest.approx(expected, abs=1e-6)
    assert history.measured_clients == ()


@pytest.mark.usefixtures("running")
def test_clients_are_measured_on_held_out_examples() -> None:
    data = federation([20, 6, 15], 0)
    held = tuple(own[: len(own) // 3] for own in data.clients)
    held = (held[0], held[1][:0], held[2])  # the second holds nothing out
    data = replace(data, client_test=held)
    history = trained(data)
    right = predicted(data, data.train.x) == data.train.y
    assert history.client_accuracy == pytest.approx([right[held[c]].mean() for c in (0, 2)])
    assert history.measured_clients == (0, 2)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["standard", "packed"])
def test_clients_are_measured_on_test_examples_of_their_own(execution: str) -> None:
    plain = federation([20, 6, 15], 0)
    test = federation([4, 9], 7).train
    own = (np.arange(9), np.arange(0), np.arange(9, 13))
    data = replace(plain, tested=test, test=test, client_test=own)
    history = trained(data, execution=execution)
    right = predicted(plain, test.x) == test.y
    assert history.client_accuracy == pytest.approx([right[:9].mean(), right[9:].mean()])
    assert (history.measured_clients, history.tested_clients) == ((0, 2), 2)


@pytest.mark.usefixtures("running")
def test_each_label_has_its_recall() -> None:
    data = federation([40, 40], 0)
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 60).astype(np.int32)  # none of the third label
    x = rng.normal(y.reshape(-1, 1, 1, 1), 1.0, (60, 4, 4, 1)).astype(np.float32)
    data = replace(data, test=Examples(x, y))
    history = trained(data)
    right = predicted(data, x) == y
    zero, one, two = history.class_recall
    assert (zero, one) == pytest.approx((right[y == 0].mean(), right[y == 1].mean()))
    assert two is None
    accuracy = history.rounds[-1].accuracy
    assert accuracy == pytest.approx(right.mean(), abs=1e-6)


@pytest.mark.usefixtures("running")
def test_the_test_set_is_read_once_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """And once more where a training ends before its last round, for the recall of each label."""
    data = federation([40, 40], 0)
    data = replace(data, test=data.train.take(slice(0, 13)))
    sizes: list[int] = []
    measure = KerasAdapter.measure

    def noted(self: KerasAdapter, x: Any, y: Any) -> Any:
        sizes.append(len(x))
        return measure(self, x, y)

    monkeypatch.setattr(KerasAdapter, "measure", noted)

    class Stop(Observer):
        def after_round(self, progress: Progress) -> bool:
            return len(progress.rounds) == 2

    whole = train(data, MODEL, TRAINING.model_copy(update={"rounds": 2}), 2, 0)
    assert sizes.count(13) == 2
    sizes.clear()
    ended = train(data, MODEL, TRAINING.model_copy(update={"rounds": 3}), 2, 0, Stop())
    assert sizes.count(13) == 3
    assert len(whole.class_recall) == 3 and ended.class_recall == whole.class_recall


def test_the_seed_decides_which_of_many_clients_are_measured() -> None:
    sizes = np.random.default_rng(0).integers(1, 50, 5000).tolist()
    drawn = final._sample(sizes, 1e9, 3)
    assert len(drawn) == final._CLIENTS == len(set(drawn))
    assert (np.diff(drawn) > 0).all()
    assert np.array_equal(drawn, final._sample(sizes, 1e9, 3))
    assert not np.array_equal(drawn, final._sample(sizes, 1e9, 4))
    few = final._sample(sizes, 500, 3)
    assert sum(sizes[c] for c in few) <= 500 < sum(sizes[c] for c in few) + 50
    assert set(few) < set(drawn)
    assert len(final._sample([10_000, 10_000], 500, 3)) == 1


@pytest.mark.usefixtures("running")
def test_rounds_have_the_bytes_of_the_weights_and_histories_the_layers() -> None:
    data = federation([8, 8, 8], 0)
    history = train(data, MODEL, TRAINING, 2, 0)
    parameters = 16 * 5 + 5 + 5 * 3 + 3
    assert history.parameters == parameters
    assert history.update_bytes == 4 * parameters
    assert {(r.bytes_down, r.bytes_up) for r in history.rounds} == {(8 * parameters,) * 2}
    assert history.model_summary == (("Flatten", "16", 0), ("Dense", "5", 85), ("Dense", "3", 18))
    assert layer_rows(history) == [["layers", "Flatten, Dense 5 (85), Dense 3 (18)"]]
    assert traffic_rows(history) == [["bytes per round", "each client 412 down, 412 up"]]
    ((_, compressed),) = traffic_rows(history.model_copy(update={"update_bytes": 1824}))
    assert compressed == "each client 412 down, 412 up (1,824 before compression)"
    read = TrainingHistory.model_validate_json(history.model_dump_json())
    assert read == history


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("algorithm", "gradients_down"), [("mime_lite", 0), ("mime", 1)])
def test_mime_sends_gradients_and_momentum_too(algorithm: str, gradients_down: int) -> None:
    data = federation([8, 8], 0)
    momentum = {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9}
    history = trained(data, rounds=1, algorithm=algorithm, client_optimizer=momentum)
    (done,) = history.rounds
    weights = 4 * (16 * 5 + 5 + 5 * 3 + 3)
    # Momentum is as large as the weights; its two rates are eight bytes.
    assert done.bytes_down == 2 * ((2 + gradients_down) * weights + 8)
    assert (done.bytes_up, history.update_bytes) == (4 * weights, 2 * weights)


@pytest.mark.usefixtures("running")
def test_an_aggregator_that_compresses_reports_the_compressed_bytes() -> None:
    from pytest_federated.training.algorithms.algorithm import AlgorithmInputs
    from pytest_federated.training.communication import Traffic, traffic_of

    class Halves:
        def compressed_bytes(self, trainable: list[np.ndarray]) -> int:
            return sum(w.nbytes for w in trainable) // 2

    trainer = trainer_for(MODEL, TRAINING, federation([8, 8], 0))
    adapter, weights = trainer.adapter, trainer.initial_weights(0)
    import tensorflow_federated as tff

    sgd = tff.learning.optimizers.build_sgdm(0.1)
    inputs = AlgorithmInputs(adapter.functional(), sgd, sgd, aggregator=Halves())
    assert trainer.traffic == Traffic(412, 412, 412)
    assert traffic_of(TRAINING.algorithm, inputs, weights) == Traffic(412, 206, 412)


@pytest.mark.usefixtures("running")
def test_a_diverged_training_has_no_figures_of_a_final_model() -> None:
    data = federation([10, 10], 0)
    data.train.x[data.clients[0]] = np.inf
    history = trained(data)
    assert history.diverged is not None
    assert history.client_accuracy == history.class_recall == ()


@pytest.mark.usefixtures("running")
def test_a_loss_on_the_validation_set_that_is_not_finite_is_divergence_too() -> None:
    data = federation([10, 10], 0)
    validation = Examples(np.full_like(data.test.x, np.inf), data.test.y)
    history = trained(replace(data, validation=validation))
    assert history.diverged == "diverged in round 1: validation loss is nan"


@pytest.mark.usefixtures("running")
def test_a_diverged_round_does_not_become_a_checkpoint(tmp_path: Path) -> None:
    """A training that continued from it would not notice."""
    data = federation([10, 10], 0)
    data.train.x[data.clients[0]] = np.inf
    checkpoints = Checkpoints(tmp_path, every=1)
    history = train(data, MODEL, TRAINING, len(data.clients), 0, checkpoints=checkpoints)
    assert history.diverged is not None and len(history.rounds) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("running")
def test_a_training_that_ends_early_is_the_start_of_the_complete_one() -> None:
    scenario = Scenario.model_validate(
        {
            "name": "a",
            "data": {"dataset": "digits"},
            "clients": {"count": 4},
            "model": {"kind": "mlp", "hidden": [16]},
            "training": {"rounds": 8, "local_epochs": 3},
            "seeds": [0, 1],
            "expect": {"rounds_to_accuracy": {"target": 0.6, "at_most": 7}},
        }
    )
    whole = run(scenario, Options(store=Store()))
    ended = run(scenario, Options(early_stop=True, store=Store()))
    assert ended.reason.startswith("ended early, after round ") and ended.status == whole.status
    assert ended.verdicts == whole.verdicts
    assert ended.histories[0] == whole.histories[0]
    cut, full = ended.histories[1], whole.histories[1]
    assert cut.ended_early and cut.rounds == full.rounds[: len(cut.rounds)]
    assert ended.accuracies == whole.accuracies[:1]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["standard", "packed"])
def test_unseen_clients_are_measured(execution: str) -> None:
    plain = federation([20, 6, 15, 9], 0)
    data = replace(
        plain,
        clients=plain.clients[:2],
        names=plain.names[:2],
        unseen=plain.clients[2:],
        unseen_names=plain.names[2:],
    )
    history = trained(data, execution=execution)
    right = predicted(data, data.train.x) == data.train.y
    expected = [right[own].mean() for own in data.unseen]
    assert history.unseen_accuracy == pytest.approx(expected, abs=1e-6)
    assert (history.unseen_clients, history.unseen_examples) == (2, (15, 9))
    assert (len(history.client_accuracy), history.client_examples) == (2, (20, 6))


def validated(sizes: list[int]) -> FederatedData:
    return replace(federation(sizes, 0), validation=federation([12], 9).train)


def lacking(history: TrainingHistory) -> list[tuple[bool, bool, bool]]:
    return [
        (r.loss is None, r.validation_loss is None, r.validation_accuracy is None)
        for r in history.rounds
    ]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["standard", "packed"])
def test_the_validation_set_is_evaluated_with_the_test_set(execution: str) -> None:
    data = validated([20, 6, 15])
    history = trained(data, rounds=4, eval_every=2, execution=execution)
    assert lacking(history) == [(True,) * 3, (False,) * 3] * 2
    assert history.validation_examples == 12
    held = data.validation
    assert held is not None
    right = predicted(data, held.x) == held.y  # after two rounds
    assert history.rounds[1].validation_accuracy == pytest.approx(right.mean(), abs=1e-6)
    as_test = trained(replace(data, test=held, validation=None), rounds=4, execution=execution)
    for number in (1, 3):
        done, same = history.rounds[number], as_test.rounds[number]
        assert (done.validation_loss, done.validation_accuracy) == (same.loss, same.accuracy)


@pytest.mark.usefixtures("running")
def test_the_validation_set_changes_no_other_figure() -> None:
    data = validated([20, 6, 15])
    plain, whole = trained(replace(data, validation=None)), trained(data)
    none = {"validation_loss": None, "validation_accuracy": None}
    rounds = tuple(done.model_copy(update=none) for done in whole.rounds)
    assert whole.model_copy(update={"rounds": rounds, "validation_examples": 0}) == plain


@pytest.mark.usefixtures("running")
def test_models_of_single_clients_are_judged_on_what_these_hold_out() -> None:
    data = federation([12, 9], 0)
    held = tuple(own[:3] for own in data.clients)
    kept = tuple(own[3:] for own in data.clients)
    data = replace(data, clients=kept)
    of_clients = {"client_validation": held, "validation": data.train.select(np.concatenate(held))}
    (done,) = trained(replace(data, **of_clients), rounds=1, algorithm="local_only").rounds
    tested = replace(data, client_test=held)
    (as_test,) = trained(tested, rounds=1, algorithm="local_only").rounds
    assert done.validation_loss == as_test.loss != done.loss
    assert done.validation_accuracy == as_test.accuracy


@pytest.mark.usefixtures("running")
def test_a_training_that_goes_on_has_the_validation_figures_of_a_whole_one(tmp_path: Path) -> None:
    data = validated([20, 6, 15])

    def upto(rounds: int, folder: str = "", **more: Any) -> TrainingHistory:
        kept = Checkpoints(tmp_path / folder, every=1, keeps_last=True) if folder else None
        training = Training.model_validate({"rounds": rounds, **more})
        return train(data, MODEL, training, 3, 0, checkpoints=kept)

    upto(2, "a")
    assert upto(4, "a", eval_every=3) == upto(4, eval_every=3)
    upto(3, "b", eval_every=3)
    assert lacking(upto(4, "b", eval_every=4)) == [(True,) * 3] * 3 + [(False,) * 3]
