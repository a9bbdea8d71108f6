"""What a sampler is, and what is done once for all of them."""

from __future__ import annotations

from typing import Callable

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.population import Population
from pytest_federated.registry.registry import Registry

# Traits that the framework reads: `repeats`, a client may be drawn more than once in a round;
# `sized=False`, the sampler does not read the number of clients (clients.per_round); `lists`, the
# parameter that lists positions of clients; `ignores_data`, who is drawn does not depend on what
# clients hold; `accounting`, how the privacy of a round is reckoned (training/privacy.py):
# "poisson", "uniform" or "listed". Without it no epsilon is promised, but for a tree of noise.
samplers: Registry[Callable[..., np.ndarray]] = Registry("sampling", package=__package__)


def draw(
    chosen: Section, population: Population, size: int, seed: int, round_number: int
) -> np.ndarray:
    """Int (n,), sorted: positions of the clients of a round.

    Raises:
        DataError: the sampler names clients that there are not, or one of them twice.

    """
    entry = samplers.entry(chosen)
    rng = generator(seed, Stream.COHORT, round_number)
    given = np.asarray(entry.call(chosen, population, size, round_number, rng))
    if given.size == 0:
        return np.zeros(0, np.int64)
    drawn = np.sort(given.astype(np.int64))
    if given.ndim != 1 or drawn[0] < 0 or drawn[-1] >= len(population):
        raise DataError(
            f"the sampling {entry.name!r} gave clients {drawn.min()} to {drawn.max()} for round "
            f"{round_number}; there are clients 0 to {len(population) - 1}"
        )
    if not entry.traits.get("repeats") and (drawn[1:] == drawn[:-1]).any():
        raise DataError(f"the sampling {entry.name!r} gave a client twice for round {round_number}")
    return drawn
