"""Examples with one label, with a label at each position, and with tags."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.data.datasets.dataset import Examples, TaskKind
from pytest_federated.data.federation import FederatedData
from pytest_federated.data.heterogeneity import measure
from pytest_federated.data.shifts.shift import shifts
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.model import Shape, models
from pytest_federated.training.schema import Training
from pytest_federated.training.tasks.metrics import functional_metrics, keras_accuracy, keras_loss
from pytest_federated.training.tasks.task import of as task_of

CLASSES, LENGTH = 3, 4


def federation(kind: TaskKind, sizes: list[int], seed: int = 0) -> FederatedData:
    """Returns clients of these sizes with synthetic data; tokens have padding, tags may be 0."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    x = rng.normal(size=(n, LENGTH)).astype(np.float32)
    if kind == "tokens":
        y = (x > 0).astype(np.int32) + (x > 1)
        length = rng.integers(0, LENGTH + 1, n)
        y[np.arange(LENGTH) >= length[:, None]] = -1
    elif kind == "tags":
        y = (x[:, :CLASSES] > 0.5).astype(np.int8)
    else:
        y = (x[:, 0] > 0).astype(np.int32)
    parts = tuple(np.split(rng.permutation(n), np.cumsum(sizes)[:-1]))
    names = tuple(f"client-{i}" for i in range(len(sizes)))
    classes = 2 if kind == "binary" else CLASSES
    return FederatedData(Examples(x, y), parts, names, Examples(x, y), classes, task=kind)


@pytest.fixture(scope="module")
def own_models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    (folder / "task_models.py").write_text(
        "import tensorflow as tf\n"
        "layers = tf.keras.layers\n"
        "def positions(input_shape, num_classes):\n"
        "    n = input_shape[0]\n"
        "    return tf.keras.Sequential([layers.InputLayer(input_shape), layers.Dense(5, 'tanh'),\n"
        "        layers.Dense(n * num_classes), layers.Reshape((n, num_classes))])\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


MODEL = {
    "label": {"kind": "mlp", "hidden": [5]},
    "binary": {"kind": "mlp", "hidden": [5]},
    "tokens": {"keras": "task_models:positions"},
    "tags": {"kind": "mlp", "hidden": [5]},
}


@pytest.mark.usefixtures("running", "own_models")
@pytest.mark.parametrize("kind", ["binary", "tokens", "tags"])
def test_packed_equals_standard(kind: TaskKind) -> None:
    model = models.parse(MODEL[kind])

    @settings(
        max_examples=6,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    @given(
        sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
        batch_size=st.integers(1, 10),
        seed=st.integers(0, 1000),
    )
    def holds(sizes: list[int], batch_size: int, seed: int) -> None:
        data = federation(kind, sizes, seed)
        found = []
        for execution in ("standard", "packed"):
            training = Training.model_validate(
                {"rounds": 1, "execution": execution, "batch_size": batch_size, "local_epochs": 2}
            )
            (step,) = steps(data, model, training, len(sizes), seed)
            trainer = trainer_for(model, training, data)
            found.append((trainer.algorithm.weights(step.state).trainable, step.round))
        (standard, one), (packed, other) = found
        for a, b in zip(standard, packed):
            np.testing.assert_allclose(a, b, rtol=0, atol=5e-6)
        assert one.examples == other.examples == 2 * sum(sizes)
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-4)
        assert abs(other.train_accuracy - one.train_accuracy) * data.train.y.size < 1.5
        assert other.loss == pytest.approx(one.loss, abs=1e-4)

    holds()


@pytest.mark.usefixtures("running", "own_models")
@pytest.mark.parametrize("kind", ["tokens", pytest.param("tags", marks=pytest.mark.slow)])
def test_models_of_clients_are_judged_by_positions_in_both(kind: TaskKind) -> None:
    """By fed_recon, whose standard evaluation is TFF's own."""
    data, model = federation(kind, [8, 3, 12]), models.parse(MODEL[kind])
    data = replace(data, client_test=tuple(own[::2] for own in data.clients))
    found = []
    for execution in ("standard", "packed"):
        training = Training.model_validate(
            {"rounds": 1, "execution": execution, "batch_size": 2, "algorithm": "fed_recon"}
        )
        (step,) = steps(data, model, training, 3, 0)
        found.append(step.round)
    standard, packed = found
    assert packed.examples == standard.examples
    for figure in ("loss", "accuracy", "train_loss", "train_accuracy"):
        assert getattr(packed, figure) == pytest.approx(getattr(standard, figure), abs=1e-5)


@pytest.mark.usefixtures("running", "own_models")
@pytest.mark.parametrize("kind", ["binary", "tokens", "tags"])
def test_training_learns_and_is_judged_as_by_numpy(kind: TaskKind) -> None:
    data = federation(kind, [40, 60, 20])
    model = models.parse(MODEL[kind])
    training = Training.model_validate(
        {
            "rounds": 6,
            "local_epochs": 4,
            "client_optimizer": {"kind": "adam", "learning_rate": 0.05},
        }
    )
    assert trainer_for(model, training, data).execution.kind == "packed"
    *_, last = steps(data, model, training, 3, 0)
    trainer = trainer_for(model, training, data)
    y = data.test.y
    _, given = trainer.adapter.forward(data.test.x, y)
    given = given.numpy().astype(np.float64)
    if kind == "tokens":
        real = y >= 0
        chance = np.exp(given - given.max(-1, keepdims=True))
        chance /= chance.sum(-1, keepdims=True)
        own = np.take_along_axis(chance, np.maximum(y, 0)[..., None], -1)[..., 0]
        loss = -np.log(own[real]).mean()
        accuracy = (given.argmax(-1) == y)[real].mean()
        guessing = np.bincount(y[real]).max() / real.sum()
    elif kind == "binary":
        logits = given[:, 0]
        loss = (np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0) - logits * y).mean()
        accuracy = ((logits > 0) == y).mean()
        guessing = max(y.mean(), 1 - y.mean())
    else:
        loss = (np.log1p(np.exp(-np.abs(given))) + np.maximum(given, 0) - given * y).mean()
        best = np.argsort(-given, axis=-1)[:, :1]  # of three tags: the better half
        accuracy = np.take_along_axis(y, best, -1).sum() / y.sum()
        guessing = y.sum(0).max() / y.sum()
    assert last.round.loss == pytest.approx(loss, rel=1e-4)
    assert last.round.accuracy == pytest.approx(accuracy, abs=1e-6)
    assert guessing + 0.1 < accuracy <= 1


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize("kind", ["label", "binary", "tokens", "tags"])
@pytest.mark.parametrize("are_logits", [True, False])
def test_keras_and_functional_models_have_the_same_loss_and_metrics(
    kind: TaskKind, are_logits: bool
) -> None:
    import tensorflow as tf
    import tensorflow_federated as tff

    data, task = federation(kind, [11]), task_of(kind)
    rng = np.random.default_rng(0)
    shape = task.outputs(data.train.y.shape[1:], CLASSES)
    given = tf.constant(rng.normal(size=(11, *shape)).astype(np.float32))
    y = tf.constant(data.train.y)
    loss: Any = keras_loss(task, are_logits=True)(y, given)
    if not are_logits:
        given = tf.keras.activations.get(task.activation)(given)
        same: Any = keras_loss(task, False)(y, given)
        assert float(same) == pytest.approx(float(loss), rel=1e-4)
    metric: Any = keras_accuracy(task, are_logits)
    start, update, finish = functional_metrics(task, are_logits)
    state = start()
    for part in (slice(0, 4), slice(4, 11)):
        metric.update_state(y[part], given[part])
        output = tff.learning.models.BatchOutput(loss, given[part], tf.shape(given[part])[0])
        state = update(state, y[part], output)
    figures = finish(state)
    assert task.hits is not None
    right, counted = (n.numpy() for n in task.hits(y, given, are_logits))
    assert not (right & ~counted).any()
    share = right.sum() / counted.sum()
    assert float(metric.result()) == float(figures["accuracy"]) == pytest.approx(share)
    assert float(figures["loss"]) == pytest.approx(float(loss))
    assert int(figures["num_examples"]) == 11


@pytest.mark.usefixtures("tff")
def test_recall_at_five_is_that_of_keras() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(1)
    y = (rng.random((50, 20)) < 0.15).astype(np.float32)
    given = rng.random((50, 20)).astype(np.float32)
    theirs = tf.keras.metrics.Recall(top_k=5)
    theirs.update_state(y, given)
    hits = task_of("tags").hits
    assert hits is not None
    right, counted = hits(tf.constant(y), tf.constant(given), False)
    assert np.sum(right) / np.sum(counted) == pytest.approx(float(theirs.result()))


@pytest.mark.usefixtures("tff")
def test_padding_has_no_loss() -> None:
    import tensorflow as tf

    y, given = tf.fill((2, LENGTH), -1), tf.ones((2, LENGTH, CLASSES))
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss: Any = keras_loss(task_of("tokens"), True)(y, given)
    assert float(loss) == 0
    gradient: Any = tape.gradient(loss, given)
    assert not np.any(gradient)


@pytest.mark.usefixtures("running")
def test_a_model_with_outputs_of_another_task_is_refused() -> None:
    data = federation("tokens", [5])
    with pytest.raises(
        ModelError,
        match=r"shape \(None, 3\); the data has 3 labels for each of 4 positions, so "
        r"\(None, 4, 3\) is needed",
    ):
        trainer_for(models.parse({"kind": "mlp"}), Training(rounds=1), data)


def test_labels_are_counted_without_padding() -> None:
    data = federation("tokens", [6, 9, 3])
    for own, row in zip(data.clients, data.label_counts):
        held = [int(label) for label in data.train.y[own].ravel() if label >= 0]
        assert row.tolist() == [held.count(c) for c in range(CLASSES)]
    data = federation("tags", [6, 9, 3])
    for own, row in zip(data.clients, data.label_counts):
        assert row.tolist() == data.train.y[own].sum(axis=0).tolist()


def test_heterogeneity_leaves_out_clients_without_labels() -> None:
    counts = np.array([[3, 1], [0, 0], [1, 3]])
    found = measure(counts, sizes=np.array([5, 7, 9]))
    without = measure(counts[[0, 2]])
    assert (found.smallest, found.largest) == (5, 9)
    for name in ("label_entropy", "jensen_shannon", "hellinger", "earth_mover"):
        assert getattr(found, name) == getattr(without, name)
    assert math.isfinite(measure(np.zeros((2, 3), int), sizes=np.array([1, 2])).earth_mover)


def test_shifts_of_labels_leave_padding_alone_and_refuse_tags() -> None:
    from dataclasses import replace

    noise = (shifts.parse({"kind": "label_noise", "rate": 1.0}),)
    data = replace(federation("tokens", [30]), shift=noise)
    before, after = data.train.y[data.clients[0]], data.examples(0).y
    assert np.array_equal(before < 0, after < 0)
    assert (before != after)[before >= 0].all()
    with pytest.raises(DataError, match="these have tags"):
        replace(federation("tags", [30]), shift=noise).examples(0)


@pytest.mark.usefixtures("running", "own_models")
def test_a_training_of_tokens_has_a_history() -> None:
    data = federation("tokens", [8, 8])
    history = train(data, models.parse(MODEL["tokens"]), Training(rounds=1), 2, 0)
    assert history.client_examples == (8, 8)
    assert history.heterogeneity is not None and history.heterogeneity.largest == 8


def test_a_shape_has_a_label_by_default() -> None:
    assert Shape((8, 8, 1), 10).output_shape == (10,)
    assert Shape((7,), 10, "tokens", (7,)).output_shape == (7, 10)
    assert Shape((7,), 2, "binary").output_shape == (1,)
    assert Shape((7,), 10, "tags", (10,)).activation("probabilities") == "sigmoid"
