"""Label skew by a Dirichlet distribution of labels for each client."""

from __future__ import annotations

import numpy as np

from pytest_federated.data.splits.dirichlet import Alpha, within_range
from pytest_federated.data.splits.partition import Pool, deal, drawn, splits


@splits("dirichlet_priors", example={"alpha": 0.3}, milder="alpha", sizes=True)
def dirichlet_priors(pool: Pool, rng: np.random.Generator, *, alpha: Alpha) -> np.ndarray:
    """Draws the labels of each client from its own distribution, drawn from Dirichlet(alpha).

    Skews labels only: sizes differ by one at most, or are those of clients.size. All clients draw
    at once, without replacement, and all examples are dealt, so that a client whose labels have run
    out takes what is left; with alpha near 0 all clients are therefore less skewed than their
    distributions. The code for Hsu et al. fills one client after the other, which leaves the first
    ones more skewed: the split dirichlet_sequential. `alpha` is the concentration for each label,
    as most code has it; the alpha of Hsu et al. is that times the number of labels.

    Source: D. A. E. Acar et al., Federated Learning Based on Dynamic Regularization, ICLR 2021,
    arXiv:2111.04263 (the client-inner-dirichlet of FedLab, InnerDirichlet of flwr-datasets); the
    distributions are those of T.-M. H. Hsu, H. Qi, M. Brown, Measuring the Effects of Non-Identical
    Data Distribution for Federated Visual Classification, arXiv:1909.06335, section 3.
    """
    supply = np.bincount(pool.labels, minlength=pool.classes)
    present = np.flatnonzero(supply)
    priors = np.zeros((pool.clients, pool.classes))
    priors[:, present] = rng.dirichlet(
        np.full(len(present), within_range(alpha)), size=pool.clients
    )
    return deal(pool.labels, drawn(priors, pool.client_sizes(), supply, rng), rng)
