"""Any number of tags for each example."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_federated.training.tasks.task import Task, register

_TOP = 5


def _loss(y: Any, predictions: Any, are_logits: bool) -> Any:
    """Returns the binary cross entropy, averaged over tags and examples."""
    import tensorflow as tf

    loss = tf.keras.losses.BinaryCrossentropy(from_logits=are_logits)
    return loss(tf.cast(y, predictions.dtype), predictions)


def _hits(y: Any, predictions: Any, are_logits: bool) -> tuple[Any, Any]:
    """Returns what recall at 5 needs: counts an example's tags; those in its top five are right.

    With fewer than ten tags, those in the top half are right, as the top five would hold most.

    Source: Reddi et al., ICLR 2021, section 4 (Stack Overflow LR), arXiv:2003.00295;
    `tff.simulation.baselines.stackoverflow.create_tag_prediction_task`.
    """
    import tensorflow as tf

    tags = predictions.shape[-1]
    _, best = tf.math.top_k(predictions, min(_TOP, max(1, tags // 2)))
    is_best = tf.reduce_sum(tf.one_hot(best, tags, dtype=tf.int32), axis=-2) > 0
    has_tag = y > 0
    return tf.logical_and(has_tag, is_best), has_tag


# `y` is float32 or int8 (n, tags), 1 for a tag that the example has; `predictions` float32
# (n, tags).
TAGS = register(
    Task(
        "tags",
        lambda labels, classes: (classes,),
        "sigmoid",
        _loss,
        _hits,
        lambda y: np.arange(y.shape[-1]),
    )
)
