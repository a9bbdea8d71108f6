"""Rates of dropout that the scenario lists."""

from __future__ import annotations

import numpy as np

from pytest_federated.clients.dropout.dropout import Rate, dropouts
from pytest_federated.data.population import Population


@dropouts("rates", per_client="rates", ignores_data=True)
def rates(population: Population, rng: np.random.Generator, *, rates: list[Rate]) -> np.ndarray:
    """The rates that the scenario lists, one for each client."""
    return np.array(rates)
