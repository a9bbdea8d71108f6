"""Shifts of the concept: the same example is labeled differently from client to client."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.data.shifts.shift import Holder, shifts


@shifts("label_permutation", of="labels")
def label_permutation(
    y: np.ndarray,
    holder: Holder,
    rng: np.random.Generator,
    *,
    clusters: Annotated[int, Field(ge=2)] = 2,
) -> np.ndarray:
    """Gives each cluster of clients its own permutation of the labels.

    Clients belong to the clusters in turn. The first cluster and the test set keep the original
    labels; the permutations of the others are random.

    Source: F. Sattler, K.-R. Müller, W. Samek, Clustered Federated Learning, IEEE TNNLS 2020,
    arXiv:1910.01991.
    """
    cluster = holder.client % clusters
    if cluster == 0:
        return y
    drawn = holder.common()
    permutations = [drawn.permutation(holder.num_classes) for _ in range(cluster)]
    return permutations[-1][y]


@shifts("label_noise", of="labels", share="share")
def label_noise(
    y: np.ndarray,
    holder: Holder,
    rng: np.random.Generator,
    *,
    rate: Annotated[float, Field(gt=0, le=1, description="Of a client's labels.")],
    share: Annotated[float, Field(gt=0, le=1, description="Of the clients.")] = 1.0,
) -> np.ndarray:
    """Replaces each label of some clients, with probability `rate`, by another one at random.

    `share` of the clients, drawn at random, have such noise; an example's wrong label is the
    same in every round.

    Source: J. Xu et al., FedCorr: Multi-Stage Federated Learning for Label Noise Correction,
    CVPR 2022 (where the rate differs between the noisy clients, too), arXiv:2204.04677.
    """
    noisy = holder.common().permutation(holder.clients)[: round(share * holder.clients)]
    if holder.client not in noisy or holder.num_classes < 2:
        return y
    is_wrong = rng.random(y.shape) < rate
    other = (y + rng.integers(1, holder.num_classes, y.shape)) % holder.num_classes
    return np.where(is_wrong, other, y)
