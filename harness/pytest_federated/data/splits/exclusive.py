"""Label skew by labels that only one client has."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.splits.partition import Pool, splits, whole


@splits("exclusive", example={"share": 0.8}, example_clients=5, sizes=True)
def exclusive(
    pool: Pool,
    rng: np.random.Generator,
    *,
    share: Annotated[
        float, Field(gt=0, le=1, description="Share of the examples; others are IID.")
    ] = 1.0,
) -> np.ndarray:
    """Deals whole labels to the clients, so that no two clients share a label.

    Clients get equally many labels, or one more. A `share` below 1 deals only that share of the
    examples by label, and the others evenly. With clients.size, labels go to the clients that lack
    most examples, and the other examples are dealt so that clients come as close to their sizes as
    possible.

    Source: K. Hsieh, A. Phanishayee, O. Mutlu, P. Gibbons, The Non-IID Data Quagmire of
    Decentralized Machine Learning, ICML 2020 ("degree of skew"), arXiv:1910.00189.

    Raises:
        DataError: more clients than labels.

    """
    present, label = np.unique(pool.labels, return_inverse=True)
    if pool.clients > len(present):
        raise DataError(
            f"the split exclusive gives each client labels of its own: {pool.clients} clients "
            f"need as many labels; the training examples have {len(present)}"
        )
    examples = len(pool.labels)
    client = rng.permutation(examples) % pool.clients
    dealt = rng.permutation(examples)
    by_label, rest = np.split(dealt, [round(share * examples)])
    owner = rng.permutation(len(present)) % pool.clients
    if pool.sizes is not None:
        owner, lacking = _owners(np.bincount(label[by_label], minlength=len(present)), pool, rng)
        client[rest] = np.repeat(np.arange(pool.clients), whole(lacking, np.array(len(rest))))
    client[by_label] = owner[label[by_label]]
    return client


def _owners(
    supply: np.ndarray, pool: Pool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the client of each label, int (labels,), and what each lacks, float (clients,).

    Labels of `supply`, int (labels,), examples, the largest first, go to the client that lacks
    most, as long as enough are left for those who have none.
    """
    assert pool.sizes is not None
    lacking = pool.sizes.astype(np.float64)
    owner = np.full(len(supply), -1)
    order = rng.permutation(len(supply))
    order = order[np.argsort(-supply[order], kind="stable")]
    for place, label in enumerate(order):
        without = np.setdiff1d(np.arange(pool.clients), owner)
        able = without if len(without) >= len(supply) - place else np.arange(pool.clients)
        owner[label] = able[np.argmax(lacking[able])]
        lacking[owner[label]] -= supply[label]
    lacking = np.maximum(lacking, 0)
    return owner, lacking if lacking.any() else np.ones(pool.clients)
