"""Keras models, TFF's functional models and TFF's models with variables train alike."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from example_data import federation
from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.history import Round
from pytest_federated.training.loop import steps
from pytest_federated.training.models.adapters.adapter import ModelAdapter
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training

SOURCE = """
import collections
import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

LOSS = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

def net(input_shape=(4, 4, 1), num_classes=3):
    return tf.keras.Sequential([
        tf.keras.layers.InputLayer(input_shape), tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(num_classes, kernel_initializer="zeros")])

class Branches(tf.keras.layers.Layer):
    def call(self, x):
        if tf.reduce_mean(x) > 0:
            return x
        return -x

def branches():
    return tf.keras.Sequential([
        tf.keras.layers.InputLayer((4, 4, 1)), tf.keras.layers.Flatten(), Branches(),
        tf.keras.layers.Dense(3)])

def normalized():
    return tf.keras.Sequential([
        tf.keras.layers.InputLayer((4, 4, 1)), tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(5), tf.keras.layers.LayerNormalization(),
        tf.keras.layers.Dropout(0.5), tf.keras.layers.Dense(3)])

def by_hand(input_shape, num_classes, input_spec):
    @tf.function
    def predict(weights, x, training):
        (w, b), _ = weights
        return tf.reshape(x, (tf.shape(x)[0], w.shape[0])) @ w + b
    def loss(output, label, sample_weight=None):
        return LOSS(label, output)
    start = (np.zeros((np.prod(input_shape), num_classes), np.float32),
             np.zeros(num_classes, np.float32))
    return tff.learning.models.FunctionalModel(
        initial_weights=(start, ()), predict_on_batch_fn=predict, loss_fn=loss,
        input_spec=input_spec)

def from_keras(input_spec):
    return tff.learning.models.functional_model_from_keras(net, LOSS, input_spec)

def drawn(input_spec):
    model = by_hand((4, 4, 1), 3, input_spec)
    w = tf.random.normal((16, 3)).numpy()
    return tff.learning.models.FunctionalModel(
        initial_weights=((w, np.zeros(3, np.float32)), ()),
        predict_on_batch_fn=model.predict_on_batch, loss_fn=model.loss, input_spec=input_spec)

def as_mapping():
    spec = collections.OrderedDict(
        x=tf.TensorSpec((None, 4, 4, 1)), y=tf.TensorSpec((None,), tf.int64))
    model = by_hand((4, 4, 1), 3, spec)
    return tff.learning.models.FunctionalModel(
        initial_weights=(dict(w=model.initial_weights[0][0]), ()),
        predict_on_batch_fn=model.predict_on_batch, loss_fn=model.loss, input_spec=spec)

def pair(size=4, classes=3):
    # Like TFF's baseline tasks: pairs with int64 labels, and custom metrics.
    spec = (tf.TensorSpec((None, size, 4, 1), tf.float32), tf.TensorSpec((None,), tf.int64))
    return tff.learning.models.from_keras_model(
        net((size, 4, 1), classes), LOSS, spec,
        metrics=[tf.keras.metrics.SparseTopKCategoricalAccuracy(2, name="top_two")])

def no_model():
    return 7
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    (folder / "own_forms.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


def model(form: str, function: str, **args: Any) -> Section:
    return models.parse({form: f"own_forms:{function}", "args": args})


def trained(
    data: FederatedData, chosen: Section, execution: str
) -> tuple[list[np.ndarray], list[Round]]:
    settings = Training.model_validate(
        {
            "rounds": 2,
            "execution": execution,
            "local_epochs": 2,
            "client_optimizer": {"kind": "sgd", "learning_rate": 0.01},
        }
    )
    done = list(steps(data, chosen, settings, 3, 0))
    trainer = trainer_for(chosen, settings, data)
    weights = trainer.algorithm.weights(done[-1].state).trainable
    return [np.asarray(w) for w in weights], [s.round for s in done]


@functools.lru_cache(maxsize=1)
def reference() -> tuple[FederatedData, list[np.ndarray], list[Round]]:
    data = federation([30, 9, 21], 0)
    return data, *trained(data, model("keras", "net"), "packed")


@pytest.mark.usefixtures("running", "own")
@pytest.mark.parametrize(
    ("form", "function", "execution"),
    [
        ("functional", "by_hand", "packed"),
        ("functional", "by_hand", "standard"),
        ("functional", "from_keras", "packed"),
        ("variable", "pair", "standard"),
    ],
)
def test_all_forms_of_models_train_and_are_judged_alike(
    form: str,
    function: str,
    execution: str,
) -> None:
    data, weights, rounds = reference()
    found, done = trained(data, model(form, function), execution)
    for a, b in zip(found, weights):
        np.testing.assert_allclose(a, b, rtol=0, atol=5e-6)
    for a, b in zip(done, rounds):
        assert a.examples == b.examples == 120
        for name in ("loss", "train_loss", "accuracy", "train_accuracy"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-5)
    first, second = (r.loss for r in rounds)
    assert first is not None and second is not None and second < first


@pytest.mark.usefixtures("running", "own")
def test_a_model_with_variables_is_run_in_the_standard_way() -> None:
    data, chosen = federation([5, 5], 0), model("variable", "pair")
    execution = trainer_for(chosen, Training(rounds=1), data).execution
    assert execution.kind == "standard"
    assert "whose variables cannot be handed from client to client" in execution.reason
    with pytest.raises(ModelError, match="packed is not possible: the model is a tff"):
        trainer_for(chosen, Training(rounds=1, execution="packed"), data)


@pytest.mark.usefixtures("running", "own")
def test_a_functional_model_that_draws_its_weights_draws_them_from_the_seed() -> None:
    trainer = trainer_for(model("functional", "drawn"), Training(rounds=1), federation([5, 5], 0))
    one, same, other = (trainer.initial_weights(seed).trainable[0].numpy() for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.usefixtures("running", "own")
@pytest.mark.parametrize(
    ("form", "function", "args", "message"),
    [
        ("functional", "no_model", {}, "the model function gave int, not a tf.keras.Model, a tff"),
        ("variable", "no_model", {}, "the model function gave int, not a tff.learning.models.Var"),
        ("keras", "no_model", {}, "the model function gave int"),
        ("functional", "as_mapping", {}, "initial weights must be two lists of arrays"),
        ("variable", "pair", {"size": 5}, r"input_spec has x of float32 \(None, 5, 4, 1\); the d"),
        ("variable", "pair", {"classes": 4}, r"shape \(None, 4\); the data has 3 labels, so"),
        ("functional", "missing", {}, "model.functional: the module 'own_forms' has no function"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    form: str, function: str, args: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        trainer_for(model(form, function, **args), Training(rounds=1), federation([5, 5], 0))


@pytest.mark.usefixtures("own", "running")
@pytest.mark.parametrize(
    "chosen",
    [
        {"kind": "mlp", "hidden": [5]},
        {"kind": "linear"},
        {"keras": "own_forms:net"},
        {"keras": "own_forms:branches"},
        {"keras": "own_forms:normalized"},
    ],
    ids=str,
)
def test_a_batch_is_measured_in_one_graph_as_it_is_call_by_call(chosen: dict[str, Any]) -> None:
    data = federation([30, 9, 21], 0)
    trainer = trainer_for(models.parse(chosen), Training.model_validate({"rounds": 1}), data)
    adapter, (x, y) = trainer.adapter, (data.train.x, data.train.y)
    losses: list[float] = []
    for seed in (0, 1):
        adapter.set_weights(trainer.initial_weights(seed))
        for size in (60, 7):
            loss, outputs, (right, counted) = adapter.measure(x[:size], y[:size])
            apart = ModelAdapter.measure(adapter, x[:size], y[:size])
            assert loss == apart[0]
            assert np.array_equal(outputs, apart[1])
            assert np.array_equal(right, apart[2][0]) and np.array_equal(counted, apart[2][1])
            losses.append(loss)
    assert chosen == {"keras": "own_forms:net"} or len(set(losses)) == 4  # whose weights begin at 0
