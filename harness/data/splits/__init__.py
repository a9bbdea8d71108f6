"""Splits by name: each says which client holds each example.

A split is a pure function of a `Pool`, a random generator and its keys from the scenario
file; it returns the client of each example, int (n,). What all splits share (drawing again,
minimum sizes, checking the result) is in `assign`.
"""

from harness.data.splits.base import Pool, assign, splits
from harness.data.splits.dirichlet import dirichlet
from harness.data.splits.iid import iid
from harness.data.splits.natural import natural
from harness.data.splits.shards import shards

__all__ = ["Pool", "assign", "dirichlet", "iid", "natural", "shards", "splits"]
