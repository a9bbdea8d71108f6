"""Models with one output, compared with FedAvg in NumPy; also TFF's own kinds of models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import pytest_federated
from numpy_reference import BASE, COHORT, RATE, ROUNDS, SEED, batches, cohort_of
from pytest_federated import Options, Scenario, run
from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.clients.participation import Participation
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.data.datasets.dataset import Examples, TaskKind
from pytest_federated.data.federation import FederatedData
from pytest_federated.metrics.metric import metrics
from pytest_federated.metrics.prediction import scores_of
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.model import Shape, models
from pytest_federated.training.schema import Training

FEATURES = 4


def federation(kind: TaskKind) -> FederatedData:
    """Returns five clients of different sizes."""
    rng = np.random.default_rng(0)
    sizes = [9, 20, 14, 31, 6]
    x = rng.normal(size=(sum(sizes), FEATURES)).astype(np.float32)
    y: np.ndarray = x @ [1.0, -2.0, 0.5, 0.0] + 0.3 * rng.normal(size=len(x))
    y = y.astype(np.float32) if kind == "regression" else (y > 0).astype(np.int32)
    parts = tuple(np.split(rng.permutation(len(x)), np.cumsum(sizes)[:-1]))
    names = tuple(map(str, range(len(sizes))))
    classes = 1 if kind == "regression" else 2
    return FederatedData(Examples(x, y), parts, names, Examples(x, y), classes, task=kind)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def cross_entropy(z: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - z * y))


# Return the gradient of each example's loss with respect to its output, and the mean loss.
GRADIENTS: dict[TaskKind, Callable[[Any, Any], Any]] = {
    "binary": lambda z, y: sigmoid(z) - y,
    "regression": lambda z, y: 2 * (z - y),
}
LOSSES: dict[TaskKind, Callable[[Any, Any], float]] = {
    "binary": cross_entropy,
    "regression": lambda z, y: float(np.mean((z - y) ** 2)),
}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["packed", "standard"])
@pytest.mark.parametrize("kind", ["binary", "regression"])
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
        if y.dtype.is_floating:
            return (y[:, None] - outputs) ** 2
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


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("task", "logits"), [("binary", True), ("binary", False), ("regression", True)]
)
def test_each_kind_of_model_is_judged_the_same(
    task: TaskKind, logits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"{task}_models_{logits}"
    (tmp_path / f"{module}.py").write_text(TFF_MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    data, settings = federation(task), Training(rounds=2)
    judged = []
    for kind in ("keras", "functional", "variable"):
        model = models.parse({kind: f"{module}:{kind}", "args": {"logits": logits}})
        assert trainer_for(model, settings, data).adapter.gives_logits == logits
        count = len(data.clients)
        history = train(data, model, settings, count, 0, scores=scores_of({}, task))
        assert history.task == task
        judged.append(history)
    one, *others = judged
    last = one.rounds[-1]
    for other in others:
        for figure in ("loss", "train_loss"):
            assert getattr(other.rounds[-1], figure) == pytest.approx(
                getattr(last, figure), rel=1e-4
            )
        for figure in ("accuracy", "train_accuracy"):
            assert getattr(other.rounds[-1], figure) == getattr(last, figure)
        assert other.rounds[-1].scores == pytest.approx(last.scores, rel=1e-4)
        for name, values in one.client_scores.items():
            assert other.client_scores[name] == pytest.approx(values, rel=1e-3)
    if task == "binary":
        assert last.accuracy is not None and 0.5 < last.accuracy <= 1
        assert len(one.class_recall) == 2
    else:
        assert (last.accuracy, last.train_accuracy) == (None, None)
        assert (one.class_recall, one.client_accuracy, one.label_counts) == ((), (), ())
        assert last.scores["mse"] == pytest.approx(last.loss, rel=1e-5)


@pytest.mark.usefixtures("running")
def test_scores_are_those_of_the_model_on_the_test_set_and_at_each_client() -> None:
    data, model = federation("regression"), models.parse("linear")
    settings = Training.model_validate(BASE)
    history = train(data, model, settings, COHORT, SEED, scores=scores_of({}, "regression"))
    *_, last = steps(data, model, settings, COHORT, SEED)
    weights, bias = (np.asarray(w) for w in trainer_for(model, settings, data, COHORT).algorithm
                     .weights(last.state).trainable)  # fmt: skip
    errors = (data.test.x @ weights + bias)[:, 0] - data.test.y
    assert history.rounds[-1].scores["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    for own, mse in zip(data.clients, history.client_scores["mse"]):
        assert mse == pytest.approx(float((errors[own] ** 2).mean()), rel=1e-4)
    alone = Training.model_validate({**BASE, "algorithm": "local_only"})
    tested = replace(data, client_test=data.clients)
    history = train(tested, model, alone, COHORT, SEED, scores=scores_of({}, "regression"))
    own = history.client_scores["mse"]
    mean = np.average([v for v in own if v is not None], weights=data.sizes)
    assert history.rounds[-1].scores["mse"] == pytest.approx(mean, rel=1e-5)


@pytest.mark.usefixtures("running")
def test_what_needs_labels_refuses_numbers() -> None:
    data, model = federation("regression"), models.parse("linear")
    tested = replace(data, client_test=data.clients)
    tuned = Training.model_validate({"rounds": 1, "personalize": {"steps": 1}})
    with pytest.raises(
        DataError, match=r"personalize: .* judged by accuracy; the data has numbers"
    ):
        train(tested, model, tuned, COHORT, SEED)
    flip = Participation(attacks=attacks.parse({"kind": "label_flip", "share": 0.5}))
    with pytest.raises(DataError, match=r"attacks: label_flip changes labels; .* have numbers"):
        train(data, model, Training(rounds=1), COHORT, SEED, participation=flip)
    wrong = models.parse({"kind": "mlp", "outputs": "probabilities"})
    with pytest.raises(ModelError, match=r"outputs: probabilities'; the data has numbers to pre"):
        trainer_for(wrong, Training(rounds=1), data)
    recon = {"kind": "fed_recon", "local_layers": "last"}
    settings = Training.model_validate({"rounds": 1, "algorithm": recon})
    with pytest.raises(ModelError, match=r"fed_recon is judged by accuracy; the data has numbers"):
        trainer_for(models.parse("mlp"), settings, tested)


@pytest.mark.parametrize(
    ("kind", "classes", "outputs", "message"),
    [
        ("label", 9, 1, "the data has 9 labels, so (None, 9) is needed; with one output, say "
         "data.dataset.task: regression"),
        ("label", 2, 1, "the data has 2 labels, so (None, 2) is needed; with one output, say "
         "data.dataset.task: binary, or regression for numbers"),
        ("label", 1, 1, "the data has one label only, so there is nothing to learn; for numbers, "
         "say data.dataset.task: regression"),
        ("binary", 2, 2, "the data has one label of two to predict, so (None, 1) is needed"),
        ("regression", 1, 3, "the data has one number to predict, so (None, 1) is needed"),
    ],
)  # fmt: skip
def test_a_model_of_other_outputs_is_told_what_to_do(
    kind: TaskKind, classes: int, outputs: int, message: str
) -> None:
    with pytest.raises(ModelError) as error:
        Shape((4,), classes, kind).check_outputs((None, outputs))
    assert str(error.value).endswith(message)


@pytest.mark.usefixtures("running")
def test_a_metric_of_predictions_of_ones_own_is_one_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "_entries", metrics.entries())
    seen = []

    @pytest_federated.prediction_metric("within_half", scale="share", direction="higher")
    def within_half(labels: np.ndarray, predictions: np.ndarray) -> float:
        """Share of the numbers that are predicted to 0.5."""
        seen.append((labels.shape, predictions.shape, predictions.dtype))
        return np.mean(np.abs(labels - predictions) <= 0.5)

    expect = {"within_half": {"at_least": 0.01, "over": "worst_client"}, "r2": {"at_most": 1.0}}
    scenario = Scenario.model_validate(
        {
            "name": "diabetes",
            "data": {"dataset": "diabetes"},
            "clients": {"count": 3},
            "model": "linear",
            "training": {"rounds": 2},
            "expect": expect,
        }
    )
    result = run(scenario, Options(reuse=False))
    (history,) = result.histories
    assert {*history.rounds[0].scores} == {"within_half", "mae", "mse", "r2"}
    worst, r2 = result.verdicts
    assert worst.measured == pytest.approx(
        min(v or 0 for v in history.client_scores["within_half"])
    )
    assert r2.measured == pytest.approx(history.rounds[-1].scores["r2"])
    assert seen[0] == ((88,), (88,), np.float32)
    assert len(seen) == 2 + 3  # rounds and clients
