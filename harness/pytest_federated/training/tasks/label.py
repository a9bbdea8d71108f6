"""One label for each example."""

from __future__ import annotations

from typing import Any

from pytest_federated.training.tasks.task import Task, register


def _loss(y: Any, predictions: Any, are_logits: bool) -> Any:
    """Returns the cross entropy, averaged over examples."""
    import tensorflow as tf

    return tf.keras.losses.SparseCategoricalCrossentropy(from_logits=are_logits)(y, predictions)


def _hits(y: Any, predictions: Any, are_logits: bool) -> tuple[Any, Any]:
    import tensorflow as tf

    return tf.equal(tf.argmax(predictions, axis=-1, output_type=y.dtype), y), tf.ones_like(
        y, tf.bool
    )


# `y` is int32 (n,), `predictions` float32 (n, classes).
LABEL = register(
    Task(
        "label",
        lambda labels, classes: (classes,),
        "softmax",
        _loss,
        _hits,
        lambda y: y,
        counts_examples=True,
    )
)
