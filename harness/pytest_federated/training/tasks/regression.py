"""A number for each example, by one output."""

from __future__ import annotations

from typing import Any

from pytest_federated.training.tasks.task import Task, register


def _loss(y: Any, predictions: Any, are_logits: bool) -> Any:
    """Returns the squared error, averaged over examples."""
    import tensorflow as tf

    return tf.reduce_mean(tf.square(tf.cast(y, predictions.dtype) - predictions[:, 0]))


# `y` is float32 (n,), `predictions` float32 (n, 1).
REGRESSION = register(
    Task("regression", lambda labels, classes: (1,), None, _loss, None, lambda y: y)
)
