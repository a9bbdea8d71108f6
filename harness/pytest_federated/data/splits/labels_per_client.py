"""Label skew by the number of labels that a client has."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pytest_federated.data.splits.partition import Pool, deal, labels_to_share, splits, whole


@splits("labels_per_client", example={"labels": 3}, milder="labels", sizes=True, leaves_out=True)
def labels_per_client(
    pool: Pool,
    rng: np.random.Generator,
    *,
    labels: Annotated[int, Field(ge=1, description="Labels of each client.")],
    assignment: Literal["first_deterministic", "deterministic", "random"] = "first_deterministic",
) -> np.ndarray:
    """Gives each client `labels` of the labels; the clients of a label share it evenly.

    With clients.size, a label is shared in proportion to the sizes asked for. `assignment` says
    how a client gets its labels: all at random; deterministic, client i those that follow label
    i, in a circle; or only the first so and the others at random, which leaves no label without
    a client where there are as many clients as labels. Examples of a label that no client has go
    to nobody, as in both sources.

    Source: Li et al., Federated Learning on Non-IID Data Silos (NIID-Bench), ICDE 2022, section
    IV-A ("#C = k"), arXiv:2102.02079; flwr-datasets, PathologicalPartitioner.

    Raises:
        DataError: the data has fewer labels.

    """
    present = labels_to_share(pool, labels, "labels_per_client")
    of_client = np.arange(pool.clients)[:, None]
    if assignment == "deterministic":
        places = (of_client + np.arange(labels)) % len(present)
    else:
        order = rng.random((pool.clients, len(present)))
        if assignment == "first_deterministic":
            order[of_client[:, 0], of_client[:, 0] % len(present)] = -1
        places = np.argsort(order, axis=1)[:, :labels]
    weight = np.zeros((pool.classes, pool.clients))
    weight[present[places], of_client] = 1
    if pool.sizes is not None:
        weight *= pool.sizes
    supply = np.bincount(pool.labels, minlength=pool.classes)
    return deal(pool.labels, whole(weight, supply).T, rng)
