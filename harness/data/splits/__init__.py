"""Splits by name: each says which client holds each example.

A split is a pure function of a `Pool`, a random generator and its keys from the scenario
file; it returns the client of each example, int (n,). What all splits share (drawing again,
minimum sizes, checking the result) is in `assign`.
"""

from harness.data.splits.base import NO_ONE, Pool, assign, splits
from harness.data.splits.continuous import continuous
from harness.data.splits.dirichlet import dirichlet
from harness.data.splits.dirichlet_priors import dirichlet_priors
from harness.data.splits.distribution import distribution
from harness.data.splits.exclusive import exclusive
from harness.data.splits.iid import iid
from harness.data.splits.inner import inner
from harness.data.splits.labels_per_client import labels_per_client
from harness.data.splits.natural import group_natural, natural
from harness.data.splits.semantic import semantic
from harness.data.splits.shards import shards

__all__ = [
    "NO_ONE",
    "Pool",
    "assign",
    "continuous",
    "dirichlet",
    "dirichlet_priors",
    "distribution",
    "exclusive",
    "group_natural",
    "iid",
    "inner",
    "labels_per_client",
    "natural",
    "semantic",
    "shards",
    "splits",
]
