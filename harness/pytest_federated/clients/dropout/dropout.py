"""Dropout by name: clients that were asked to take part, and are lost before they report.

A dropout function takes the population, a random generator that is the same in every round, and
its keys from the scenario file. It returns the probability with which each client, float
(clients,), drops out of a round in which it takes part.

Source: Bonawitz et al., Towards Federated Learning at Scale: System Design, MLSys 2019, section 9
(6 to 10 % of the devices of a round drop out), arXiv:1902.01046.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.population import Population
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec

Rate = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class DropoutSpec(Spec):
    """The traits of a dropout.

    Attributes:
        per_client: the key that lists one value for each client.
        ignores_data: its rates do not depend on the clients' examples.

    """

    per_client: str = ""
    ignores_data: bool = False


class Dropout(Protocol):
    """Says how likely each client is to drop out."""

    def __call__(
        self, population: Population, rng: np.random.Generator, /, *args: Any, **keys: Any
    ) -> np.ndarray:
        """Returns the probability that each client drops out of a round, float (clients,)."""
        ...


dropouts = Registry(
    "dropout",
    Dropout,
    DropoutSpec,
    plural="dropouts",
    package=__package__,
    error=DataError,
)


def stays(
    dropout: Section, population: Population, clients: np.ndarray, seed: int, round_number: int
) -> np.ndarray:
    """Draws who drops out; returns bool (n,): which of `clients`, int (n,), stay in the round.

    Clients drop out independently; one that was drawn twice stays or drops out as one.

    Raises:
        DataError: the function does not return probabilities.

    """
    entry = dropouts.entry(dropout)
    rates = np.asarray(entry.call(dropout, population, generator(seed, Stream.DROPOUT)))
    is_number = rates.dtype.kind in "fiu"
    if (
        not is_number
        or rates.shape != (len(population),)
        or not ((rates >= 0) & (rates <= 1)).all()
    ):
        raise DataError(
            f"the dropout {entry.name!r} gave {rates.dtype} {rates.shape}, not one probability "
            f"for each of {len(population)} clients"
        )
    drawn = generator(seed, Stream.DROPOUT, round_number).random(len(population))
    return drawn[clients] >= rates[clients]
