"""Sizes that are the same in every draw: client 0 is the smallest."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.data.sizes.size import sizes


@sizes("linear")
def linear(clients: int, examples: int, rng: np.random.Generator) -> np.ndarray:
    """Sizes in the proportions 1 : 2 : 3 : ...

    Source: flwr-datasets, LinearPartitioner.
    """
    return np.arange(1, clients + 1)


@sizes("square")
def square(clients: int, examples: int, rng: np.random.Generator) -> np.ndarray:
    """Sizes in the proportions 1 : 4 : 9 : ...

    Source: flwr-datasets, SquarePartitioner.
    """
    return np.arange(1, clients + 1) ** 2


@sizes("exponential", example={"rate": 0.5})
def exponential(
    clients: int,
    examples: int,
    rng: np.random.Generator,
    *,
    rate: Annotated[float, Field(gt=0, le=10, description="1 is e times the one before.")] = 1.0,
) -> np.ndarray:
    """Makes each size exp(rate) times the one before.

    With a rate of 1, ten clients need 14,000 examples before the first of them gets one.

    Source: flwr-datasets, ExponentialPartitioner (whose rate is 1).
    """
    return np.exp(rate * (np.arange(clients) - clients + 1.0))


@sizes(
    "explicit",
    example={"examples": [20, 20, 20, 40, 40, 80, 160, 160, 320, 320]},
    exact=True,
    per_client="examples",
)
def explicit(
    clients: int,
    examples_: int,
    rng: np.random.Generator,
    *,
    examples: list[Annotated[int, Field(ge=1)]],
) -> np.ndarray:
    """The sizes that the scenario lists, one for each client.

    Training examples beyond their sum go to nobody.

    Source: flwr-datasets, SizePartitioner.
    """
    return np.array(examples, np.int64)
