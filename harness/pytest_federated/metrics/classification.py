"""Precision, recall, F1 and AUC.

Of a binary task they are those of label 1. Of more labels, each is the mean over the labels that
occur in the examples ("macro").
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.metrics.prediction import Array, prediction_metric
from pytest_federated.metrics.resolution import PREDICTED_EXAMPLE

_TASKS: tuple[TaskKind, ...] = ("label", "binary")
_ALWAYS: tuple[TaskKind, ...] = ("binary",)


@prediction_metric(
    "precision",
    title="precision",
    scale="share",
    direction="higher",
    resolution=PREDICTED_EXAMPLE,
    tasks=_TASKS,
    scored_for=_ALWAYS,
    column=16,
)
def precision(labels: Array, predictions: Array) -> float:
    """Share of the examples that are taken for a label that have it; 0 where none is.

    Of a binary task, of label 1; of more labels, the mean over those that occur. So for recall, F1
    and AUC.
    """
    return _mean(
        hits / taken if taken else 0.0 if held else math.nan
        for hits, taken, held in _counts(labels, predictions)
    )


@prediction_metric(
    "recall",
    title="recall",
    scale="share",
    direction="higher",
    resolution=PREDICTED_EXAMPLE,
    tasks=_TASKS,
    scored_for=_ALWAYS,
    column=17,
)
def recall(labels: Array, predictions: Array) -> float:
    """Share of the examples of a label that are taken for it."""
    return _mean(
        hits / held if held else math.nan for hits, _, held in _counts(labels, predictions)
    )


@prediction_metric(
    "f1",
    title="F1",
    scale="share",
    direction="higher",
    resolution=PREDICTED_EXAMPLE,
    tasks=_TASKS,
    scored_for=_ALWAYS,
    column=14,
)
def f1(labels: Array, predictions: Array) -> float:
    """Harmonic mean of precision and recall."""
    return _mean(
        2 * hits / (taken + held) if taken + held else math.nan
        for hits, taken, held in _counts(labels, predictions)
    )


@prediction_metric(
    "auc",
    title="AUC",
    scale="share",
    direction="higher",
    resolution=PREDICTED_EXAMPLE,
    tasks=_TASKS,
    scored_for=_ALWAYS,
    column=15,
)
def auc(labels: Array, predictions: Array) -> float:
    """Area under the ROC curve: how often an example of a label gets more probability than another.

    Examples of one label have none.
    """
    from scipy import stats  # pyright: ignore[reportMissingTypeStubs]

    rank: Any = stats.rankdata  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    areas: list[float] = []
    for is_label, probability in _by_label(labels, predictions):
        ranks: Array = rank(probability)
        held, others = int(is_label.sum()), int((~is_label).sum())
        if held and others:
            above = float(ranks[is_label].sum()) - held * (held + 1) / 2
            areas.append(above / (held * others))
    return statistics.fmean(areas) if areas else math.nan


def _counts(labels: Array, predictions: Array) -> Iterator[tuple[int, int, int]]:
    """Yields for each label: examples that have it and are taken for it, are taken, have it."""
    if predictions.ndim == 1:
        taken_for = (predictions > 0.5).astype(np.int64)
    else:
        taken_for = predictions.argmax(axis=1)
    for label in _judged(labels, predictions):
        is_label, is_taken = labels == label, taken_for == label
        yield int((is_label & is_taken).sum()), int(is_taken.sum()), int(is_label.sum())


def _by_label(labels: Array, predictions: Array) -> Iterator[tuple[Array, Array]]:
    """Yields for each label which examples have it, and its probabilities."""
    for label in _judged(labels, predictions):
        yield labels == label, predictions if predictions.ndim == 1 else predictions[:, label]


def _judged(labels: Array, predictions: Array) -> list[int]:
    """The labels that are judged: 1 of a binary task, otherwise those that occur."""
    return [1] if predictions.ndim == 1 else np.unique(labels).tolist()


def _mean(values: Iterator[float]) -> float:
    return statistics.fmean(values)
