"""Independent and identically distributed clients."""

from __future__ import annotations

import numpy as np

from harness.data.splits.base import Pool, splits


@splits("iid")
def iid(pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """Deals shuffled examples evenly: sizes differ by one at most.

    Source: McMahan et al., Communication-Efficient Learning of Deep Networks from
    Decentralized Data, AISTATS 2017, section 3 ("IID"), arXiv:1602.05629.
    """
    return rng.permutation(len(pool.labels)) % pool.clients
