"""The federation as files: all that the sides have in common.

This uses NumPy only, as Flower has its own environment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

Weights = Sequence[np.ndarray]


class Judged(NamedTuple):
    """How the server's model does on the test set after a round."""

    accuracy: float
    loss: float


@dataclass(frozen=True)
class Federation:
    """What every side is given.

    Attributes:
        x: float32 (n, features), the training examples.
        y: int32 (n,), their labels.
        test_x: as `x`, of the test set.
        test_y: as `y`.
        start: the weights before the first round, a matrix and a vector for each layer.
        cohorts: int (rounds, cohort), the clients of each round.
        orders: by round and client of its cohort, the positions of this client's examples in the
            order in which it trains on them.
        local_epochs: of each client in each round.
        batch_size: of the clients.
        rate: learning rate of their SGD.

    """

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    start: Weights
    cohorts: np.ndarray
    orders: Sequence[Sequence[np.ndarray]]
    local_epochs: int
    batch_size: int
    rate: float

    def write(self, folder: Path) -> None:
        """Writes everything to a folder."""
        for name in ("x", "y", "test_x", "test_y", "cohorts"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        np.savez(folder / "start.npz", *self.start)
        of_all = [order for of_round in self.orders for order in of_round]
        np.save(folder / "orders.npy", np.concatenate(of_all))
        np.save(folder / "lengths.npy", [len(order) for order in of_all])
        work = {"local_epochs": self.local_epochs, "batch_size": self.batch_size, "rate": self.rate}
        (folder / "work.json").write_text(json.dumps(work))


def read(folder: Path) -> Federation:
    """Reads what `Federation.write` wrote; processes share the training examples' memory."""
    x = np.load(folder / "x.npy", mmap_mode="r")
    y, test_x, test_y, cohorts, orders, lengths = (
        np.load(folder / f"{name}.npy")
        for name in ("y", "test_x", "test_y", "cohorts", "orders", "lengths")
    )
    with np.load(folder / "start.npz") as held:
        start = [held[name] for name in held.files]
    each = np.split(orders, np.cumsum(lengths)[:-1])
    size = cohorts.shape[1]
    by_round = [each[begin : begin + size] for begin in range(0, len(each), size)]
    work = json.loads((folder / "work.json").read_text())
    return Federation(x, y, test_x, test_y, start, cohorts, by_round, **work)
