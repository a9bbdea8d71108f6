"""Label skew by shards of label-sorted examples."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.splits.partition import NO_ONE, Pool, splits, whole


@splits("shards", example={"shards_per_client": 2}, sizes=True)
def shards(
    pool: Pool,
    rng: np.random.Generator,
    *,
    shards_per_client: Annotated[int, Field(ge=1)] = 2,
) -> np.ndarray:
    """Sorts by label, cuts into equal shards, and deals each client `shards_per_client` of them.

    With two shards most clients see two labels only. Sizes of shards differ by one at most; with
    clients.size, those of a client's shards add up to its size.

    Source: McMahan et al., AISTATS 2017, section 3 ("Non-IID"), arXiv:1602.05629.

    Raises:
        DataError: more shards than examples.

    """
    examples, count = len(pool.labels), pool.clients * shards_per_client
    if count > examples:
        raise DataError(
            f"{pool.clients} clients with {shards_per_client} shards each need {count} training "
            f"examples; there are {examples}"
        )
    # Examples of one label are shuffled first, so that shards differ from seed to seed.
    shuffled = rng.permutation(examples)
    client = np.full(examples, NO_ONE)
    if pool.sizes is not None:
        shuffled = shuffled[: pool.sizes.sum()]
    by_label = shuffled[np.argsort(pool.labels[shuffled], kind="stable")]
    shard = rng.permutation(count)
    owner = shard % pool.clients
    if pool.sizes is None:
        client[by_label] = owner[np.arange(examples) * count // examples]
    else:
        lengths = whole(np.ones((pool.clients, shards_per_client)), pool.sizes)
        client[by_label] = np.repeat(owner, lengths[owner, shard // pool.clients])
    return client
