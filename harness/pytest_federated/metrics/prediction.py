"""Metrics of predictions: functions of labels and predictions, on the test set and by client."""

from __future__ import annotations

import functools
import inspect
import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Callable, Literal, Optional, TypeVar

import numpy as np
from pydantic import Field

from pytest_federated.core.schema import Section
from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.needs import Lack, Measured, clients_examples
from pytest_federated.metrics.validation import BestBy, chosen_round, set_that_chooses
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.evaluation.central import Score, Scores
from pytest_federated.training.history import TrainingHistory

Over = Annotated[
    Optional[Literal["clients", "worst_client"]],
    Field(description="The mean over clients, or the client served worst; else the test set."),
]
Array = np.ndarray[Any, Any]
_S = TypeVar("_S", bound=Score)


def prediction_metric(name: str, **traits: Any) -> Callable[[_S], _S]:
    """Decorator that registers a metric of the labels and the predictions of some examples.

    The function takes two arrays and returns a number, or NaN where these examples have no such
    value. `labels` are int (n,), or float32 (n,) for a regression. `predictions` are float32: the
    probabilities of the labels (n, classes), those of label 1 (n,) for a binary task, or numbers
    (n,) for a regression. With `tokens`, labels are int (n, t), negative for padding, and
    predictions (n, t, classes); with `tags`, both are (n, tags).

    The metric is measured where something is expected of it: on the test set in each evaluated
    round, and of the final model on the own examples of each client. The key `over` says which of
    these is judged; `best_by: validation` takes the value on the test set from another round, as
    for `best_accuracy`.

    Args:
        name: the word for it in scenario files.
        **traits: those of `metrics.metric.Metric`.

    Raises:
        TypeError: the function has keyword-only parameters, of which the measured value would
            depend, or a trait is wrong.
        ValueError: the name is taken.

    """

    def register(score: _S) -> _S:
        keys = inspect.signature(score).parameters.values()
        if any(p.kind is p.KEYWORD_ONLY for p in keys):
            raise TypeError(f"metric {name!r}: a function of predictions has no keys of its own")
        of_clients: Any = {"accuracies": _of_clients, "worst_of": _worst_of}
        metrics(name, score=score, needs=_predictions, **of_clients, **traits)(_reading(score))
        return score

    def _of_clients(history: TrainingHistory, keys: Mapping[str, Any]) -> Sequence[float]:
        if keys.get("over") is None:
            return ()
        return [value for value in history.client_scores.get(name, ()) if value is not None]

    def _worst_of(history: TrainingHistory, keys: Mapping[str, Any]) -> Sequence[Optional[float]]:
        return history.client_scores.get(name, ()) if keys.get("over") == "worst_client" else ()

    def _reading(score: Score) -> Callable[..., float]:
        def value(history: TrainingHistory, *, over: Over = None, best_by: BestBy = None) -> float:
            if over is None:
                known = _scores(history, best_by)
                if name not in known:
                    raise NoValue("no value on the test set")
                return known[name]
            if best_by:
                raise NoValue("best_by is for the test set: leave over out")
            of_clients = _of_clients(history, {"over": over})
            if not of_clients:
                raise NoValue("no value of any client")
            if over == "clients":
                return statistics.fmean(of_clients)
            return max(of_clients) if metrics[name].spec.sign < 0 else min(of_clients)

        reading: Any = functools.update_wrapper(value, score)
        reading.__signature__ = _SIGNATURE  # not that of the score
        return reading

    return register


def _predictions(keys: Any, scenario: Measured) -> Optional[Lack]:
    """What is predicted of the examples that `over` names, and the set that `best_by` names."""
    algorithm = algorithms.entry(scenario.training.algorithm)
    if algorithm.spec.has_no_predictions:
        return Lack(f"is measured on predictions; {algorithm.name} gives loss and accuracy only")
    if keys.over is None:
        return set_that_chooses(keys, scenario)
    if keys.best_by:
        return Lack("takes best_by on the test set only: leave over out")
    return clients_examples(keys, scenario)


def _scores(history: TrainingHistory, best_by: Optional[str]) -> Mapping[str, float]:
    """Returns the scores on the test set of the last round, or of the one that is best."""
    if best_by:
        return chosen_round(history).scores
    return history.evaluated[-1].scores if history.evaluated else {}


def _signature(history: TrainingHistory, *, over: Over = None, best_by: BestBy = None) -> float: ...


_HISTORY, _OVER, _BEST_BY = inspect.signature(_signature).parameters.values()
_SIGNATURE = inspect.Signature(
    [_HISTORY, _OVER.replace(annotation=Over), _BEST_BY.replace(annotation=BestBy)]
)


def scores_of(expect: Mapping[str, Section], task: Optional[TaskKind]) -> Scores:
    """Returns the functions of the metrics of predictions that a training measures.

    These are those that something is expected of, and what a task always has.
    """
    specs = {name: metrics[name].spec for name in metrics.names()}
    return {
        name: spec.score
        for name, spec in specs.items()
        if spec.score and (name in expect or task in spec.scored_for)
    }
