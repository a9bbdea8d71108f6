"""The synthetic federation of FedProx, which is drawn and not downloaded."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    Facts,
    datasets,
    in_memory,
)
from pytest_federated.data.datasets.kept import kept

_FEATURES, _LABELS = 60, 10


@datasets(
    "synthetic",
    task="label",
    facts=Facts(
        examples="5,385 of 30 clients by default",
        shape="60",
        labels="10",
        natural="30, or as many as you say",
        license="none needed",
        files="drawn, not downloaded",
    ),
)
def synthetic(
    cache: Cache,
    *,
    alpha: Annotated[
        float, Field(ge=0, description="Of the paper; changes nothing, see above.")
    ] = 1.0,
    beta: Annotated[float, Field(ge=0, description="How much the clients' features differ.")] = 1.0,
    iid: Annotated[bool, Field(description="One model and one distribution for all.")] = False,
    clients: Annotated[int, Field(ge=1, le=10_000)] = 30,
    draw: Annotated[int, Field(ge=0, description="Another number draws another federation.")] = 0,
) -> Dataset:
    """Synthetic(alpha, beta) of FedProx: clients with models and features that differ.

    Client k has the model y = argmax(W x + b), with each entry of W (10 x 60) and b from N(u, 1)
    and u from N(0, alpha). Its features come from N(v, S), with each entry of v from N(B, 1), B
    from N(0, beta), and S diagonal, S_jj = j^-1.2. It has 50 examples, and as many more as the
    whole part of a lognormal(4, 2) number. As in the authors' code, alpha and beta are the standard
    deviations of u and B, and u is the mean of both W and b. With `iid` all clients share one W,
    one b and the features' mean 0. The federation is the same for all seeds of a scenario.

    In the authors' code as here, alpha changes no label: u adds the same number to all ten outputs
    of a client, and argmax does not see it. The clients' models differ by the draws of N(u, 1).

    Source: T. Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020,
    arXiv:1812.06127; https://github.com/litian96/FedProx/tree/master/data
    """
    examples, natural = _drawn(alpha, beta, iid, clients, draw)
    return in_memory("synthetic", examples, _LABELS, natural)


@kept
def _drawn(
    alpha: float, beta: float, iid: bool, clients: int, draw: int
) -> tuple[Examples, np.ndarray]:
    """Draws the examples, x float32 (n, 60) and y int32 (n,), and the name of each one's client."""
    rng = np.random.default_rng(draw)
    sizes = rng.lognormal(4, 2, clients).astype(np.int64) + 50
    spread = np.arange(1, _FEATURES + 1) ** -0.6  # the square root of the variance
    shared = rng.normal(0, 1, (_FEATURES, _LABELS)), rng.normal(0, 1, _LABELS)
    features: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for size in sizes:
        u, center = rng.normal(0, alpha), rng.normal(0, beta)
        weights, bias = rng.normal(u, 1, (_FEATURES, _LABELS)), rng.normal(u, 1, _LABELS)
        mean = rng.normal(center, 1, _FEATURES)
        if iid:
            (weights, bias), mean = shared, np.zeros(_FEATURES)
        x = mean + spread * rng.standard_normal((size, _FEATURES))
        features.append(x.astype(np.float32))
        labels.append(np.argmax(x @ weights + bias, axis=1).astype(np.int32))
    width = len(str(clients - 1))
    names = np.array([f"client-{number:0{width}}" for number in range(clients)])
    return Examples(np.concatenate(features), np.concatenate(labels)), np.repeat(names, sizes)
