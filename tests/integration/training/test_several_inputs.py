"""Models with several named inputs: packed, standard and bare TFF are the same."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import NO_CACHE
from pytest_federated.clients.cohort import shuffled_examples
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.data.datasets.dataset import Examples, inputs_of
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

SEED, RATE = 1, 0.1
OWN = """
import tensorflow as tf

layers = tf.keras.layers

def build(input_shape, num_classes, dropout=0.0, names=("image", "age")):
    assert input_shape == {"image": (4, 3), "age": (), "word": (2,)}
    image, age, word = (
        tf.keras.Input(shape, name=name, dtype="int32" if name == "word" else None)
        for name, shape in input_shape.items()
    )
    embedded = layers.Flatten()(layers.Embedding(5, 2)(word))
    parts = [layers.Flatten()(image), layers.Reshape((1,))(age), embedded]
    joined = layers.Dropout(dropout)(layers.Concatenate()(parts))
    hidden = layers.Dense(5, "relu")(joined)
    return tf.keras.Model([age, word, image], layers.Dense(num_classes)(hidden))

def by_dict(input_shape, num_classes):
    inputs = {n: tf.keras.Input(s) for n, s in input_shape.items()}
    parts = [layers.Reshape((-1,))(tf.cast(x, "float32")) for x in inputs.values()]
    return tf.keras.Model(inputs, layers.Dense(num_classes)(layers.Concatenate()(parts)))

class Subclass(tf.keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flat, self.dense = layers.Flatten(), layers.Dense(classes)

    def call(self, x):
        return self.dense(tf.concat([self.flat(x["image"]), x["age"][:, None]], axis=1))

def subclass(num_classes):
    return Subclass(num_classes)

def misnamed(num_classes):
    a, b, c = tf.keras.Input((4, 3), name="picture"), tf.keras.Input(()), tf.keras.Input((2,))
    return tf.keras.Model([a, b, c], layers.Dense(num_classes)(layers.Flatten()(a)))

def one(num_classes):
    image = tf.keras.Input((4, 3), name="image")
    return tf.keras.Model(image, layers.Dense(num_classes)(layers.Flatten()(image)))
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes the user's module."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_inputs.py").write_text(OWN)


def own(function: str, **args: Any) -> Any:
    return models.parse({"keras": f"own_inputs:{function}", "args": args})


def federation(sizes: tuple[int, ...] = (9, 20, 14)) -> FederatedData:
    rng, n = np.random.default_rng(0), sum(sizes)
    x = {
        "image": rng.normal(size=(n, 4, 3)).astype(np.float32),
        "age": rng.normal(size=n).astype(np.float32),
        "word": rng.integers(0, 5, (n, 2)).astype(np.int32),
    }
    y = (x["age"] + x["image"][:, 0, 0] > 0).astype(np.int32) + (x["word"][:, 0] > 3)
    parts = tuple(np.split(rng.permutation(n), np.cumsum(sizes)[:-1]))
    names = tuple(map(str, range(len(sizes))))
    return FederatedData(Examples(x, y), parts, names, Examples(x, y), 3)


def weights_after(data: FederatedData, model: Any, **training: Any) -> tuple[Any, Any, Any]:
    """Returns the execution, the first weights, and those after two rounds of all clients."""
    settings = Training.model_validate({"rounds": 2, "batch_size": 8, **training})
    *_, step = steps(data, model, settings, len(data.clients), SEED)
    trainer = trainer_for(model, settings, data, len(data.clients))
    first = [np.asarray(w) for w in trainer.initial_weights(SEED).trainable]
    last = trainer.algorithm.weights(step.state).trainable
    return str(trainer.execution), first, [np.asarray(w) for w in last]


def test_packed_standard_and_bare_tff_are_the_same() -> None:
    import tensorflow as tf
    import tensorflow_federated as tff

    data, model = federation(), own("build")
    execution, first, packed = weights_after(data, model)
    assert execution == "packed"
    _, _, standard = weights_after(data, model, execution="standard")
    shapes: Any = {"image": (4, 3), "age": (), "word": (2,)}
    types: Any = {"image": tf.float32, "age": tf.float32, "word": tf.int32}
    spec = OrderedDict(
        x=OrderedDict((n, tf.TensorSpec((None, *s), types[n])) for n, s in shapes.items()),
        y=tf.TensorSpec((None,), tf.int32),
    )
    scope: dict[str, Any] = {}
    exec(OWN, scope)

    def model_fn() -> Any:
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return tff.learning.models.from_keras_model(scope["build"](shapes, 3), loss, spec)

    process = tff.learning.algorithms.build_weighted_fed_avg(
        model_fn, tff.learning.optimizers.build_sgdm(RATE)
    )
    begin = tff.learning.models.ModelWeights(first, [])
    state = process.set_model_weights(process.initialize(), begin)
    for number in (1, 2):
        clients = []
        for client in range(len(data.clients)):
            examples = shuffled_examples(data, client, SEED, number)
            columns: Any = OrderedDict(x=inputs_of(examples.x), y=examples.y)
            clients.append(tf.data.Dataset.from_tensor_slices(columns).batch(8))
        state = process.next(state, clients).state
    bare = process.get_model_weights(state).trainable
    for one, other, theirs, begun in zip(packed, standard, bare, first):
        np.testing.assert_allclose(one, theirs, rtol=0, atol=2e-6)
        np.testing.assert_allclose(other, theirs, rtol=0, atol=2e-6)
        assert np.abs(theirs - begun).max() > 1e-3


def test_everything_else_takes_several_inputs(tmp_path: Path) -> None:
    held = federation()
    data = replace(held, client_test=held.clients)
    model = own("build", dropout=0.2)
    settings = Training.model_validate(
        {"rounds": 2, "personalize": {"steps": 2}, "eval_clients_every": 1}
    )
    history = train(data, model, settings, 3, SEED, keeps_model=True)
    assert history.execution == "packed"
    assert len(history.client_accuracy) == len(history.personalized_accuracy) == 3
    assert history.model is not None
    *_, saved = history.model.save(tmp_path / "final")
    import tensorflow as tf

    loaded: Any = tf.keras.models.load_model(saved)
    outputs = loaded(inputs_of(data.test.x), training=False).numpy()
    accuracy = (outputs.argmax(axis=1) == data.test.y).mean()
    assert accuracy == pytest.approx(history.rounds[-1].accuracy, abs=1e-6)
    begun = models.parse(
        {
            **{"keras": "own_inputs:build", "args": {"dropout": 0.2}},
            "initial_weights": str(tmp_path / "final.npz"),
        }
    )
    begin = trainer_for(begun, settings, data).initial_weights(SEED).trainable
    for one, other in zip(begin, history.model.weights):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["centralized", "local_only", "scaffold", "fed_recon", "mime_lite"]
)
def test_algorithms_take_several_inputs(name: str) -> None:
    keys: Any = {"split_dataset": False} if name == "fed_recon" else {}
    settings = Training.model_validate({"rounds": 2, "algorithm": {"kind": name, **keys}})
    held = federation()
    history = train(replace(held, client_test=held.clients), own("build"), settings, 3, SEED)
    first, last = (r.train_loss for r in history.rounds)
    assert first is not None and last is not None and last < first


@pytest.mark.slow
def test_aggregators_take_several_inputs() -> None:
    packed, standard = (
        weights_after(federation(), own("build"), aggregator="median", execution=execution)[2]
        for execution in ("packed", "standard")
    )
    for one, other in zip(packed, standard):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)
    private = {"kind": "dp", "noise_multiplier": 0.1}
    execution, first, last = weights_after(federation(), own("build"), aggregator=private)
    assert execution == "packed"
    assert np.abs(first[0] - last[0]).max() > 1e-3


def test_inputs_by_dict_and_subclasses_train() -> None:
    data = federation()
    execution, first, last = weights_after(data, own("by_dict"))
    assert execution == "packed" and np.abs(first[0] - last[0]).max() > 1e-3
    _, first, last = weights_after(data, own("subclass"))
    assert np.abs(first[0] - last[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (own("misnamed"), "model.keras: own_inputs:misnamed: the model has the inputs picture, "),
        (own("one"), "model.keras: own_inputs:one: the model has the inputs image; the data has "
         "image, age, word; name them alike: tf.keras.Input(shape, name=...)"),
        (models.parse("mlp"), "model: mlp has one input; the data has image, age, word: write a "
         "model with these inputs, and name it by model.keras"),
    ],
)  # fmt: skip
def test_a_model_of_other_inputs_is_refused(model: Any, message: str) -> None:
    with pytest.raises(ModelError) as error:
        trainer_for(model, Training(rounds=1), federation())
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_model_of_several_inputs_needs_data_with_them(tmp_path: Path) -> None:
    (tmp_path / "own_two.py").write_text(
        "import tensorflow as tf\n"
        "def build(num_classes):\n"
        "    a, b = tf.keras.Input((4,), name='a'), tf.keras.Input((4,), name='b')\n"
        "    return tf.keras.Model([a, b], tf.keras.layers.Dense(num_classes)(a + b))\n"
    )
    data = federation()
    one = replace(data, train=Examples(data.train.x["image"], data.train.y))
    with pytest.raises(ModelError) as error:
        trainer_for(models.parse({"keras": "own_two:build"}), Training(rounds=1), one)
    assert str(error.value) == (
        "model.keras: own_two:build: the model has 2 inputs; the data has one, which "
        "data.dataset.features of a table, or a data set of your own, can divide"
    )


def test_clusters_need_one_input() -> None:
    settings = Training.model_validate(
        {"rounds": 1, "algorithm": {"kind": "kmeans", "clusters": 2}}
    )
    with pytest.raises(ModelError, match=r"clusters need examples with one input; these have imag"):
        trainer_for(None, settings, federation())


def test_a_table_names_the_columns_of_each_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.3f},{rng.normal():.3f},{w},{w % 2}" for w in rng.integers(0, 3, 60)]
    Path("visits.csv").write_text("\n".join(["pulse,pressure,ward,died", *rows]))
    (tmp_path / "own_table.py").write_text(
        "import tensorflow as tf\n"
        "def build(input_shape, num_classes):\n"
        "    inputs = [tf.keras.Input(s, name=n) for n, s in input_shape.items()]\n"
        "    joined = tf.keras.layers.Concatenate()(inputs)\n"
        "    return tf.keras.Model(inputs, tf.keras.layers.Dense(num_classes)(joined))\n"
    )
    chosen = {
        **{"csv": "visits.csv", "label": "died", "categories": ["ward"]},
        "features": {"vitals": ["pulse", "pressure"], "ward": ["ward"]},
    }
    data = Data.model_validate({"dataset": chosen})
    federated = federate(data, Clients.model_validate({"count": 3}), 0, NO_CACHE)
    model = models.parse({"keras": "own_table:build"})
    history = train(federated, model, Training(rounds=60), 3, 0)
    assert history.rounds[-1].accuracy == 1
    assert history.execution == "packed"
    shifted = Clients.model_validate({"count": 3, "shift": [{"kind": "noise", "level": 1.0}]})
    with pytest.raises(DataError) as error:
        federate(data, shifted, 0, NO_CACHE)
    assert str(error.value) == (
        "clients.shift: noise changes one array of features; visits.csv has the inputs vitals, ward"
    )
