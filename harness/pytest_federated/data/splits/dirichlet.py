"""Label skew by Dirichlet proportions of each label."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.data.splits.partition import Pool, deal, drawn, splits

Alpha = Annotated[float, Field(gt=0, allow_inf_nan=False, description="Lower is more skewed.")]


def within_range(alpha: float) -> float:
    """Returns the nearest alpha that NumPy's sampler can handle.

    Beyond these bounds it hangs or overflows. At the bounds, to within rounding, a label already
    goes to one client alone, or to all in equal shares.
    """
    return float(np.clip(alpha, 1e-6, 1e9))


@splits("dirichlet", example={"alpha": 0.5}, milder="alpha", sizes=True)
def dirichlet(
    pool: Pool,
    rng: np.random.Generator,
    *,
    alpha: Alpha,
    balance: bool = False,
) -> np.ndarray:
    """Deals each label to the clients in proportions drawn from Dirichlet(alpha).

    Skews both labels and sizes. With alpha to infinity every client gets an equal share of
    every label; with alpha to 0 each label goes to one client. With `balance`, a client that has
    an equal share of all examples already gets nothing of the labels that follow, in the order
    of labels, as in the authors' own code. With clients.size, what a client was dealt so is only
    the distribution that its examples are then drawn from, as with dirichlet_priors.

    Source: Yurochkin et al., Bayesian Nonparametric Federated Learning of Neural Networks,
    ICML 2019, section 4 ("heterogeneous partition"), arXiv:1905.12022; drawn again for
    `min_examples` as in Li et al., Federated Learning on Non-IID Data Silos (NIID-Bench), ICDE
    2022, section IV-A, arXiv:2102.02079. Hsu et al. draw by client: the split dirichlet_sequential,
    and dirichlet_priors, where all clients draw at once.
    """
    client = np.empty(len(pool.labels), np.int64)
    held = np.zeros(pool.clients, np.int64)
    enough = len(pool.labels) / pool.clients if pool.sizes is None else pool.sizes
    for label in np.unique(pool.labels):
        index = rng.permutation(np.flatnonzero(pool.labels == label))
        shares = rng.dirichlet(np.full(pool.clients, within_range(alpha)))
        if balance:
            open_ = held < enough
            open_ = open_ if open_.any() else np.ones(pool.clients, bool)
            shares = shares * open_ if (shares * open_).any() else open_ / open_.sum()
            shares = shares / shares.sum()
        # Rounding the running total loses nothing: the pieces always add up to all of it.
        ends = np.rint(np.cumsum(shares)[:-1] * len(index)).astype(np.int64)
        client[index] = np.searchsorted(ends, np.arange(len(index)), side="right")
        held += np.bincount(client[index], minlength=pool.clients)
    if pool.sizes is None:
        return client
    dealt = np.zeros((pool.clients, pool.classes))
    np.add.at(dealt, (client, pool.labels), 1)
    supply = dealt.sum(axis=0).astype(np.int64)
    return deal(pool.labels, drawn(dealt, pool.sizes, supply, rng), rng)
