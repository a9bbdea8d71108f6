"""Centralized evaluation on the held-out test set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Optional, Protocol

import numpy as np

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import is_number
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.training.models.adapters.adapter import ModelAdapter
from pytest_federated.user.functions import blamed


class Score(Protocol):
    """Scores predictions by the labels of the same examples.

    `labels` are as in `pytest_federated.data.datasets.dataset.TaskKind`. `predictions` are float32:
    the probabilities of the labels (n, classes), of label 1 (n,) for a binary task, of the tokens
    (n, t, classes), of the tags (n, tags), or numbers (n,) for a regression.
    """

    def __call__(self, labels: np.ndarray[Any, Any], predictions: np.ndarray[Any, Any], /) -> float:
        """Returns the score; NaN where these examples have none."""
        ...


Scores = Mapping[str, Score]
NO_SCORES: Scores = MappingProxyType({})


Recall = tuple[Optional[float], ...]


class Evaluation(NamedTuple):
    """What is measured of a model on held-out examples.

    Attributes:
        loss: the mean.
        accuracy: from 0 to 1; None where the task has none.
        scores: others by name.
        recall: for each label, the share of its positions that are right; None for a label that the
            examples do not have. Empty where nothing is right or wrong; None where not measured.
        counts: of how many losses and of how many positions `loss` and `accuracy` are means; zeros
            where not measured.

    """

    loss: float
    accuracy: Optional[float]
    scores: Mapping[str, float] = {}
    recall: Optional[Recall] = None
    counts: tuple[int, int] = (0, 0)


class Outputs(NamedTuple):
    """What a model makes of a batch.

    Attributes:
        loss: the mean loss.
        right: bool, of the shape of the labels: which positions are right; None where nothing is
            right or wrong.
        counted: the same: which positions count.
        predictions: float32, see `Score`; None where they are not asked for.

    """

    loss: float
    right: Optional[np.ndarray]
    counted: np.ndarray
    predictions: Optional[np.ndarray]


def evaluate(
    adapter: ModelAdapter, test: Examples, scores: Scores = NO_SCORES, with_recall: bool = False
) -> Evaluation:
    """Returns a model's mean loss and accuracy (0 to 1) over the counted positions of all examples.

    The mean of the loss is over examples if that is how the model's own loss is averaged.

    Args:
        adapter: the model, with its weights.
        test: the examples.
        scores: those to measure, too.
        with_recall: whether the recall of each label is.
    """
    shape = adapter.shape
    total_loss, losses, correct, positions = 0.0, 0, 0, 0
    of_labels = np.zeros((2, shape.num_classes), np.int64)  # how many are right, and count
    step = shape.batch()
    predictions: list[np.ndarray] = []
    for start in range(0, len(test), step):
        batch = test.take(slice(start, start + step))
        of_batch = outputs(adapter, batch, bool(scores))
        if of_batch.right is not None:
            correct += int(of_batch.right.sum())
            if with_recall:
                labels = np.broadcast_to(shape.task.classes(batch.y), batch.y.shape)
                for total, hits in zip(of_labels, (of_batch.right, of_batch.counted)):
                    total += np.bincount(labels[hits], minlength=shape.num_classes)
        positions += int(of_batch.counted.sum())
        weight = int(of_batch.counted.sum()) if adapter.by_positions else len(batch)
        total_loss += of_batch.loss * weight
        losses += weight
        if of_batch.predictions is not None:
            predictions.append(of_batch.predictions)
    accuracy = correct / max(positions, 1) if shape.task.hits else None
    scored = scored_by(scores, test.y, np.concatenate(predictions)) if predictions else {}
    recall: Optional[Recall] = None
    if with_recall:
        shares = (float(right / n) if n else None for right, n in of_labels.T)
        recall = tuple(shares) if shape.task.hits else ()
    return Evaluation(total_loss / max(losses, 1), accuracy, scored, recall, (losses, positions))


def outputs(adapter: ModelAdapter, batch: Examples, with_predictions: bool = False) -> Outputs:
    """Returns what the model makes of a batch, outside of training."""
    loss, given, hits = adapter.measure(batch.x, batch.y)
    predictions = adapter.predictions(given) if with_predictions else None
    if hits is None:
        return Outputs(loss, None, np.ones(len(batch), bool), predictions)
    right, counted = hits
    return Outputs(loss, right.numpy(), counted.numpy(), predictions)


def scored_by(scores: Scores, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Returns the scores that these examples have.

    Raises:
        FederatedError: a user's function raises, or gives no number.

    """
    values = {name: _value(name, score, labels, predictions) for name, score in scores.items()}
    return {name: value for name, value in values.items() if not np.isnan(value)}


def _value(name: str, score: Score, labels: np.ndarray, predictions: np.ndarray) -> float:
    try:
        value: Any = score(labels.copy(), predictions.copy())
    except Exception as error:
        raise FederatedError(f"the metric {name!r} raised {blamed(error)}") from error
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    if not is_number(value):
        raise FederatedError(f"the metric {name!r} gave {value!r:.80}; it must give a number")
    return float(value)


def mean(judged: Iterable[tuple[Evaluation, int]]) -> Evaluation:
    """Returns the mean of evaluations, each with its weight; of scores, those that all have."""
    evaluations, weights = zip(*judged)
    names = [n for n in evaluations[0].scores if all(n in e.scores for e in evaluations)]
    has_accuracy = all(e.accuracy is not None for e in evaluations)
    figures = [
        [e.loss, *([e.accuracy] if has_accuracy else []), *(e.scores[n] for n in names)]
        for e in evaluations
    ]
    loss, *rest = (float(f) for f in np.average(figures, axis=0, weights=weights))
    accuracy = rest.pop(0) if has_accuracy else None
    return Evaluation(loss, accuracy, dict(zip(names, rest)))


def pooled(judged: Iterable[Evaluation]) -> Evaluation:
    """Returns loss and accuracy over all that these evaluations are of, as if it were one set."""
    loss = accuracy = 0.0
    losses = positions = 0
    for one in judged:
        loss += one.loss * one.counts[0]
        accuracy += (one.accuracy or 0.0) * one.counts[1]
        losses, positions = losses + one.counts[0], positions + one.counts[1]
    return Evaluation(
        loss / max(losses, 1), accuracy / max(positions, 1), counts=(losses, positions)
    )
