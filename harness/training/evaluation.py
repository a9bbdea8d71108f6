"""Centralised evaluation on the held-out test set."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.data.datasets import Examples
from harness.training.models import Shape

if TYPE_CHECKING:
    import tensorflow as tf

_BATCH = 1000
_OUTPUTS = 4_000_000  # numbers that a model gives for a batch, at most


class Evaluation(NamedTuple):
    """Mean loss, and accuracy from 0 to 1."""

    loss: float
    accuracy: float


def evaluate(
    model: tf.keras.Model, loss: tf.keras.losses.Loss, shape: Shape, test: Examples
) -> Evaluation:
    """Mean loss and accuracy (0 to 1) of `model` over the counted positions of all examples.

    The mean of the loss is that over examples where a task takes its loss over these.
    """
    import tensorflow as tf

    total_loss, losses, correct, positions = 0.0, 0, 0, 0
    step = max(1, min(_BATCH, _OUTPUTS // math.prod(shape.output_shape)))
    for start in range(0, len(test), step):
        batch = test.take(slice(start, start + step))
        given = model(batch.x, training=False)
        y = tf.constant(batch.y)
        right, counted = (n.numpy() for n in shape.task.hits(y, given))
        correct += int(right.sum())
        positions += int(counted.sum())
        weight = int(counted.sum()) if shape.kind == "tokens" else len(batch)
        total_loss += float(loss(y, given)) * weight
        losses += weight
    return Evaluation(total_loss / max(losses, 1), correct / max(positions, 1))


def mean(judged: Iterable[tuple[Evaluation, int]]) -> Evaluation:
    """The mean of evaluations, each with its weight."""
    figures, weights = zip(*judged)
    return Evaluation(*(float(f) for f in np.average(figures, axis=0, weights=weights)))
