"""Label skew by labels that only one client has."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from harness.data.splits.base import Pool, splits
from harness.errors import DataError


@splits("exclusive")
def exclusive(
    pool: Pool,
    rng: np.random.Generator,
    *,
    share: Annotated[
        float, Field(gt=0, le=1, description="Of the examples, the others being IID.")
    ] = 1.0,
) -> np.ndarray:
    """Deals whole labels to the clients, so that no two have one in common.

    Clients get equally many labels, or one more. A `share` below 1 deals only that share of the
    examples by label, and the others evenly.

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
    by_label = rng.permutation(examples)[: round(share * examples)]
    client[by_label] = (rng.permutation(len(present)) % pool.clients)[label[by_label]]
    return client
