"""One label for each position of each example, such as the next character of a text."""

from __future__ import annotations

from typing import Any

from pytest_federated.training.tasks.task import Task, register


def _loss(y: Any, predictions: Any, are_logits: bool) -> Any:
    """Returns the cross entropy, averaged over the positions of the batch that are not padding."""
    import tensorflow as tf

    is_real = y >= 0
    losses = tf.keras.losses.sparse_categorical_crossentropy(
        tf.where(is_real, y, tf.zeros_like(y)), predictions, from_logits=are_logits
    )
    real = tf.cast(is_real, losses.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * real), tf.reduce_sum(real))


def _hits(y: Any, predictions: Any, are_logits: bool) -> tuple[Any, Any]:
    import tensorflow as tf

    return tf.equal(tf.argmax(predictions, axis=-1, output_type=y.dtype), y), y >= 0


# `y` is int32 (n, t), negative for padding; `predictions` float32 (n, t, classes).
TOKENS = register(
    Task("tokens", lambda labels, classes: (*labels, classes), "softmax", _loss, _hits, lambda y: y)
)
