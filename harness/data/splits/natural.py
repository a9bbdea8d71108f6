"""The clients that the data itself knows."""

from __future__ import annotations

import numpy as np

from harness.data.splits.base import Pool, splits
from harness.errors import DataError


@splits("natural", natural=True, random=False)
def natural(pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """One client for each writer, form or speaker in the data.

    `clients.count` draws that many of them at random; without it all take part.

    Raises:
        DataError: the data set has no natural clients.

    """
    if pool.natural is None:
        raise DataError("the natural split needs a data set with natural clients")
    return pool.natural
