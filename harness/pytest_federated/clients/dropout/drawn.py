"""Rates of dropout that are drawn."""

from __future__ import annotations

import numpy as np

from pytest_federated.clients.dropout.dropout import Rate, dropouts
from pytest_federated.core.errors import DataError
from pytest_federated.data.population import Population


@dropouts("drawn", ignores_data=True)
def drawn(
    population: Population, rng: np.random.Generator, *, low: Rate = 0.0, high: Rate
) -> np.ndarray:
    """A rate for each client, drawn once for the whole training, uniformly from `low` to `high`.

    Raises:
        DataError: `low` is above `high`.

    """
    if low > high:
        raise DataError(f"clients.dropout.low: got {low:g}; the highest rate is {high:g} (high)")
    return rng.uniform(low, high, len(population))
