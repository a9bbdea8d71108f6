"""One of two labels for each example, by one output."""

from __future__ import annotations

from typing import Any

from pytest_federated.training.tasks.task import Task, register


def _loss(y: Any, predictions: Any, are_logits: bool) -> Any:
    """Returns the binary cross entropy, averaged over examples."""
    import tensorflow as tf

    loss = tf.keras.losses.BinaryCrossentropy(from_logits=are_logits)
    return loss(tf.cast(y, predictions.dtype)[:, tf.newaxis], predictions)


def _hits(y: Any, predictions: Any, are_logits: bool) -> tuple[Any, Any]:
    import tensorflow as tf

    is_one = predictions[:, 0] > (0.0 if are_logits else 0.5)
    return tf.equal(tf.cast(is_one, y.dtype), y), tf.ones_like(y, tf.bool)


# `y` is int32 (n,), 0 or 1; `predictions` float32 (n, 1), of label 1.
BINARY = register(
    Task(
        "binary",
        lambda labels, classes: (1,),
        "sigmoid",
        _loss,
        _hits,
        lambda y: y,
        counts_examples=True,
    )
)
