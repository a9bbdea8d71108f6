"""Losses by name, losses of one's own and class weights, compared with Keras and bare TFF."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from pytest_federated.clients.cohort import shuffled_examples
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.data.datasets.dataset import Examples, TaskKind
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.losses import losses_of, weights_of_classes
from pytest_federated.training.models.model import Shape, models
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

FEATURES, SEED, RATE = 4, 1, 0.1
LINEAR = models.parse("linear")
# A module of the user's.
OWN = """
import numpy as np
import tensorflow as tf

def focal(y_true, y_pred):
    likely = tf.gather(tf.nn.softmax(y_pred), y_true, batch_dims=1)
    return -((1 - likely) ** 2) * tf.math.log(likely)

def mean_focal(y_true, y_pred):
    return tf.reduce_mean(focal(y_true, y_pred))

def asymmetric(y_true, y_pred):
    assert y_true.shape == y_pred.shape
    error = y_true - y_pred
    return tf.reduce_mean(tf.where(error > 0, 3.0, 1.0) * tf.abs(error), axis=-1)

def outer(y_true, y_pred):
    return tf.cast(y_true, tf.float32)[:, None] - y_pred

def blind(y_true, y_pred):
    return tf.cast(y_true, tf.float32)

def in_numpy(y_true, y_pred):
    return np.square(y_pred.numpy())

def drawing(y_true, y_pred):
    return tf.reduce_sum(y_pred, axis=-1) * tf.random.normal(())

def number(y_true, y_pred):
    return 1.0

def per_position(y_true, y_pred):
    return tf.keras.losses.sparse_categorical_crossentropy(y_true, y_pred, True)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes the user's module."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_losses.py").write_text(OWN)
    return tmp_path / "own_losses.py"


def federation(kind: TaskKind, sizes: tuple[int, ...] = (9, 20, 14)) -> FederatedData:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(sum(sizes), FEATURES)).astype(np.float32)
    z = x @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.3 * rng.normal(size=len(x))
    y = {
        "label": np.digitize(z, [-1, 2]).astype(np.int32),
        "binary": (z > 1).astype(np.int32),
        "regression": z.astype(np.float32),
        "tags": np.stack([z > 0, z > 1, x[:, 0] > 0], axis=1).astype(np.float32),
    }[kind]
    classes = {"label": 3, "binary": 2, "regression": 1, "tags": 3}[kind]
    parts = tuple(np.split(rng.permutation(len(x)), np.cumsum(sizes)[:-1]))
    names = tuple(map(str, range(len(sizes))))
    return FederatedData(Examples(x, y), parts, names, Examples(x, y), classes, task=kind)


def weights_after(data: FederatedData, execution: str, **training: Any) -> tuple[Any, Any, Any]:
    """Returns the first weights, those after one round of all clients, and the round."""
    settings = Training.model_validate(
        {"rounds": 1, "batch_size": 8, "local_epochs": 2, "execution": execution, **training}
    )
    (step,) = steps(data, LINEAR, settings, len(data.clients), SEED)
    trainer = trainer_for(LINEAR, settings, data, len(data.clients))
    assert str(trainer.execution) == execution
    first = [np.asarray(w) for w in trainer.initial_weights(SEED).trainable]
    last = [np.asarray(w) for w in trainer.algorithm.weights(step.state).trainable]
    return first, last, step.round


CASES: list[Any] = [
    ("label", None, {"0": 2.0, "2": 0.5}, "packed"),
    ("label", None, {"0": 2.0, "2": 0.5}, "standard"),
    ("regression", "huber", None, "standard"),
    ("regression", "own_losses:asymmetric", None, "packed"),
]
MORE_CASES: list[Any] = [
    ("regression", "huber", None, "packed"),
    ("regression", "own_losses:asymmetric", None, "standard"),
    ("label", "sparse_categorical_crossentropy", None, "packed"),
    ("label", "categorical_focal_crossentropy", None, "packed"),
    ("label", "categorical_hinge", {"1": 3}, "packed"),
    ("label", "own_losses:focal", {"1": 3}, "standard"),
    ("label", "own_losses:mean_focal", None, "packed"),
    ("binary", "binary_focal_crossentropy", {"1": 4}, "standard"),
    ("binary", "squared_hinge", None, "packed"),
    ("regression", "logcosh", None, "packed"),
    ("tags", "binary_focal_crossentropy", None, "packed"),
]


def keras_loss(kind: TaskKind, loss: Optional[str]) -> Any:
    """Returns the loss as a user of Keras would write it for logits."""
    import tensorflow as tf

    if loss and ":" in loss:
        scope: dict[str, Any] = {}
        exec(OWN, scope)
        own = scope[loss.partition(":")[2]]
        # In `fit`, the labels that Keras hands over have a second axis.
        return lambda y, p: own(tf.cast(y[:, 0], tf.int32) if kind == "label" else y, p)
    losses = tf.keras.losses
    classes = {
        None: losses.SparseCategoricalCrossentropy,
        "sparse_categorical_crossentropy": losses.SparseCategoricalCrossentropy,
        "categorical_focal_crossentropy": losses.CategoricalFocalCrossentropy,
        "binary_focal_crossentropy": losses.BinaryFocalCrossentropy,
    }
    return classes[loss](from_logits=True) if loss in classes else loss


@pytest.mark.parametrize(
    ("kind", "loss", "class_weights", "execution"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE_CASES)],
)
def test_one_client_trains_as_keras_fit_does(
    kind: TaskKind, loss: Optional[str], class_weights: Any, execution: str
) -> None:
    import tensorflow as tf

    data = federation(kind, (21,))
    first, ours, done = weights_after(data, execution, loss=loss, class_weights=class_weights)
    examples = shuffled_examples(data, 0, SEED, 1)
    y: Any = examples.y
    if loss and loss.startswith("categorical"):
        y = np.eye(3, dtype=np.float32)[y]
    model = tf.keras.Sequential([tf.keras.Input(FEATURES), tf.keras.layers.Dense(len(first[1]))])
    model.compile(tf.keras.optimizers.legacy.SGD(RATE), keras_loss(kind, loss))
    model.set_weights(first)
    weights = {int(label): weight for label, weight in (class_weights or {}).items()}
    # Keras asks for the weights of all labels.
    all_weights = {c: weights.get(c, 1.0) for c in range(data.num_classes)} if weights else None
    history = model.fit(*(examples.x, y, 8, 2), verbose=0, shuffle=False, class_weight=all_weights)
    for one, other in zip(ours, model.get_weights()):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)
    assert np.abs(ours[0] - first[0]).max() > 1e-3
    assert done.train_loss == pytest.approx(np.mean(history.history["loss"]), rel=1e-5)
    test_y = np.eye(3, dtype=np.float32)[data.test.y] if y.ndim > examples.y.ndim else data.test.y
    # `evaluate` knows no class weights.
    assert done.loss == pytest.approx(model.evaluate(data.test.x, test_y, verbose=0), rel=1e-5)


@pytest.mark.slow
def test_a_loss_by_name_trains_as_bare_tff_does() -> None:
    import tensorflow as tf
    import tensorflow_federated as tff

    data = federation("regression")
    first, ours, _ = weights_after(data, "packed", loss="huber")
    spec = OrderedDict(
        x=tf.TensorSpec((None, FEATURES), tf.float32), y=tf.TensorSpec((None,), tf.float32)
    )

    def model_fn() -> Any:
        model = tf.keras.Sequential([tf.keras.Input(FEATURES), tf.keras.layers.Dense(1)])
        return tff.learning.models.from_keras_model(model, tf.keras.losses.Huber(), spec)

    process = tff.learning.algorithms.build_weighted_fed_avg(
        model_fn, tff.learning.optimizers.build_sgdm(RATE)
    )
    clients = []
    for client in range(len(data.clients)):
        own = shuffled_examples(data, client, SEED, 1)
        columns: Any = OrderedDict(x=own.x, y=own.y)
        rows = tf.data.Dataset.from_tensor_slices(columns)
        clients.append(rows.batch(8).repeat(2))
    begin = tff.learning.models.ModelWeights(first, [])
    state = process.set_model_weights(process.initialize(), begin)
    theirs = process.get_model_weights(process.next(state, clients).state).trainable
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fedprox", "scaffold", "centralized", "local_only"])
def test_every_algorithm_trains_with_the_loss_of_the_scenario(name: str) -> None:
    algorithm = {"kind": name, **({"mu": 0.1} if name == "fedprox" else {})}
    data = federation("label")
    losses = {}
    for loss in (None, "own_losses:focal"):
        settings = Training.model_validate({"rounds": 2, "algorithm": algorithm, "loss": loss})
        history = train(data, LINEAR, settings, len(data.clients), SEED)
        losses[loss] = history.rounds[-1].loss, history.rounds[-1].train_loss
    # The focal loss of an example is at most its cross entropy.
    for focal, entropy in zip(losses["own_losses:focal"], losses[None]):
        assert focal is not None and entropy is not None and focal < 0.8 * entropy


@pytest.mark.slow
def test_fine_tuning_and_reconstruction_use_the_loss() -> None:
    held = federation("label")
    data = replace(held, client_test=held.clients)
    tuned = {"rounds": 1, "personalize": {"steps": 3}}
    slow = {"kind": "sgd", "learning_rate": 1e-6}
    recon = {"kind": "fed_recon", "split_dataset": False}
    begun = {"rounds": 1, "algorithm": recon, "client_optimizer": slow}
    model = models.parse({"kind": "mlp", "hidden": [3]})
    accuracies, rounds = [], []
    for weights in ({}, {"class_weights": {"0": 100.0}}):
        history = train(data, LINEAR, Training.model_validate({**tuned, **weights}), 3, SEED)
        accuracies.append(history.personalized_accuracy)
        settings = Training.model_validate({**begun, **weights})
        rounds += train(data, model, settings, 3, SEED).rounds
    assert accuracies[0] != accuracies[1]
    plain, weighted = rounds
    assert weighted.train_loss > 3 * plain.train_loss  # with the weights
    assert weighted.loss == pytest.approx(plain.loss, rel=1e-3)  # without


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    data = federation("label")
    trained = data.train.y[np.concatenate(data.clients)]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=trained)
    np.testing.assert_allclose(weights_of_classes("balanced", data), expected)
    _, ours, _ = weights_after(data, "packed", class_weights="balanced")
    by_name = {str(label): float(weight) for label, weight in enumerate(expected)}
    _, theirs, _ = weights_after(data, "packed", class_weights=by_name)
    np.testing.assert_array_equal(ours[0], theirs[0])


def test_labels_are_named_as_in_the_data() -> None:
    data = replace(federation("binary"), label_names=("benign", "malignant"))
    assert weights_of_classes({"malignant": 5.0}, data) == (1.0, 5.0)
    with pytest.raises(DataError) as error:
        weights_of_classes({"malignnt": 5.0}, data)
    assert str(error.value) == (
        "training.class_weights: got 'malignnt'; no such label; allowed: benign, malignant; did "
        "you mean 'malignant'?"
    )
    with pytest.raises(DataError, match=r"class_weights: all labels weigh 0, so there is nothing"):
        weights_of_classes({"benign": 0.0, "malignant": 0.0}, data)
    with pytest.raises(DataError, match=r"weights: weights are for .* the data has the task regr"):
        weights_of_classes("balanced", federation("regression"))


def test_padding_has_no_loss_of_ones_own() -> None:
    from pytest_federated.training.models.losses import LossSettings

    shape = Shape((3,), 4, "tokens", (3,), "int32")
    rng = np.random.default_rng(0)
    y = rng.integers(-1, 4, (5, 3)).astype(np.int32)
    outputs = rng.normal(size=(5, 3, 4)).astype(np.float32)
    own = losses_of(LossSettings("own_losses:per_position"), shape, True).training
    default = losses_of(LossSettings(), shape, True).training
    assert float(own(y, outputs)) == pytest.approx(float(default(y, outputs)))


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        ("label", {"loss": "huber"}, "training.loss: got 'huber'; not for data with the task "
         "label; allowed: sparse_categorical_crossentropy, categorical_crossentropy, "
         'categorical_focal_crossentropy, categorical_hinge, or your own, "module:function"'),
        ("label", {"loss": "own_losses:outer"}, "training.loss: own_losses:outer gave float32 (5, "
         "3) for labels of shape (5,) and outputs of (5, 3); losses of shape (5,), or () for their "
         "mean, are needed"),
        ("label", {"loss": "own_losses:mean_focal", "class_weights": {"0": 2}},
         "training.loss: own_losses:mean_focal gave float32 () for labels of shape (5,) and "
         "outputs of (5, 3); losses of shape (5,) are needed, as class weights need them"),
        ("label", {"loss": "own_losses:blind"}, "training.loss: own_losses:blind does not depend "
         "on the model's outputs, so nothing is learnt"),
        ("label", {"loss": "own_losses:number"},
         "training.loss: own_losses:number gave float; a tensor is needed"),
        ("label", {"loss": "own_losses:in_numpy"}, "training.loss: own_losses:in_numpy raised "
         "AttributeError: 'SymbolicTensor' object has no attribute 'numpy' (line 24 of {module}: "
         "return np.square(y_pred.numpy()))"),
        ("label", {"loss": "own_losses:missing"},
         "training.loss: the module 'own_losses' has no function 'missing'"),
        ("binary", {"loss": "hinge", "model": {"kind": "linear", "outputs": "probabilities"}},
         "training.loss: got 'hinge'; it is for outputs from minus to plus infinity, and the model "
         "gives probabilities; leave out the sigmoid"),
    ],
)  # fmt: skip
def test_a_loss_that_cannot_be_is_refused_in_one_line(
    kind: TaskKind, keys: dict[str, Any], message: str, module: Path
) -> None:
    training = {key: value for key, value in keys.items() if key != "model"}
    model = models.parse(keys.get("model", "linear"))
    settings = Training.model_validate({"rounds": 1, **training})
    with pytest.raises(ModelError) as error:
        trainer_for(model, settings, federation(kind))
    assert str(error.value) == message.format(module=module)


def test_a_loss_draws_no_random_numbers_without_a_seed() -> None:
    settings = Training.model_validate({"rounds": 1, "loss": "own_losses:drawing"})
    with pytest.raises(ModelError, match=r"^training.loss: own_losses:drawing draws random .* in"):
        trainer_for(LINEAR, settings, federation("label"))


def test_a_changed_loss_of_ones_own_trains_anew(module: Path) -> None:
    data = federation("label")
    settings = Training.model_validate({"rounds": 1, "loss": "own_losses:mean_focal"})
    before = train(data, LINEAR, settings, 3, SEED).rounds[-1].loss
    module.write_text(OWN.replace("** 2", "** 4"))
    assert train(data, LINEAR, settings, 3, SEED).rounds[-1].loss != before


def test_a_model_with_a_loss_of_its_own_takes_no_other(module: Path) -> None:
    (module.parent / "own_variable.py").write_text(
        "import tensorflow as tf, tensorflow_federated as tff\n"
        "def build(input_shape, num_classes, input_spec):\n"
        "    model = tf.keras.Sequential([tf.keras.Input(input_shape), "
        "tf.keras.layers.Dense(num_classes)])\n"
        "    loss = tf.keras.losses.SparseCategoricalCrossentropy(True)\n"
        "    return tff.learning.models.from_keras_model(model, loss, input_spec)\n"
    )
    model = models.parse({"variable": "own_variable:build"})
    settings = Training.model_validate({"rounds": 1, "class_weights": "balanced"})
    with pytest.raises(ModelError, match=r"^training.class_weights: the model, a .* has its own"):
        trainer_for(model, settings, federation("label"))
