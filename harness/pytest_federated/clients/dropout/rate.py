"""One rate of dropout for all clients."""

from __future__ import annotations

import numpy as np

from pytest_federated.clients.dropout.dropout import Rate, dropouts
from pytest_federated.data.population import Population


@dropouts("rate", ignores_data=True)
def rate(population: Population, rng: np.random.Generator, *, rate: Rate) -> np.ndarray:
    """The same rate for every client: on average, this share of each cohort drops out."""
    return np.full(len(population), rate)
