"""Centralized evaluation on the held-out test set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.training.models.adapters.adapter import ModelAdapter


class Evaluation(NamedTuple):
    """Mean loss, and accuracy from 0 to 1."""

    loss: float
    accuracy: float


def evaluate(adapter: ModelAdapter, test: Examples) -> Evaluation:
    """Returns a model's mean loss and accuracy (0 to 1) over the counted positions of all examples.

    The mean of the loss is over examples if that is how the model's own loss is averaged.
    """
    total_loss, losses, correct, positions = 0.0, 0, 0, 0
    step = adapter.shape.batch()
    for start in range(0, len(test), step):
        batch = test.take(slice(start, start + step))
        loss, right, counted = outputs(adapter, batch)
        correct += int(right.sum())
        positions += int(counted.sum())
        weight = int(counted.sum()) if adapter.by_positions else len(batch)
        total_loss += loss * weight
        losses += weight
    return Evaluation(total_loss / max(losses, 1), correct / max(positions, 1))


def outputs(adapter: ModelAdapter, batch: Examples) -> tuple[float, np.ndarray, np.ndarray]:
    """Returns a batch's mean loss, and which positions are right and counted (bool, as labels)."""
    import tensorflow as tf

    loss, predictions = adapter.forward(batch.x, batch.y)
    right, counted = adapter.shape.task.hits(
        tf.constant(batch.y), predictions, adapter.gives_logits
    )
    return loss, right.numpy(), counted.numpy()


def mean(judged: Iterable[tuple[Evaluation, int]]) -> Evaluation:
    """Returns the mean of evaluations, each with its weight."""
    figures, weights = zip(*judged)
    return Evaluation(*(float(f) for f in np.average(figures, axis=0, weights=weights)))
