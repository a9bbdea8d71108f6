"""The natural clients of a data set."""

from __future__ import annotations

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.data.splits.partition import Pool, splits


@splits(
    "natural", example_clients=None, natural=True, has_natural=True, random=False, any_labels=True
)
def natural(pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """Makes one client of each writer, form or speaker in the data.

    With `clients.count`, this number is drawn at random; without it, all take part. Clients with
    fewer than `min_examples` training examples, held-out ones included, are left out before that.

    Source: S. Caldas et al., LEAF: A Benchmark for Federated Settings, arXiv:1812.01097.

    Raises:
        DataError: the data set has no natural clients.

    """
    return natural_clients(pool, "natural")


@splits("group_natural", example_clients=4, has_natural=True, any_labels=True)
def group_natural(pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """Merges the data's own clients, drawn at random, into `clients.count` larger ones.

    Each gets equally many of them, or one more.

    Source: flwr-datasets, GroupedNaturalIdPartitioner; hospitals or regions that pool their
    people, the "cross-silo" setting of P. Kairouz et al., arXiv:1912.04977, table 1.

    Raises:
        DataError: the data set has no natural clients, or fewer than `clients.count`.

    """
    names, member = np.unique(natural_clients(pool, "group_natural"), return_inverse=True)
    if len(names) < pool.clients:
        raise DataError(
            f"the split group_natural cannot make {pool.clients} clients of the data's "
            f"{len(names)} natural ones"
        )
    return (rng.permutation(len(names)) % pool.clients)[member]


def natural_clients(pool: Pool, split: str) -> np.ndarray:
    """Returns the natural client of each example, int (n,).

    Raises:
        DataError: the data set has no natural clients.

    """
    if pool.natural is None:
        raise DataError(f"the {split} split needs a data set with natural clients")
    return pool.natural
