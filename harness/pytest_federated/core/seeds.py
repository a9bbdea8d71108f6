"""Independent random streams from the one seed of a training."""

from __future__ import annotations

import enum

import numpy as np

# Near 2**32 divided by the golden ratio, by which consecutive items get distant keys.
_ODD = np.uint64(0x9E3779B1)


class Stream(enum.IntEnum):
    """What a stream decides. These numbers make runs repeatable: never reuse one."""

    TEST_SET = 0
    POPULATION = 1
    SPLIT = 2
    COHORT = 3
    BATCHES = 4
    INITIAL_WEIGHTS = 5
    SIZES = 6
    SHIFT = 7
    HOLDOUT = 8
    DROPOUT = 9
    STRAGGLERS = 10
    ATTACKERS = 11
    AGGREGATION = 12
    CLIENT_FIGURES = 20
    ALGORITHM = 21
    LAYERS = 22


def keys(seed: int, stream: Stream, number: int, items: np.ndarray) -> np.ndarray:
    """Returns a key for each item, int (n,) -> int32 (n,), all different; others for any `number`.

    For what draws by itself, in TensorFlow; for many items faster than a generator each.
    """
    begin = int(generator(seed, stream, number).integers(2**31))
    return ((items.astype(np.uint64) * _ODD + begin) % 2**31).astype(np.int32)


def generator(seed: int, stream: Stream, *path: int) -> np.random.Generator:
    """Returns the generator of one decision, independent of all others.

    `path` distinguishes decisions of one kind, such as (round, client).
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream), *path)))
