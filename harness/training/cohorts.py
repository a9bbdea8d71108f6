"""Which clients take part in a round, and in which order they see their examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.data.datasets import Examples
from harness.data.federate import FederatedData
from harness.seeds import Stream, generator


@dataclass(frozen=True)
class Cohort:
    """The clients that take part in a round, and what each trains on.

    Attributes:
        clients: int (n,), positions in the federation.
        examples: of each of these clients, in the order in which it trains on them.
        dropped: clients that were drawn, too, and dropped out.

    """

    clients: np.ndarray
    examples: Sequence[Examples]
    dropped: int = 0


def cohort_of_round(data: FederatedData, size: int, seed: int, round_number: int) -> Cohort:
    """Draws the `size` clients of a round and reads their examples."""
    clients = sample_cohort(len(data.clients), size, seed, round_number)
    return Cohort(clients, [shuffled_examples(data, c, seed, round_number) for c in clients])


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
