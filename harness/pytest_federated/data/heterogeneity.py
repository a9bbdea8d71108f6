"""Measures how non-IID a federation is, by the clients' sizes and their labels.

Throughout, p_k is the distribution of labels at client k, p that of all clients' examples
together, and n_k the number of examples of client k.
"""

from __future__ import annotations

import math
from typing import Callable, Optional

import numpy as np
from pydantic import BaseModel, ConfigDict

from pytest_federated.core.schema import Figure

# Most terms (pairs times labels) of a mean over pairs, whose number grows with the square of the
# clients. With more, it is taken over the pairs among some clients, drawn at random but always the
# same. With ten labels, up to 2,000 clients are all compared.
_TERMS = 20_000_000
_BLOCK = 1 << 18  # pairs times labels that are compared at a time


class Heterogeneity(BaseModel):
    """The measures. All but entropy, which is then largest, are 0 for identical clients.

    Attributes:
        smallest: examples of the smallest client.
        quartiles: examples of a client at the first quartile, the median and the third.
        largest: examples of the largest client.
        gini: see `gini`.
        label_entropy: mean over clients of the entropy of p_k, in nats.
        pooled_label_entropy: entropy of the mean over clients of p_k, in nats: that of each client
            if all were alike. As each client counts the same in both, `label_entropy` is never
            above it (the entropy is concave); that of p can be below it where sizes differ.
        jensen_shannon: see `jensen_shannon`.
        hellinger: see `hellinger`.
        earth_mover: see `earth_mover`.
        unused: training examples that the split gave to no client.

    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    smallest: int
    quartiles: tuple[Figure, Figure, Figure]
    largest: int
    gini: Figure
    label_entropy: Figure
    pooled_label_entropy: Figure
    jensen_shannon: Figure
    hellinger: Figure
    earth_mover: Figure
    unused: int = 0


def measure(
    label_counts: np.ndarray, unused: int = 0, sizes: Optional[np.ndarray] = None
) -> Heterogeneity:
    """Returns all measures for int (clients, labels) counts.

    `sizes`, int (clients,), are the clients' numbers of examples if examples do not have one label
    each; no client may be empty. Clients without labels are left out of the measures of labels.
    """
    of_labels: np.ndarray = label_counts.sum(axis=1)
    if sizes is None:
        sizes = of_labels
    if of_labels.any():
        label_counts = label_counts[of_labels > 0]
    pooled = _shares(label_counts).mean(axis=0, keepdims=True)
    low, middle, high = (float(q) for q in np.quantile(sizes, [0.25, 0.5, 0.75]))
    return Heterogeneity(
        smallest=int(sizes.min()),
        quartiles=(low, middle, high),
        largest=int(sizes.max()),
        gini=gini(sizes),
        label_entropy=float(label_entropies(label_counts).mean()),
        pooled_label_entropy=float(_entropy(pooled)[0]),
        jensen_shannon=jensen_shannon(label_counts),
        hellinger=hellinger(label_counts),
        earth_mover=earth_mover(label_counts),
        unused=unused,
    )


def gini(sizes: np.ndarray) -> float:
    """Returns the Gini coefficient of the clients' sizes, 0 (all alike) to 1 (one has nearly all).

    The sum over all pairs of |n_i - n_j|, divided by twice the number of clients times the sum of
    sizes; computed from sorted sizes. Source: C. Gini, Variabilità e mutabilità, 1912.
    """
    ranks = np.arange(1, len(sizes) + 1)
    total = float(sizes.sum())
    return float(((2 * ranks - len(sizes) - 1) * np.sort(sizes)).sum() / (len(sizes) * total))


def label_entropies(label_counts: np.ndarray) -> np.ndarray:
    """Returns - sum over labels of p_k log p_k, in nats, float (clients,).

    Source: C. E. Shannon, A Mathematical Theory of Communication, 1948, section 6.
    """
    return _entropy(_shares(label_counts))


def jensen_shannon(label_counts: np.ndarray) -> float:
    """Returns the mean over pairs of clients of the Jensen-Shannon distance, 0 to 1.

    The square root of H((p_i + p_j) / 2) - (H(p_i) + H(p_j)) / 2, with H in bits. With more than
    2,000 clients (for ten labels), over the pairs among 2,000 of them, drawn at random.
    Source: D. M. Endres, J. E. Schindelin, A New Metric for Probability Distributions, IEEE
    Trans. Inf. Theory 49(7), 2003; for federations: D. M. Jimenez G. et al., FedArtML, IEEE
    Access 12, 2024.
    """
    shares = _paired(_shares(label_counts))
    entropies = _entropy(shares)

    def distances(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        divergence = _entropy((shares[i] + shares[j]) / 2) - (entropies[i] + entropies[j]) / 2
        return np.sqrt(np.clip(divergence / np.log(2), 0, 1))

    return _mean_over_pairs(shares, distances)


def hellinger(label_counts: np.ndarray) -> float:
    """Returns the mean over pairs of clients of the Hellinger distance, 0 to 1.

    The square root of 1 - sum over labels of sqrt(p_i p_j). With many clients: as above.
    Source: E. Hellinger, J. reine angew. Math. 136, 1909; for federations: FedArtML, as above.
    """
    roots = np.sqrt(_paired(_shares(label_counts)))

    def distances(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return np.sqrt(np.clip(1 - (roots[i] * roots[j]).sum(axis=1), 0, 1))

    return _mean_over_pairs(roots, distances)


def earth_mover(label_counts: np.ndarray) -> float:
    """Returns the earth mover's distance of the clients' labels to those of all, 0 to 2.

    The sum over labels of |p_k - p|, and of these the mean weighted by n_k / n.
    Source: Y. Zhao et al., Federated Learning with Non-IID Data, arXiv:1806.00582
    (proposition 3.1), where any two labels are equally far apart.
    """
    sizes = label_counts.sum(axis=1)
    pooled = _shares(label_counts.sum(axis=0, keepdims=True))
    moved = np.abs(_shares(label_counts) - pooled).sum(axis=1)
    return float((sizes / max(sizes.sum(), 1) * moved).sum())


def _shares(label_counts: np.ndarray) -> np.ndarray:
    return label_counts / np.maximum(label_counts.sum(axis=1, keepdims=True), 1)


def _entropy(shares: np.ndarray) -> np.ndarray:
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1) + 0.0  # so never -0.0


def _paired(shares: np.ndarray) -> np.ndarray:
    limit = max(2, math.isqrt(2 * _TERMS // shares.shape[1]))
    if len(shares) <= limit:
        return shares
    return shares[np.random.default_rng(0).choice(len(shares), limit, replace=False)]


def _mean_over_pairs(
    shares: np.ndarray, distances: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> float:
    i, j = np.triu_indices(len(shares), k=1)
    if not len(i):
        return 0.0  # a single client
    step = max(1, _BLOCK // shares.shape[1])
    blocks = (slice(start, start + step) for start in range(0, len(i), step))
    return float(sum(distances(i[b], j[b]).sum() for b in blocks) / len(i))
