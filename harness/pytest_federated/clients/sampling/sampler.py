"""The registry of samplers, and what is done once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Literal, Optional, Protocol

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.population import Population
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec


@dataclass(frozen=True)
class SamplerSpec(Spec):
    """The traits of a sampler.

    Attributes:
        repeats: it may draw a client more than once in a round.
        sized: it reads how many clients a round has (``clients.per_round``).
        lists: the key that lists positions of clients.
        ignores_data: its draws do not depend on the clients' examples.
        accounting: how the privacy of a round is computed (training/privacy.py). Without it no
            epsilon is promised, except with tree aggregation.
        most: returns the largest possible cohort from the sampling's keys, the number of clients
            and `size`; without it, that is `size`.

    """

    repeats: bool = False
    sized: bool = True
    lists: str = ""
    ignores_data: bool = False
    accounting: Optional[Literal["poisson", "uniform", "listed"]] = None
    most: Optional[Callable[[Any, int, int], int]] = None


class Sampler(Protocol):
    """Draws the clients of a round."""

    def __call__(
        self,
        population: Population,
        size: int,
        round_number: int,
        rng: np.random.Generator,
        /,
        *args: Any,
        **keys: Any,
    ) -> np.ndarray:
        """Returns the positions in `population` of this round's clients, int (n,).

        `size` is `clients.per_round` as a number of clients, and `round_number` counts from 1.
        """
        ...


samplers = Registry(
    "sampling",
    Sampler,
    SamplerSpec,
    plural="samplers",
    package=__package__,
    error=DataError,
)


def largest_cohort(sampling: Section, population: int, size: int) -> int:
    """Returns how many of a `population` of clients a round has at most, if asked for `size`.

    Who is not available, or drops out, leaves fewer.
    """
    most = samplers.entry(sampling).spec.most
    return most(sampling, population, size) if most else size


def expected_cohort(sampling: Section, population: int, size: int) -> int:
    """Returns how many of a `population` of clients a round is expected to have.

    That is `size`, which the scenario asks for, or the most that there can be if this is less.
    """
    return min(size, largest_cohort(sampling, population, size))


def draw(
    sampling: Section, population: Population, size: int, seed: int, round_number: int
) -> np.ndarray:
    """Draws the clients of a round; returns int (n,), sorted: their positions.

    Raises:
        DataError: the sampler names clients that do not exist, or one of them twice.

    """
    entry = samplers.entry(sampling)
    rng = generator(seed, Stream.COHORT, round_number)
    positions = np.asarray(entry.call(sampling, population, size, round_number, rng))
    if positions.size and positions.dtype.kind not in "iu":
        raise entry.gave(positions, "positions of clients, whole numbers")
    if positions.size == 0:
        return np.zeros(0, np.int64)
    drawn = np.sort(positions.astype(np.int64))
    if positions.ndim != 1 or drawn[0] < 0 or drawn[-1] >= len(population):
        raise DataError(
            f"the sampling {entry.name!r} gave clients {drawn.min()} to {drawn.max()} for round "
            f"{round_number}; there are clients 0 to {len(population) - 1}"
        )
    if not entry.spec.repeats and (drawn[1:] == drawn[:-1]).any():
        raise DataError(f"the sampling {entry.name!r} gave a client twice for round {round_number}")
    return drawn
