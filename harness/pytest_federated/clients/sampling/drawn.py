"""Sampling from the whole population at random."""

from __future__ import annotations

import numpy as np

from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.data.population import Population


@samplers("uniform", ignores_data=True, accounting="uniform")
def uniform(
    population: Population, size: int, round_number: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws uniformly without replacement: every set of `per_round` clients is equally likely.

    Source: McMahan et al., AISTATS 2017, algorithm 1 ("random set of m clients").
    """
    return rng.choice(len(population), size, replace=False)


@samplers("with_replacement", repeats=True)
def with_replacement(
    population: Population, size: int, round_number: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws uniformly with replacement: a client drawn k times takes part with k times its weight.

    Source: Li et al., On the Convergence of FedAvg on Non-IID Data, ICLR 2020, scheme I for
    clients of equal sizes, arXiv:1907.02189.
    """
    return rng.choice(len(population), size, replace=True)


@samplers("by_size", repeats=True)
def by_size(
    population: Population,
    size: int,
    round_number: int,
    rng: np.random.Generator,
    *,
    replacement: bool = True,
) -> np.ndarray:
    """Draws with probabilities in proportion to the clients' numbers of examples.

    With replacement and uniform weighting (`algorithm: {kind: fedavg, weighting: uniform}`) the
    mean is an unbiased estimate of the one over all clients, weighted by examples.

    Source: Li et al., On the Convergence of FedAvg on Non-IID Data, ICLR 2020, scheme I,
    arXiv:1907.02189; Li et al., FedProx, MLSys 2020, algorithm 2, arXiv:1812.06127.
    """
    share = population.sizes / population.sizes.sum()
    if not replacement:
        size = min(size, np.count_nonzero(share))
    return rng.choice(len(population), size, replace=replacement, p=share)


@samplers(
    "poisson",
    ignores_data=True,
    accounting="poisson",
    most=lambda keys, population, size: population,
)
def poisson(
    population: Population, size: int, round_number: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws each client with probability `per_round` / clients, so cohorts differ in size.

    Privacy accounting is simplest for this sampling. A round in which nobody is drawn changes
    nothing, except for the noise of a private aggregator.

    Source: McMahan et al., Learning Differentially Private Recurrent Language Models, ICLR 2018,
    algorithm 1, arXiv:1710.06963.
    """
    return np.flatnonzero(rng.random(len(population)) < size / len(population))
