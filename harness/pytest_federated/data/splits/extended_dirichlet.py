"""Label skew by the number of labels of a client, and by Dirichlet proportions of each label."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.data.splits.dirichlet import Alpha, within_range
from pytest_federated.data.splits.partition import Pool, deal, labels_to_share, splits, whole


@splits(
    "extended_dirichlet",
    example={"labels": 3, "alpha": 1},
    milder="labels or alpha",
    leaves_out=True,
)
def extended_dirichlet(
    pool: Pool,
    rng: np.random.Generator,
    *,
    labels: Annotated[int, Field(ge=1, description="Labels of each client.")],
    alpha: Alpha,
) -> np.ndarray:
    """Gives each client `labels` of the labels; Dirichlet(alpha) shares a label among its clients.

    Labels are allotted so that each has the same number of clients, up to one. Then the examples
    of a label are dealt as by `dirichlet`, but only to the clients that have it. A label that no
    client has, as there are too few clients, goes to nobody.

    Source: Li and Lyu, Convergence Analysis of Sequential Federated Learning on Heterogeneous Data,
    NeurIPS 2023, arXiv:2311.03154 ("Extended Dirichlet strategy").

    Raises:
        DataError: the data has fewer labels.

    """
    present = labels_to_share(pool, labels, "extended_dirichlet")
    order = rng.permutation(pool.clients)
    chances = rng.random((pool.clients, len(present)))
    allotted = np.empty((pool.clients, labels), np.int64)
    owned = np.zeros(len(present))  # by how many clients, and below 1 at random where that is equal
    for place, chance in enumerate(chances):
        allotted[place] = rarest = (owned + chance).argsort()[:labels]
        owned[rarest] += 1
    has = np.zeros(chances.shape, bool)
    has[order[:, None], allotted] = True
    supply = np.bincount(pool.labels, minlength=pool.classes)
    counts = np.zeros((pool.clients, pool.classes), np.int64)
    for place, label in enumerate(present):
        owners = np.flatnonzero(has[:, place])
        if len(owners):
            shares = rng.dirichlet(np.full(len(owners), within_range(alpha)))
            counts[owners, label] = whole(shares, supply[label])
    return deal(pool.labels, counts, rng)
