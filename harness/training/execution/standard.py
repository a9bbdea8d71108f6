"""One client to a placement, as a `tf.data.Dataset`: TFF's own way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from harness.data.datasets import Examples
from harness.training.settings import Training

if TYPE_CHECKING:
    import tensorflow as tf


def arguments(cohort: Sequence[Examples], training: Training) -> list[tf.data.Dataset]:
    """What each client trains on: its batches, `local_epochs` times over."""
    import tensorflow as tf

    return [
        tf.data.Dataset.from_tensor_slices(cast("Any", OrderedDict(x=client.x, y=client.y)))
        .batch(training.batch_size)
        .repeat(training.local_epochs)
        for client in cohort
    ]
