"""Sampling by the number of the round."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.data.population import Population

Client = Annotated[int, Field(ge=0)]


@samplers(
    "fixed",
    sized=False,
    lists="cohorts",
    ignores_data=True,
    accounting="listed",
    most=lambda keys, population, size: max(map(len, keys.cohorts)),
)
def fixed(
    population: Population,
    size: int,
    round_number: int,
    rng: np.random.Generator,
    *,
    cohorts: Annotated[list[list[Client]], Field(min_length=1)],
) -> np.ndarray:
    """The cohorts that the scenario lists, in turn; clients are numbered from 0.

    An empty cohort is a round in which nobody takes part.
    """
    return np.array(cohorts[(round_number - 1) % len(cohorts)], np.int64)


@samplers(
    "cyclic",
    ignores_data=True,
    most=lambda keys, population, size: min(size, -(-population // keys.blocks)),
)
def cyclic(
    population: Population,
    size: int,
    round_number: int,
    rng: np.random.Generator,
    *,
    blocks: Annotated[int, Field(ge=2, description="Groups of clients.")],
    rounds: Annotated[int, Field(ge=1, description="Rounds for which a block is available.")] = 1,
) -> np.ndarray:
    """Day and night: blocks of clients are available in turn, for `rounds` rounds each.

    Blocks consist of neighboring clients, and their sizes differ by at most one. Of the available
    clients, `per_round` are drawn uniformly without replacement, or all of them if they are fewer.

    Source: Eichner et al., Semi-Cyclic Stochastic Gradient Descent, ICML 2019, section 2,
    arXiv:1904.10120; Bonawitz et al., Towards Federated Learning at Scale, MLSys 2019, section 9
    (devices come and go with the time of day), arXiv:1902.01046.
    """
    block = (round_number - 1) // rounds % blocks
    first, end = (block + np.arange(2)) * len(population) // blocks
    return first + rng.choice(end - first, min(size, end - first), replace=False)
