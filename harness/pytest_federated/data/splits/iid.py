"""Independent and identically distributed clients."""

from __future__ import annotations

import numpy as np

from pytest_federated.data.splits.partition import NO_ONE, Pool, splits


@splits("iid", sizes=True, any_labels=True)
def iid(pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """Deals shuffled examples evenly: sizes differ by one at most, or are those of clients.size.

    Source: McMahan et al., Communication-Efficient Learning of Deep Networks from
    Decentralized Data, AISTATS 2017, section 3 ("IID"), arXiv:1602.05629.
    """
    examples = len(pool.labels)
    if pool.sizes is None:
        return rng.permutation(examples) % pool.clients
    owners = np.full(examples, NO_ONE)
    owners[: pool.sizes.sum()] = np.repeat(np.arange(pool.clients), pool.sizes)
    return rng.permutation(owners)
