"""Which clients take part in a round, and in which order they see their examples."""

from __future__ import annotations

import numpy as np

from harness.data.datasets import Examples
from harness.data.federate import FederatedData
from harness.seeds import Stream, generator


def sample_cohort(population: int, size: int, seed: int, round_number: int) -> np.ndarray:
    """Int (size,), sorted: clients drawn uniformly without replacement.

    Source: McMahan et al., AISTATS 2017, algorithm 1 ("random set of m clients").
    """
    drawn = generator(seed, Stream.COHORT, round_number).choice(population, size, replace=False)
    return np.sort(drawn)


def shuffled_examples(data: FederatedData, client: int, seed: int, round_number: int) -> Examples:
    """The client's examples in the order of this round.

    Shuffled once a round; the local epochs of the round go through the same batches, as in
    McMahan et al., AISTATS 2017, algorithm 1 (the split into batches precedes the epochs).
    """
    rng = generator(seed, Stream.BATCHES, round_number, client)
    if not data.shift:  # read in the order in which they are used, and so copied once
        return data.train.take(rng.permutation(data.clients[client]))
    return data.examples(client).take(rng.permutation(len(data.clients[client])))
