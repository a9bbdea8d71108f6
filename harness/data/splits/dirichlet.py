"""Label skew by Dirichlet proportions."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from harness.data.splits.base import Pool, splits


@splits("dirichlet", milder="alpha")
def dirichlet(
    pool: Pool,
    rng: np.random.Generator,
    *,
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Lower is more skewed.")],
) -> np.ndarray:
    """Deals each label to the clients in proportions drawn from Dirichlet(alpha).

    Skews both labels and sizes. With alpha to infinity every client gets an equal share of
    every label; with alpha to 0 each label goes to one client.

    Source: Yurochkin et al., Bayesian Nonparametric Federated Learning of Neural Networks,
    ICML 2019, section 4 ("heterogeneous partition"), arXiv:1905.12022.
    """
    # Beyond these bounds NumPy's sampler hangs or overflows; up to them, a draw is one client's
    # alone, and one in equal shares, to within rounding.
    alpha = float(np.clip(alpha, 1e-6, 1e9))
    client = np.empty(len(pool.labels), np.int64)
    for label in np.unique(pool.labels):
        index = rng.permutation(np.flatnonzero(pool.labels == label))
        shares = rng.dirichlet(np.full(pool.clients, alpha))
        # Rounding the running total loses nothing: the pieces always add up to all of it.
        ends = np.rint(np.cumsum(shares)[:-1] * len(index)).astype(np.int64)
        client[index] = np.searchsorted(ends, np.arange(len(index)), side="right")
    return client
