"""The work of every side: clients, their examples, and the order of a round's batches.

This uses NumPy only, as Flower's processes have their own environment. The work is written to a
folder once, and all sides read it from there, so that all have the same bytes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pytest_federated.core.seeds import Stream, generator

SEED = 0
ALPHA = 0.5  # of the Dirichlet split
RATE = 0.1  # of the clients' SGD; the server takes the weighted mean
BATCH = 20

Weights = Sequence[np.ndarray]


@dataclass(frozen=True)
class Work:
    """A workload.

    `enlarged` multiplies every client's examples. `hidden` is the width of the MLP's hidden layer;
    0 means the CNN on synthetic data in the shape of EMNIST.
    """

    clients: int = 100
    cohort: int = 100
    local_epochs: int = 5
    enlarged: int = 1
    hidden: int = 128

    @property
    def is_cnn(self) -> bool:
        return self.hidden == 0

    @property
    def compared(self) -> int:
        """Rounds before weights are compared: few, before the CNN's rounding errors grow."""
        return 1 if self.is_cnn else 3

    def __str__(self) -> str:
        if self.is_cnn:
            return f"CNN, {self.cohort} of {self.clients:,} clients"
        return (
            f"digits, {self.clients:,} clients"
            + f", examples x {self.enlarged}" * (self.enlarged > 1)
            + f", {self.hidden} hidden" * (self.hidden != 128)
        )


def digits(clients: int, enlarged: int = 1, hidden: int = 128) -> Work:
    """Returns digits with a Dirichlet split, all clients in every round, five local epochs."""
    return Work(clients, clients, 5, enlarged, hidden)


def cnn(clients: int = 3400, cohort: int = 50) -> Work:
    """Returns work in the shape of federated EMNIST: few clients a round, one local epoch."""
    return Work(clients, cohort, 1, hidden=0)


# The workloads that show how pytest-federated's time grows, by what grows.
GROWTH = {
    "clients": {n: digits(n) for n in (10, 100, 1000)},
    "times the examples of a client": {n: digits(100, enlarged=n) for n in (1, 4, 16)},
    "hidden units": {n: digits(100, hidden=n) for n in (128, 512, 2048)},
}


@dataclass(frozen=True)
class Federation:
    """A workload with its data.

    Attributes:
        work: the workload.
        x: float32 (n, height, width, 1), an array or `MadeImages`.
        y: int32 (n,).
        sizes: int (clients,): number of examples of each client; its examples are contiguous.
        test_x: held-out examples, as `x`.
        test_y: as `y`.
        start: the weights before the first round.

    """

    work: Work
    x: Any
    y: np.ndarray
    sizes: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    start: Weights = ()

    @cached_property
    def positions(self) -> list[np.ndarray]:
        """Positions of each client's examples."""
        return np.split(np.arange(len(self.y)), np.cumsum(self.sizes)[:-1])

    def cohort(self, number: int) -> np.ndarray:
        """Returns the clients of a round; rounds count from 1."""
        drawn = generator(SEED, Stream.COHORT, number).choice(
            self.work.clients, self.work.cohort, replace=False
        )
        return np.sort(drawn)

    def examples(self, client: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a client's x and y in the order of a round's batches."""
        rng = generator(SEED, Stream.BATCHES, number, int(client))
        order = rng.permutation(self.positions[client])
        return self.x[order], self.y[order]

    def write(self, folder: Path) -> None:
        """Writes everything to a folder, except for synthetic images, which are generated again."""
        x = {} if self.work.is_cnn else {"x": self.x}
        arrays = {"y": self.y, "sizes": self.sizes, "test_x": self.test_x, "test_y": self.test_y}
        start = {f"start{i}": w for i, w in enumerate(self.start)}
        np.savez(folder / "work.npz", **x, **arrays, **start)
        (folder / "work.json").write_text(json.dumps(asdict(self.work)))


def read(folder: Path) -> Federation:
    """Reads what `Federation.write` wrote."""
    work = Work(**json.loads((folder / "work.json").read_text()))
    with np.load(folder / "work.npz") as held:
        arrays = {name: held[name] for name in held.files}
    start = [arrays.pop(f"start{i}") for i in range(sum(n.startswith("start") for n in arrays))]
    if work.is_cnn:
        arrays["x"] = MadeImages(arrays["y"])
    return Federation(work=work, start=start, **arrays)


def make(work: Work) -> Federation:
    """Returns a workload with its data, without weights."""
    return _made(work) if work.is_cnn else _digits(work)


def _digits(work: Work) -> Federation:
    """Splits the digits by Dirichlet; draws with replacement if enlarged or above 100 clients.

    There are 1,437 training examples, and Dirichlet leaves clients empty if there are hardly more
    examples than clients. So client k of many resembles client k modulo 100 of 100: it has as many
    examples of each label, drawn from that label's training examples with replacement.
    """
    from pytest_federated.clients.schema import Clients
    from pytest_federated.data.datasets.dataset import Cache
    from pytest_federated.data.federation import federate
    from pytest_federated.data.schema import Data

    clients = Clients.model_validate(
        {"count": min(work.clients, 100), "split": {"kind": "dirichlet", "alpha": ALPHA}}
    )
    with tempfile.TemporaryDirectory() as folder:
        data = federate(
            Data.model_validate({"dataset": "digits"}), clients, SEED, Cache(Path(folder))
        )
    rows = list(data.clients)
    if work.clients > len(rows) or work.enlarged > 1:
        rng = np.random.default_rng(SEED)
        of_label = [np.flatnonzero(data.train.y == label) for label in range(data.num_classes)]
        rows = [
            np.concatenate(
                [
                    rng.choice(of_label[label], work.enlarged * count)
                    for label, count in enumerate(data.label_counts[k % len(rows)])
                ]
            )
            for k in range(work.clients)
        ]
    train = data.train.take(np.concatenate(rows))
    sizes = np.array([len(r) for r in rows])
    return Federation(work, train.x, train.y, sizes, np.asarray(data.test.x), data.test.y)


class MadeImages:
    """Generated 28x28 pictures in [0, 1], half their label's pattern and half noise.

    None is stored: 3,400 clients' pictures would take 1 GB. A position always gives the same one.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, labels: np.ndarray) -> None:
        rng = np.random.default_rng(SEED)
        self._labels = labels
        self._patterns = rng.random((62, 28, 28, 1), np.float32) / 2
        self._noise = rng.random((4099, 28, 28, 1), np.float32) / 2
        self.shape = (len(labels), 28, 28, 1)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice):
            index = np.arange(len(self._labels))[index]
        return self._patterns[self._labels[index]] + self._noise[index % len(self._noise)]


def _made(work: Work) -> Federation:
    rng = np.random.default_rng(SEED)
    sizes = rng.integers(80, 121, work.clients)
    y = rng.integers(0, 62, sizes.sum() + 1000).astype(np.int32)
    images = MadeImages(y)
    train = len(y) - 1000
    return Federation(work, MadeImages(y[:train]), y[:train], sizes, images[train:], y[train:])
