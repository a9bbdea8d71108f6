"""A split inside another: that of the data itself."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.data.splits.natural import natural_clients
from pytest_federated.data.splits.partition import (
    NO_ONE,
    Pool,
    apportioned,
    assign,
    groups_of,
    splits,
)
from pytest_federated.registry.choice import Choice


@splits(
    "inner",
    example={"split": {"kind": "dirichlet", "alpha": 0.5}},
    example_clients=28,
    has_natural=True,
    leaves_out=True,
)
def inner(
    pool: Pool,
    rng: np.random.Generator,
    *,
    split: Annotated[Section, Choice(splits)],
) -> np.ndarray:
    """Applies another split inside each of the data's own clients, such as the devices of a person.

    Each of the data's own clients becomes at least one client, and the rest of `clients.count`
    go where the examples are (largest remainder). No client has examples of two of them.

    Source: the hierarchy of flwr-datasets' InnerDirichletPartitioner, which draws a
    distribution of labels inside given groups; here the groups are the natural ones.

    Raises:
        DataError: the data set has no natural clients or more than `clients.count`, or one of
            them cannot be split so.

    """
    names, member = np.unique(natural_clients(pool, "inner"), return_inverse=True)
    if pool.clients < len(names):
        raise DataError(
            f"the split inner makes at least one client of each natural one; there are "
            f"{len(names)}, and clients.count is {pool.clients}"
        )
    each = 1 + apportioned(np.bincount(member), pool.clients - len(names))
    starts = np.cumsum(each) - each
    client = np.empty(len(member), np.int64)
    for index, clients, start in zip(groups_of(member), each, starts):
        dealt = assign(split, pool.part(index, int(clients)), rng)
        client[index] = np.where(dealt == NO_ONE, NO_ONE, dealt + start)
    return client
