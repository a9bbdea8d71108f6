"""Clients by labels as the scenario says."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.splits.partition import Pool, deal, drawn, splits, whole

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@splits(
    "distribution",
    example={
        "matrix": [
            [4, 3, 2, 1, 1, 1, 1, 1, 1, 1],
            [1, 1, 1, 1, 1, 1, 1, 2, 3, 4],
            [0, 1, 2, 3, 4, 4, 3, 2, 1, 0],
        ]
    },
    example_clients=3,
    leaves_out=True,
    per_client="matrix",
    sizes=True,
)
def distribution(pool: Pool, rng: np.random.Generator, *, matrix: list[list[Weight]]) -> np.ndarray:
    """Divides each label as a matrix says: one row for each client, one column for each label.

    A label's examples are dealt in proportion to its column, to within one example; so counts,
    shares and weights will do. With the counts themselves, that is what the clients get. A label
    whose column is all 0 goes to nobody. With clients.size, a client's examples are drawn from the
    labels in the proportions of its row, as with dirichlet_priors.

    Source: flwr-datasets, DistributionPartitioner (whose matrix is the transpose).

    Raises:
        DataError: not one column for each label, or not one row for each client.

    """
    shape = {(len(matrix), len(row)) for row in matrix}
    if shape != {(pool.clients, pool.classes)}:
        columns = ", ".join(str(n) for n in sorted({len(row) for row in matrix}))
        raise DataError(
            f"the split distribution needs a matrix of {pool.clients} rows, one a client, and "
            f"{pool.classes} columns, one a label; it has {len(matrix)} rows of {columns}"
        )
    supply = np.bincount(pool.labels, minlength=pool.classes)
    weights = np.array(matrix, np.float64)
    if pool.sizes is not None:
        return deal(pool.labels, drawn(weights, pool.sizes, supply, rng), rng)
    return deal(pool.labels, whole(weights.T, supply).T, rng)
