"""The models: their sizes, texts, and initial weights from files."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.data.datasets.dataset import Examples, TaskKind
from pytest_federated.data.federation import FederatedData
from pytest_federated.running.fingerprint import ingredients
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.engine.build import Trainer, trainer_for
from pytest_federated.training.loop import steps
from pytest_federated.training.models import lstm
from pytest_federated.training.models.model import Shape, build, models
from pytest_federated.training.schema import Training


def federation(shape: tuple[int, ...], classes: int, kind: TaskKind = "label") -> FederatedData:
    """Returns three clients of eight examples each; texts if the shape has one number."""
    rng = np.random.default_rng(0)
    n = 24
    if len(shape) == 1:
        x = rng.integers(0, classes, (n, *shape)).astype(np.int32)
    else:
        x = rng.normal(size=(n, *shape)).astype(np.float32)
    y = rng.integers(0, classes, (n, *shape) if kind == "tokens" else n).astype(np.int32)
    parts = tuple(np.split(np.arange(n), 3))
    return FederatedData(Examples(x, y), parts, ("a", "b", "c"), Examples(x, y), classes, task=kind)


def trained(data: FederatedData, model: dict[str, Any], execution: str) -> list[np.ndarray]:
    chosen = models.parse(model)
    settings = Training.model_validate({"rounds": 2, "execution": execution, "batch_size": 4})
    *_, last = steps(data, chosen, settings, 3, 0)
    trainer = trainer_for(chosen, settings, data)
    assert trainer.execution.kind == execution
    assert last.round.loss is not None and np.isfinite(last.round.loss)
    return [np.asarray(w) for w in trainer.algorithm.weights(last.state).trainable]


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize(
    ("model", "shape", "parameters"),
    [
        ("linear", Shape((8, 8, 1), 10), 650),
        ("cnn_mcmahan", Shape((28, 28, 1), 10), 1_663_370),  # as the paper says
        ("cnn_dropout", Shape((28, 28, 1), 10), 1_199_882),  # as TFF's docstring says
        ("cnn_cifar10_tutorial", Shape((24, 24, 3), 10), 1_068_298),  # "about 10^6"
        (
            "resnet18_gn",
            Shape((32, 32, 3), 100),
            11_220_132,
        ),  # torchvision's, with a 3x3 first layer
        ("lstm", Shape((80,), 90, input_dtype="int32"), 720 + 271_360 + 525_312 + 23_130),
    ],
)
def test_models_have_the_sizes_that_papers_state(model: str, shape: Shape, parameters: int) -> None:
    built = build(models.parse(model), shape)
    assert built.count_params() == parameters


SMALL_LSTM = {"kind": "lstm", "units": [4, 3], "embedding": 2}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("data", "model"),
    [
        (federation((6,), 5), SMALL_LSTM),
        (federation((6,), 5, "tokens"), {"kind": "lstm", "units": [4], "embedding": 2}),
    ],
    ids=["next token", "token at each position"],
)
def test_an_lstm_can_be_packed(data: FederatedData, model: dict[str, Any]) -> None:
    both = [trained(data, model, execution) for execution in ("standard", "packed")]
    for a, b in zip(*both):
        np.testing.assert_allclose(a, b, rtol=0, atol=5e-6)


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize(
    ("kind", "length", "most_at_once"), [("label", 6, 9), ("tokens", 6, 3), ("tokens", 1, 9)]
)
def test_an_lstm_computes_what_keras_does(
    kind: TaskKind,
    length: int,
    most_at_once: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tensorflow as tf

    monkeypatch.setattr(lstm, "_MOST_AT_ONCE", most_at_once)  # one layer has 4 units, one 3
    layers, by_position = tf.keras.layers, kind == "tokens"
    tf.keras.utils.set_random_seed(3)
    model: Any = build(models.parse(SMALL_LSTM), Shape((length,), 5, kind, input_dtype="int32"))
    tf.keras.utils.set_random_seed(3)
    of_keras: Any = tf.keras.Sequential(
        [
            layers.InputLayer((length,), dtype="int32"),
            layers.Embedding(5, 2),
            layers.LSTM(4, return_sequences=True),
            layers.LSTM(3, return_sequences=by_position),
            layers.Dense(5),
        ]
    )
    for weight, other in zip(model.get_weights(), of_keras.get_weights()):
        np.testing.assert_array_equal(weight, other)

    rng = np.random.default_rng(0)
    weights = [rng.normal(size=w.shape) for w in model.get_weights()]
    x = rng.integers(0, 5, (7, length)).astype(np.int32)
    factors = rng.normal(size=(7, length, 5) if by_position else (7, 5))
    results = []
    for one in (model, of_keras):
        one.set_weights(weights)
        with tf.GradientTape() as tape:
            outputs = one(x, training=True)
            total = tf.reduce_sum(outputs * factors)
        gradients = tape.gradient(total, one.trainable_variables)
        results.append([outputs, *(tf.convert_to_tensor(g) for g in gradients)])
    for of_model, other in zip(*results):
        np.testing.assert_allclose(of_model, other, rtol=1e-5, atol=1e-5)

    # It is saved and copied as a model of Keras's layers, and a copy has its own weights.
    model.save(tmp_path / "model.keras")
    copies = [tf.keras.models.load_model(tmp_path / "model.keras"), copy.deepcopy(model)]
    if length == 1:  # others take seconds
        model.save(tmp_path / "folder")
        copies.append(tf.keras.models.load_model(tmp_path / "folder"))
    model.set_weights([np.zeros_like(w) for w in weights])
    for one in copies:
        np.testing.assert_allclose(one(x), results[0][0], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("running")
def test_a_narrow_resnet_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    data, model = federation((8, 8, 3), 4), {"kind": "resnet18_gn", "filters": 2}
    chosen = models.parse(model)
    trainer = trainer_for(chosen, Training(rounds=1), data)
    start = trainer.initial_weights(0)  # takes seconds, so it is done once
    monkeypatch.setattr(Trainer, "initial_weights", lambda self, seed: start)
    (after,) = [s.state for s in steps(data, chosen, Training(rounds=1), 3, 0)]
    assert trainer.execution.kind == "packed"
    weights = trainer.algorithm.weights(after).trainable
    moved = [np.abs(np.asarray(w) - s.numpy()).max() for w, s in zip(weights, start.trainable)]
    assert min(moved) > 0  # every layer is trained


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (
            "lstm",
            Shape((8, 8, 1), 3),
            r"needs texts, .*; the data has float32 \(8, 8, 1\)",
        ),
        ("cnn_dropout", Shape((7,), 3), r"needs images \(height, width, channels\), not \(7,\)"),
        ("resnet18_gn", Shape((4, 4, 1), 3), r"images of at least 8 x 8, not \(4, 4\)"),
    ],
)
def test_models_say_what_they_need(model: str, shape: Shape, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(models.parse(model), shape)


MLP = {"kind": "mlp", "hidden": [3]}


@pytest.fixture
def pretrained(tmp_path: Path, tff: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Keras model in all file formats of Keras, in the folder where pytest runs."""
    monkeypatch.chdir(tmp_path)
    model = build(models.parse(MLP), Shape((4, 4, 1), 3))
    model.set_weights([np.full_like(w, n + 1) for n, w in enumerate(model.get_weights())])
    np.savez("start.npz", *model.get_weights())
    model.save("start.keras")
    model.save("start.h5")
    model.save_weights("only.h5")
    model.save_weights("new.weights.h5")
    model.save_weights("at-round-3")
    return model


FILES = ("start.npz", "start.h5", "start.keras", "only.h5", "new.weights.h5", "at-round-3.index")


@pytest.mark.usefixtures("running", "pretrained")
@pytest.mark.parametrize("file", FILES)
def test_a_training_can_begin_with_the_weights_of_a_file(file: str) -> None:
    chosen = models.parse({**MLP, "initial_weights": file})
    data = federation((4, 4, 1), 3)
    trainer = trainer_for(chosen, Training(rounds=1), data)
    state = trainer.initial_state(0, data)
    weights = trainer.algorithm.weights(state).trainable
    assert [set(np.unique(w)) for w in weights] == [{1.0}, {2.0}, {3.0}, {4.0}]


@pytest.mark.usefixtures("running", "pretrained")
@pytest.mark.parametrize("file", FILES)
def test_weights_of_another_model_are_refused(file: str) -> None:
    chosen = models.parse({"kind": "mlp", "hidden": [7], "initial_weights": file})
    trainer = trainer_for(chosen, Training(rounds=1), federation((4, 4, 1), 3))
    message = "are not those of this model" if file in FILES[2:] else "needs the shape"
    with pytest.raises(ModelError, match=f"model.initial_weights: .*{message}"):
        trainer.initial_weights(0)


@pytest.mark.usefixtures("running", "pretrained")
def test_a_mistake_in_a_file_of_weights_is_named() -> None:
    def message(file: str, hidden: list[int]) -> str:
        chosen = models.parse({"kind": "mlp", "hidden": hidden, "initial_weights": file})
        trainer = trainer_for(chosen, Training(rounds=1), federation((4, 4, 1), 3))
        with pytest.raises((ModelError, DataError)) as error:
            trainer.initial_weights(0)
        return str(error.value)

    shape = message("start.npz", [7])
    assert "'kernel' of the layer 'dense" in shape
    assert shape.endswith("needs the shape (16, 7); 'start.npz' has (16, 3) there")
    for file in ("start.npz", "start.h5", "start.keras"):
        assert f"has 6 arrays of weights; {file!r} has 4" in message(file, [3, 3])
    assert "variable shape (16, 7), and the assigned value shape (16, 3)" in message(
        "start.keras", [7]
    )
    assert message("strat.npz", [3]).endswith("did you mean 'start.npz'?")
    Path("noise.npz").write_bytes(b"no archive")
    assert "is not an .npz archive" in message("noise.npz", [3])
    Path("start.txt").write_text("1 2 3")
    assert "must end in .npz, .h5" in message("start.txt", [3])


def test_a_training_depends_on_the_content_of_a_file_of_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scenario = Scenario.model_validate(
        {
            "name": "pretrained",
            "data": {"dataset": "digits"},
            "clients": {"count": 3},
            "model": {**MLP, "initial_weights": "start.npz"},
            "training": {"rounds": 1},
        }
    )
    found = []
    for value in (1.0, 2.0):
        np.savez("start.npz", np.full(3, value))
        found.append(json.dumps(ingredients(scenario, 0), sort_keys=True))
    assert found[0] != found[1]
