"""Feature skew by clusters of like examples."""

from __future__ import annotations

import math
import warnings
from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.data.splits.partition import Pool, apportioned, groups_of, splits

_AT_ONCE = 300  # clients; more are made in groups
_LEAST_VARIANCE = 1e-4
_FITTED = 2000, 50  # examples of a label to which its mixture is fitted: in all, or per client


@splits("semantic")
def semantic(
    pool: Pool,
    rng: np.random.Generator,
    *,
    components: Annotated[int, Field(ge=1, description="Principal components kept.")] = 16,
) -> np.ndarray:
    """Groups the examples of each label into similar clusters; a client gets one of each.

    The features are reduced to their first `components` principal components; for each label a
    Gaussian mixture with diagonal covariances and one component for each client is fitted; and
    the clusters of one label are matched to those of the label before so that the sum of the
    symmetric Kullback-Leibler divergences is least. A label with fewer examples than clients has
    as many clusters as examples; of a label with many, 2,000 or 50 for each client are fitted to.
    More than 300 clients are made in steps: first as many groups of them as the square root of
    their number, and then, of the examples of each group, its clients, whose number is in
    proportion to the examples.

    Source: H. Yuan, W. Morningstar, L. Ning, K. Singhal, What Do We Mean by Generalization in
    Federated Learning?, ICLR 2022 ("semantic partitioning"), arXiv:2110.14216. There the
    features are those of a network that was trained on other images; here they are the pixels, as
    nothing can be downloaded.
    """
    from threadpoolctl import threadpool_limits

    features = _principal_components(pool, components)
    # The matrices are small: more threads wait for each other, and add up in another order.
    with threadpool_limits(1):
        return _divided(features, pool.labels, pool.clients, rng)


def _divided(
    features: np.ndarray, labels: np.ndarray, clients: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns the client of each example, int64 (n,); many clients are made in groups."""
    if clients <= _AT_ONCE:
        return _clustered(features, labels, clients, rng)
    group = _clustered(features, labels, math.ceil(math.sqrt(clients)), rng)
    members = groups_of(group)
    each = 1 + apportioned(np.array([len(m) for m in members]), clients - len(members))
    client = np.empty(len(labels), np.int64)
    for index, some, start in zip(members, each, np.cumsum(each) - each):
        client[index] = start + _divided(features[index], labels[index], int(some), rng)
    return client


def _clustered(
    features: np.ndarray, labels: np.ndarray, clients: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns the client of each example, int64 (n,): the one with its cluster of its label."""
    from scipy.optimize import linear_sum_assignment

    client = np.empty(len(labels), np.int64)
    # The clients' Gaussians for the label before, as means and variances.
    before = None
    for label in np.unique(labels):
        index = np.flatnonzero(labels == label)
        cluster, *gaussians = _mixture(features[index], clients, rng)
        if before is None:
            owner = rng.permutation(clients)[: len(gaussians[0])]
            # A client that has no cluster yet is as near to one as to another.
            before = list(np.repeat(f.mean(0, keepdims=True), clients, 0) for f in gaussians)
        else:
            _, owner = linear_sum_assignment(_divergences(gaussians, before))
        for old, new in zip(before, gaussians):
            old[owner] = new
        client[index] = owner[cluster]
    return client


def _mixture(
    features: np.ndarray, clusters: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the cluster of each example, int (n,), and the clusters' means and variances."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if min(clusters, len(features)) == 1:  # which scikit-learn does not fit to one example
        mean, variance = features.mean(0, keepdims=True), features.var(0, keepdims=True)
        return np.zeros(len(features), np.int64), mean, variance + _LEAST_VARIANCE
    mixture = GaussianMixture(
        min(clusters, len(features)),
        covariance_type="diag",
        init_params="k-means++",  # the default's order of additions varies between threads
        max_iter=20,
        tol=1e-2,
        reg_covar=_LEAST_VARIANCE,
        random_state=int(rng.integers(2**31)),
    )
    most = max(_FITTED[0], _FITTED[1] * clusters)
    some = features if len(features) <= most else rng.choice(features, most, replace=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a rough fit does
        mixture.fit(some)
    return mixture.predict(features), np.asarray(mixture.means_), np.asarray(mixture.covariances_)


def _principal_components(pool: Pool, components: int) -> np.ndarray:
    """Returns principal components, float64 (n, up to `components`); reads the features twice."""
    examples, total, products = 0, 0.0, 0.0
    for block in pool.blocks():
        wide = block.astype(np.float64)
        examples += len(wide)
        total = total + wide.sum(0)
        products = products + wide.T @ wide
    mean = total / examples
    covariance = products / examples - np.outer(mean, mean)
    values, axes = np.linalg.eigh(covariance)
    kept = axes[:, ::-1][:, :components]
    scale = np.sqrt(max(float(values.max()), 1e-12))
    return np.concatenate([(block - mean) @ kept / scale for block in pool.blocks()])


def _divergences(one: list[np.ndarray], other: list[np.ndarray]) -> np.ndarray:
    """Returns the symmetric Kullback-Leibler divergences of diagonal Gaussians, float (a, b)."""
    (mean, variance), (mean_, variance_) = one, other
    apart = (mean[:, None] - mean_[None]) ** 2
    ratio = variance[:, None] / variance_[None]
    return 0.25 * (
        ratio + 1 / ratio - 2 + apart * (1 / variance[:, None] + 1 / variance_[None])
    ).sum(axis=2)
