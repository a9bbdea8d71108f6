"""Feature skew by a continuous property of the examples."""

from __future__ import annotations

from typing import Annotated, Callable, Literal

import numpy as np
from pydantic import Field

from pytest_federated.data.splits.partition import NO_ONE, Pool, splits

# Float (n,) of float32 (n, d).
_PROPERTIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda x: x.mean(axis=1, dtype=np.float64),
    "deviation": lambda x: x.std(axis=1, dtype=np.float64),
    "norm": lambda x: np.sqrt((x.astype(np.float64) ** 2).sum(axis=1)),
}


@splits("continuous", example={"by": "mean", "strictness": 1.0}, sizes=True, any_labels=True)
def continuous(
    pool: Pool,
    rng: np.random.Generator,
    *,
    by: Literal["mean", "deviation", "norm"] = "mean",
    strictness: Annotated[
        float, Field(ge=0, le=1, description="0 is IID, 1 strictly in order.")
    ] = 1.0,
) -> np.ndarray:
    """Sorts the examples by a property of their features and cuts the order into clients.

    `by` is the mean of an example's features (brightness, for an image), their standard
    deviation (contrast) or their Euclidean norm. The order is that of `strictness` times the
    standardized property plus (1 - `strictness`) times standard normal noise. Sizes differ by
    one at most, or are those of clients.size.

    Source: flwr-datasets, ContinuousPartitioner.
    """
    value = np.concatenate([_PROPERTIES[by](block) for block in pool.blocks()])
    deviation = value.std()
    value = (value - value.mean()) / (deviation if deviation > 0 else 1)
    place = strictness * value + (1 - strictness) * rng.standard_normal(len(value))
    # Equal values in random order: none is nearer to the first client by standing first in a file.
    order = np.lexsort((rng.random(len(value)), place))
    sizes = pool.client_sizes()
    client = np.full(len(value), NO_ONE)
    client[order[: sizes.sum()]] = np.repeat(np.arange(pool.clients), sizes)
    return client
