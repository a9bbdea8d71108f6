"""Models with one output, compared with FedAvg in NumPy; also TFF's own kinds of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from numpy_reference import BASE, COHORT, RATE, ROUNDS, SEED, batches, cohort_of
from pytest_federated.data.datasets.dataset import Examples, TaskKind
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training

FEATURES = 4


def federation(kind: TaskKind) -> FederatedData:
    """Returns five clients of different sizes."""
    rng = np.random.default_rng(0)
    sizes = [9, 20, 14, 31, 6]
    x = rng.normal(size=(sum(sizes), FEATURES)).astype(np.float32)
    y = (x @ [1.0, -2.0, 0.5, 0.0] + 0.3 * rng.normal(size=len(x)) > 0).astype(np.int32)
    parts = tuple(np.split(rng.permutation(len(x)), np.cumsum(sizes)[:-1]))
    names = tuple(map(str, range(len(sizes))))
    return FederatedData(Examples(x, y), parts, names, Examples(x, y), 2, task=kind)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def cross_entropy(z: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - z * y))


# Return the gradient of each example's loss with respect to its output, and the mean loss.
GRADIENTS: dict[TaskKind, Callable[[Any, Any], Any]] = {"binary": lambda z, y: sigmoid(z) - y}
LOSSES: dict[TaskKind, Callable[[Any, Any], float]] = {"binary": cross_entropy}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("execution", ["packed", "standard"])
@pytest.mark.parametrize("kind", ["binary"])
def test_three_rounds_equal_those_in_numpy(kind: TaskKind, execution: str) -> None:
    data, model = federation(kind), models.parse("linear")
    settings = Training.model_validate({**BASE, "execution": execution})
    trainer = trainer_for(model, settings, data, COHORT)
    first = trainer.initial_weights(SEED).trainable
    weights, bias = (np.asarray(w).astype(np.float64) for w in first)
    done = list(steps(data, model, settings, COHORT, SEED))
    assert len(done) == ROUNDS
    for step in done:
        total, mass = [np.zeros_like(weights), np.zeros_like(bias)], 0
        for client in cohort_of(data, step.round.round):
            w, b = weights, bias
            for x, y in batches(data, int(client), step.round.round):
                by_output = GRADIENTS[kind]((x @ w + b)[:, 0], y)[:, None] / len(y)
                w, b = w - RATE * x.T @ by_output, b - RATE * by_output.sum(axis=0)
            size = len(data.clients[client])
            total = [t + size * own for t, own in zip(total, (w, b))]
            mass += size
        weights, bias = (t / mass for t in total)
        ours = trainer.algorithm.weights(step.state).trainable
        for one, other in zip(ours, (weights, bias)):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
        outputs = (data.test.x @ weights + bias)[:, 0]
        assert step.round.loss == pytest.approx(LOSSES[kind](outputs, data.test.y), rel=1e-4)


TFF_MODELS = """
import tensorflow as tf
import tensorflow_federated as tff

class Loss(tf.keras.losses.Loss):
    def call(self, y, outputs):
        return tf.keras.losses.binary_crossentropy(tf.cast(y, tf.float32)[:, None], outputs, LOGITS)

LOGITS = False

def keras(input_shape, output_shape, logits):
    end = None if logits else "sigmoid"
    dense = tf.keras.layers.Dense(output_shape[0], end, kernel_initializer="zeros")
    return tf.keras.Sequential([tf.keras.Input(input_shape), dense])

def functional(input_shape, output_shape, input_spec, logits):
    global LOGITS
    LOGITS = logits
    return tff.learning.models.functional_model_from_keras(
        lambda: keras(input_shape, output_shape, logits), Loss(), input_spec
    )

def variable(input_shape, output_shape, input_spec, logits):
    global LOGITS
    LOGITS = logits
    model = keras(input_shape, output_shape, logits)
    return tff.learning.models.from_keras_model(model, Loss(), input_spec)
"""


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("logits", [True, False])
def test_each_kind_of_binary_model_is_judged_the_same(
    logits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"binary_models_{logits}.py").write_text(TFF_MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    data, settings = federation("binary"), Training(rounds=2)
    judged = []
    for kind in ("keras", "functional", "variable"):
        name = f"binary_models_{logits}:{kind}"
        model = models.parse({kind: name, "args": {"logits": logits}})
        assert trainer_for(model, settings, data).adapter.gives_logits == logits
        *_, last = steps(data, model, settings, len(data.clients), 0)
        judged.append(last.round)
    for other in judged[1:]:
        for figure in ("loss", "train_loss"):
            assert getattr(other, figure) == pytest.approx(getattr(judged[0], figure), rel=1e-4)
        for figure in ("accuracy", "train_accuracy"):
            assert getattr(other, figure) == getattr(judged[0], figure)
    assert 0.5 < judged[0].accuracy <= 1
