"""Errors of predicted numbers."""

from __future__ import annotations

import functools

import numpy as np

from pytest_federated.metrics.prediction import Array, prediction_metric

_error_metric = functools.partial(
    prediction_metric, tasks=("regression",), scored_for=("regression",)
)


@_error_metric("mse", title="MSE", scale="not negative", direction="lower", column=13)
def mse(labels: Array, predictions: Array) -> float:
    """Mean squared error of predicted numbers."""
    return float(np.mean(np.square(_errors(labels, predictions))))


@_error_metric("mae", title="MAE", scale="not negative", direction="lower", column=12)
def mae(labels: Array, predictions: Array) -> float:
    """Mean absolute error of predicted numbers."""
    return float(np.mean(np.abs(_errors(labels, predictions))))


@_error_metric(
    "r2",
    title="R²",
    scale="number",
    direction="higher",
    is_in_every_baseline=True,
    column=11,
)
def r2(labels: Array, predictions: Array) -> float:
    """Share of the variance of the numbers that is predicted: 1 is perfect, 0 as good as the mean.

    Numbers that are all the same have none.
    """
    spread = np.sum(np.square(labels - np.mean(labels, dtype=np.float64)))
    if spread == 0:
        return float("nan")
    return float(1 - np.sum(np.square(_errors(labels, predictions))) / spread)


def _errors(labels: Array, predictions: Array) -> Array:
    return predictions.astype(np.float64) - labels
