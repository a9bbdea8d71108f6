"""Label skew for a stated share of the examples."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.data.splits.partition import NO_ONE, Pool, splits


@splits("similarity", example={"similar": 0.1}, sizes=True)
def similarity(
    pool: Pool,
    rng: np.random.Generator,
    *,
    similar: Annotated[float, Field(ge=0, le=1, description="The share that is dealt at random.")],
) -> np.ndarray:
    """Deals a share of each client's examples at random, and the rest sorted by label.

    With `similar: 0` the clients get consecutive pieces of all examples sorted by label; with 1 the
    split is iid. The papers say "s % similarity".

    Source: Karimireddy et al., SCAFFOLD, ICML 2020, arXiv:1910.06378; Hsieh et al., The Non-IID
    Data Quagmire of Decentralized Machine Learning, ICML 2020, arXiv:1910.00189.
    """
    sizes = pool.client_sizes()
    at_random = np.rint(sizes * similar).astype(np.int64)
    shuffled = rng.permutation(len(pool.labels))[: sizes.sum()]
    first, rest = np.split(shuffled, [at_random.sum()])
    client = np.full(len(pool.labels), NO_ONE)
    client[first] = np.repeat(np.arange(pool.clients), at_random)
    # Clients in random order, so that client 0 does not always have label 0.
    order = rng.permutation(pool.clients)
    owner = np.repeat(order, (sizes - at_random)[order])
    client[rest[np.argsort(pool.labels[rest], kind="stable")]] = owner
    return client
