"""One client to a placement, as a `tf.data.Dataset`: TFF's own way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional, cast

import numpy as np

from harness.data.datasets import Examples
from harness.training.execution.scaled import FACTOR
from harness.training.settings import Training

if TYPE_CHECKING:
    import tensorflow as tf


def arguments(
    cohort: Sequence[Examples],
    training: Training,
    steps: Optional[np.ndarray] = None,
    factors: Optional[np.ndarray] = None,
) -> list[tf.data.Dataset]:
    """What each client trains on: its batches, `local_epochs` times over.

    Of these the first ones where `steps`, int (clients,), says how many; each with the client's
    factor where `factors`, float32 (clients,), are given.
    """
    import tensorflow as tf

    given = [
        tf.data.Dataset.from_tensor_slices(cast("Any", OrderedDict(x=client.x, y=client.y)))
        .batch(training.batch_size)
        .repeat(training.local_epochs)
        for client in cohort
    ]
    if steps is not None:
        given = [own.take(n) for own, n in zip(given, steps)]
    if factors is not None:
        given = [
            own.map(lambda batch, factor=factor: OrderedDict(batch, **{FACTOR: factor}))
            for own, factor in zip(given, factors)
        ]
    return given
