"""Precision, recall, F1 and AUC.

Of a binary task they are those of label 1. Of more labels, each is the mean over the labels that
occur in the examples ("macro").
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_federated.metrics.prediction import Array, prediction_metric
from pytest_federated.metrics.resolution import PREDICTED_EXAMPLE

_share_metric = functools.partial(
    prediction_metric,
    scale="share",
    direction="higher",
    resolution=PREDICTED_EXAMPLE,
    tasks=("label", "binary"),
    scored_for=("binary",),
)


@_share_metric("precision", title="precision", column=16)
def precision(labels: Array, predictions: Array) -> float:
    """Of the examples predicted as a label, the share that has it; 0 where there are none.

    Of a binary task it is that of label 1, of more labels the mean over those that occur; as are
    recall, F1 and AUC.
    """
    return statistics.fmean(
        hits / taken if taken else 0.0 if held else math.nan
        for hits, taken, held in _counts(labels, predictions)
    )


@_share_metric("recall", title="recall", column=17)
def recall(labels: Array, predictions: Array) -> float:
    """Of the examples of a label, the share that is predicted as it."""
    return statistics.fmean(
        hits / held if held else math.nan for hits, _, held in _counts(labels, predictions)
    )


@_share_metric("f1", title="F1", column=14)
def f1(labels: Array, predictions: Array) -> float:
    """Harmonic mean of precision and recall."""
    return statistics.fmean(
        2 * hits / (taken + held) if taken + held else math.nan
        for hits, taken, held in _counts(labels, predictions)
    )


@_share_metric("auc", title="AUC", column=15)
def auc(labels: Array, predictions: Array) -> float:
    """Area under the ROC curve: the chance that a label is more probable where it is right.

    That is, of a random example that has the label and a random one that has not, how often the
    model gives the label more probability in the first. Examples of one label only have no AUC.
    """
    from scipy import stats  # pyright: ignore[reportMissingTypeStubs]

    rank: Any = stats.rankdata  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    areas: list[float] = []
    for label in _judged(labels, predictions):
        is_label = labels == label
        ranks: Array = rank(predictions if predictions.ndim == 1 else predictions[:, label])
        held, others = int(is_label.sum()), int((~is_label).sum())
        if held and others:
            above = float(ranks[is_label].sum()) - held * (held + 1) / 2
            areas.append(above / (held * others))
    return statistics.fmean(areas) if areas else math.nan


def _counts(labels: Array, predictions: Array) -> Iterator[tuple[int, int, int]]:
    """Yields for each label how many examples are rightly predicted as it, are so, and have it."""
    if predictions.ndim == 1:
        taken_for = (predictions > 0.5).astype(np.int64)
    else:
        taken_for = predictions.argmax(axis=1)
    for label in _judged(labels, predictions):
        is_label, is_taken = labels == label, taken_for == label
        yield int((is_label & is_taken).sum()), int(is_taken.sum()), int(is_label.sum())


def _judged(labels: Array, predictions: Array) -> list[int]:
    """The labels that are judged: 1 of a binary task, otherwise those that occur."""
    return [1] if predictions.ndim == 1 else np.unique(labels).tolist()
