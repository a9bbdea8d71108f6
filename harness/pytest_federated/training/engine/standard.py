"""One client to a placement, as a `tf.data.Dataset`: TFF's own way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.training.engine.update_scaling import FACTOR
from pytest_federated.training.schema import Training

if TYPE_CHECKING:
    import tensorflow as tf


def arguments(
    cohort: Sequence[Examples],
    training: Training,
    steps: Optional[np.ndarray] = None,
    factors: Optional[np.ndarray] = None,
) -> list[tf.data.Dataset]:
    """What each client trains on: its batches, `local_epochs` times over.

    Of these the first ones where `steps`, int (clients,), says how many; each example with
    its client's factor where `factors`, float32 (clients,), are given.
    """
    import tensorflow as tf

    columns: list[Any] = [OrderedDict(x=client.x, y=client.y) for client in cohort]
    if factors is not None:
        for own, factor in zip(columns, factors):
            own[FACTOR] = np.full(len(own["y"]), factor, np.float32)
    given = [
        tf.data.Dataset.from_tensor_slices(own)
        .batch(training.batch_size)
        .repeat(training.local_epochs)
        for own in columns
    ]
    if steps is not None:  # who does all has nothing to take: each stage costs time in each round
        whole = [-(-len(c) // training.batch_size) * training.local_epochs for c in cohort]
        given = [own.take(n) if n < most else own for own, n, most in zip(given, steps, whole)]
    return given
