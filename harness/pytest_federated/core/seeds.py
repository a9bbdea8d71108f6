"""Independent random streams from the one seed of a training."""

from __future__ import annotations

import enum

import numpy as np


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
    UNSEEN = 13
    CLIENT_FIGURES = 20
    ALGORITHM = 21
    LAYERS = 22


def generator(seed: int, stream: Stream, *path: int) -> np.random.Generator:
    """Returns the generator of one decision, independent of all others.

    `path` distinguishes decisions of one kind, such as (round, client).
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream), *path)))
