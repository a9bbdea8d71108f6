"""Metrics of labels and predictions: their values, and that a user's is one decorated function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_federated.core.errors import FederatedError
from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.expectations.judging import unfit
from pytest_federated.metrics.coverage import coverage
from pytest_federated.metrics.metric import NoValue, metrics, spec_of
from pytest_federated.metrics.prediction import prediction_metric, scores_of
from pytest_federated.running.fingerprint import training_key
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.evaluation.central import Evaluation, mean, pooled, scored_by
from pytest_federated.training.history import Round, TrainingHistory
from sklearn import metrics as sklearn


def score(name: str, labels: Any, predictions: Any) -> float:
    function = spec_of(name).score
    assert function is not None
    return function(np.asarray(labels), np.asarray(predictions, np.float32))


OF_SCIKIT_LEARN: dict[str, Any] = {
    "precision": sklearn.precision_score,
    "recall": sklearn.recall_score,
    "f1": sklearn.f1_score,
}
EXAMPLES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=12)


@given(EXAMPLES)
def test_metrics_of_two_labels_are_those_of_scikit_learn(examples: list[tuple[int, int]]) -> None:
    labels, eighths = np.array(examples).T
    predictions = eighths / 8
    taken = predictions > 0.5
    for name, theirs in OF_SCIKIT_LEARN.items():
        ours = score(name, labels, predictions)
        if math.isnan(ours):
            assert not labels.any()  # nobody has label 1
        else:
            assert ours == pytest.approx(theirs(labels, taken, zero_division=0))
    ours = score("auc", labels, predictions)
    if len(set(labels)) < 2:
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(sklearn.roc_auc_score(labels, predictions))


@given(st.integers(0, 1000))
def test_metrics_of_more_labels_are_the_mean_over_those_that_occur(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 2, 3], rng.choice([0, 2, 3], 9)])  # none has label 1
    predictions = rng.dirichlet(np.ones(4), 12)
    options: Any = {"labels": [0, 2, 3], "average": "macro", "zero_division": 0}
    for name, theirs in OF_SCIKIT_LEARN.items():
        expected = theirs(labels, predictions.argmax(axis=1), **options)
        assert score(name, labels, predictions) == pytest.approx(expected)
    areas = [float(sklearn.roc_auc_score(labels == n, predictions[:, n])) for n in (0, 2, 3)]
    assert score("auc", labels, predictions) == pytest.approx(sum(areas) / 3)


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=12))
@example([(3, 1), (3, 2)])  # numbers without any spread
@example([(0, 0), (0, 1), (1, 1), (1, 0)])  # with a sum of squares of 1
def test_errors_of_numbers_are_those_of_scikit_learn(examples: list[tuple[int, int]]) -> None:
    labels, predictions = np.array(examples, np.float64).T
    assert score("mse", labels, predictions) == pytest.approx(
        sklearn.mean_squared_error(labels, predictions)
    )
    assert score("mae", labels, predictions) == pytest.approx(
        sklearn.mean_absolute_error(labels, predictions)
    )
    ours = score("r2", labels, predictions)
    if len(set(labels)) < 2:
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(sklearn.r2_score(labels, predictions))


def history(**scores: float) -> TrainingHistory:
    done = Round(
        round=1, clients=3, held_examples=9, examples=9, train_loss=1.0, train_accuracy=None,
        loss=0.5, scores=scores,
    )  # fmt: skip
    clients = {"mae": (0.2, None, 0.4), "r2": (0.9, None, -0.5)}
    return TrainingHistory(
        seed=0, rounds=(done,), client_examples=(3, 3, 3), test_examples=9, task="regression",
        client_scores=clients,
    )  # fmt: skip


def test_a_metric_of_predictions_is_of_the_test_set_or_over_clients() -> None:
    done = history(mae=0.25)
    mae, r2 = metrics["mae"].function, metrics["r2"].function
    assert mae(done) == 0.25
    assert mae(done, over="clients") == pytest.approx(0.3)
    assert mae(done, over="worst_client") == 0.4
    assert r2(done, over="worst_client") == -0.5
    with pytest.raises(NoValue, match="no value on the test set"):
        r2(done)
    with pytest.raises(NoValue, match="no value of any client"):
        metrics["mse"].function(done, over="clients")


def test_what_a_history_has_of_predictions_is_written_only_if_it_is_there() -> None:
    done = history(mae=0.25)
    assert TrainingHistory.model_validate_json(done.model_dump_json()) == done
    plain = done.model_copy(update={"client_scores": {}, "task": None})
    assert not {"task", "client_scores"} & plain.model_dump().keys()
    assert "scores" not in Round(
        round=1, clients=1, held_examples=1, examples=1, train_loss=1.0, train_accuracy=0.5
    ).model_dump()  # fmt: skip


def test_a_metric_over_some_clients_says_of_how_many() -> None:
    done = history(mae=0.25)
    assert coverage(spec_of("mae"), [done], {"over": "worst_client"}) == "2 of 3 clients"
    assert not coverage(spec_of("mae"), [done], {})


def test_a_training_depends_on_the_metrics_of_predictions_that_are_expected() -> None:
    def key(dataset: str, **expect: Any) -> str:
        settings = {**SCENARIO, "data": {"dataset": dataset}, "expect": expect}
        return training_key(Scenario.model_validate(settings), 0)

    bound = {"at_least": 0.1}
    assert key("digits") == key("digits", loss=bound) != key("digits", f1=bound)
    assert key("diabetes") == key("diabetes", mae=bound)  # which every regression measures


def test_a_mean_of_evaluations_has_the_scores_that_all_have() -> None:
    one = Evaluation(1.0, None, {"mae": 1.0, "r2": 0.5})
    other = Evaluation(4.0, None, {"mae": 4.0})
    assert mean([(one, 2), (other, 1)]) == Evaluation(2.0, None, {"mae": 2.0})
    assert mean([(Evaluation(1.0, 0.5), 1), (Evaluation(2.0, 1.0), 1)]) == Evaluation(1.5, 0.75)


def test_pooled_evaluations_are_as_of_one_set() -> None:
    one, other = Evaluation(1.0, 0.5, counts=(1, 2)), Evaluation(3.0, 1.0, counts=(3, 6))
    assert pooled([one, other]) == Evaluation(2.5, 0.875, counts=(4, 8))
    assert pooled([]) == Evaluation(0.0, 0.0)


@pytest.mark.parametrize(
    ("expect", "task", "measured"),
    [
        ((), "label", []),
        (("f1",), "label", ["f1"]),
        ((), "binary", ["auc", "f1", "precision", "recall"]),
        ((), "regression", ["mae", "mse", "r2"]),
        (("accuracy",), "tokens", []),
    ],
)
def test_what_is_measured_of_predictions(
    expect: tuple[str, ...], task: TaskKind, measured: list[str]
) -> None:
    assert sorted(scores_of({name: Any for name in expect}, task)) == measured  # type: ignore


SCENARIO: dict[str, Any] = {
    "name": "tiny",
    "data": {"dataset": "diabetes"},
    "clients": {"count": 3},
    "model": "linear",
    "training": {"rounds": 1},
}
LABELS_ONLY = sorted(
    name
    for name in metrics.names()
    if spec_of(name).tasks and "regression" not in spec_of(name).tasks
)


@pytest.mark.parametrize("name", LABELS_ONLY)
def test_what_is_of_labels_cannot_be_expected_of_numbers(name: str) -> None:
    keys = {
        "rounds_to_accuracy": {"target": 0.5, "at_most": 3},
        "bytes_to_accuracy": {"target": 0.5, "at_most": 3},
        "gap": {"relative_to": "[x=1]", "at_most": 0.1},
        "accuracy_drop": {"at_most": 0.1},
    }.get(name, {"at_least": 0.1})
    with pytest.raises(ValueError, match=r"is for .*; the data has numbers \(task: regression\)"):
        Scenario.model_validate({**SCENARIO, "expect": {name: keys}})


def test_what_is_of_numbers_cannot_be_expected_of_labels() -> None:
    reason = unfit({"mse": Scenario}, "label")  # type: ignore[dict-item]
    assert reason is not None and reason[1].startswith(
        "is for the task regression; the data has labels (task: label); such data has accuracy, "
    )


def test_the_metrics_of_labels_are_known() -> None:
    assert "accuracy" in LABELS_ONLY and "worst_client_accuracy" in LABELS_ONLY
    assert not {"loss", "mse", "megabytes_up", "epsilon", "custom"} & {*LABELS_ONLY}


def test_a_function_of_predictions_that_fails_is_named() -> None:
    def fails(labels: Any, predictions: Any) -> float:
        raise KeyError("hue")

    with pytest.raises(FederatedError, match=r"the metric 'mine' raised KeyError: 'hue'"):
        scored_by({"mine": fails}, np.zeros(2), np.zeros(2))
    wrong: list[Any] = [None, "0.5", [0.5], np.zeros(2), True, 1j]
    for value in wrong:
        with pytest.raises(FederatedError, match=r"'mine' gave .*; it must give a number"):
            given_by(value)
    for value in (0.5, np.float32(0.5), np.array(0.5)):
        assert given_by(value) == {"mine": 0.5}
    assert given_by(math.nan) == {}


def given_by(value: Any) -> dict[str, float]:
    return scored_by({"mine": lambda labels, predictions: value}, np.zeros(2), np.zeros(2))


def test_a_function_of_predictions_has_no_keys_of_its_own() -> None:
    with pytest.raises(TypeError, match="metric 'mine': a function of predictions has no keys"):

        @prediction_metric("mine")
        def mine(labels: Any, predictions: Any, *, threshold: float = 0.5) -> float:
            return threshold
