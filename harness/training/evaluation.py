"""Centralised evaluation on the held-out test set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.data.datasets import Examples

if TYPE_CHECKING:
    import tensorflow as tf

_BATCH = 1000


class Evaluation(NamedTuple):
    """Mean loss, and accuracy from 0 to 1."""

    loss: float
    accuracy: float


def evaluate(model: tf.keras.Model, loss: tf.keras.losses.Loss, test: Examples) -> Evaluation:
    """Mean loss and accuracy (0 to 1) of `model` over all test examples."""
    total_loss, correct = 0.0, 0
    for start in range(0, len(test), _BATCH):
        batch = test.take(slice(start, start + _BATCH))
        given = model(batch.x, training=False)
        total_loss += float(loss(batch.y, given)) * len(batch)
        correct += int(np.sum(np.argmax(given.numpy(), axis=-1) == batch.y))
    return Evaluation(total_loss / len(test), correct / len(test))


def mean(judged: Iterable[tuple[Evaluation, int]]) -> Evaluation:
    """The mean of evaluations, each with its weight."""
    figures, weights = zip(*judged)
    return Evaluation(*(float(f) for f in np.average(figures, axis=0, weights=weights)))
