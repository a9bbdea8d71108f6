"""Label skew by a Dirichlet distribution of labels for each client."""

from __future__ import annotations

import numpy as np

from harness.data.splits.base import Pool, deal, splits
from harness.data.splits.dirichlet import Alpha, within_range


@splits("dirichlet_priors", milder="alpha", sizes=True)
def dirichlet_priors(pool: Pool, rng: np.random.Generator, *, alpha: Alpha) -> np.ndarray:
    """Draws the labels of each client from a distribution of its own, from Dirichlet(alpha).

    Skews labels only: sizes differ by one at most, or are those of clients.size. Examples are
    drawn without replacement and all are dealt, so that a client whose labels have run out takes
    what is left; with alpha near 0 the clients are therefore less skewed than their
    distributions. `alpha` is the concentration for each label, as most code has it; the alpha of
    Hsu et al. is that times the number of labels.

    Source: T.-M. H. Hsu, H. Qi, M. Brown, Measuring the Effects of Non-Identical Data
    Distribution for Federated Visual Classification, arXiv:1909.06335, section 3; with sizes, D.
    A. E. Acar et al., Federated Learning Based on Dynamic Regularization, ICLR 2021,
    arXiv:2111.04263 (the client-inner-dirichlet of FedLab, InnerDirichlet of flwr-datasets).
    """
    supply = np.bincount(pool.labels, minlength=pool.classes)
    present = np.flatnonzero(supply)
    priors = np.zeros((pool.clients, pool.classes))
    priors[:, present] = rng.dirichlet(
        np.full(len(present), within_range(alpha)), size=pool.clients
    )
    return deal(pool.labels, drawn(priors, pool.client_sizes(), supply, rng), rng)


def drawn(
    priors: np.ndarray, sizes: np.ndarray, supply: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws labels for all clients at once, without replacement.

    Every client asks for as many examples as it lacks, by its prior over the labels that are not
    used up. Where a label is asked for more often than it is there, chance decides who gets it,
    and the others ask again: so at least one label is used up in each turn but the last.

    Args:
        priors: float (clients, classes), rows that add up to 1.
        sizes: int (clients,), no more in all than there are examples.
        supply: int (classes,), examples of each label.
        rng: what is drawn from.

    Returns:
        int64 (clients, classes): examples of each label for each client; rows add up to `sizes`.

    """
    counts = np.zeros(priors.shape, np.int64)
    lacking, left = sizes.astype(np.int64), supply.astype(np.int64)
    while lacking.any():
        asking = np.flatnonzero(lacking)
        wanted = priors[asking] * (left > 0)
        # Whose labels have all run out takes of the rest what there is.
        total = wanted.sum(axis=1, keepdims=True)
        wanted = np.where(total > 0, wanted / np.where(total > 0, total, 1), left / left.sum())
        asked = rng.multinomial(lacking[asking], wanted)
        for label in np.flatnonzero(asked.sum(axis=0) > left):
            asked[:, label] = rng.multivariate_hypergeometric(
                asked[:, label], int(left[label]), method="marginals"
            )
        counts[asking] += asked
        left -= asked.sum(axis=0)
        lacking[asking] -= asked.sum(axis=1)
    return counts
