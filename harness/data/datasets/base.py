"""What a data set is to the harness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from harness.registry import Registry

datasets: Registry[Callable[..., Dataset]] = Registry("data set")


@dataclass(frozen=True)
class Cache:
    """Where downloaded data is kept: `folder` need not exist yet."""

    folder: Path


@dataclass(frozen=True)
class Examples:
    """Labelled examples: `x` float32 (n, ...), `y` int32 (n,)."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: np.ndarray) -> Examples:
        """The examples at `index`, int (m,)."""
        return Examples(self.x[index], self.y[index])


@dataclass(frozen=True)
class Loaded:
    """The examples of a data set, or of some of its natural clients.

    Attributes:
        train: the training examples.
        natural: int (n,), the natural client of each training example as a position in the
            list of names that was asked for; None where the data has no natural clients.
        test: the data set's own test examples, or None where it has none.

    """

    train: Examples
    natural: Optional[np.ndarray] = None
    test: Optional[Examples] = None


@dataclass(frozen=True)
class Dataset:
    """A data set that is described, and read only when `load` is called.

    Attributes:
        name: as in the scenario file.
        num_classes: number of distinct labels, which are 0 .. num_classes - 1.
        natural: names of the natural clients (writers, forms, ...); empty where there are none.
        load: reads the examples; given names of natural clients, only theirs.

    """

    name: str
    num_classes: int
    natural: Sequence[str]
    load: Callable[[Optional[Sequence[str]]], Loaded]


def in_memory(
    name: str, examples: Examples, num_classes: int, natural: Optional[np.ndarray] = None
) -> Dataset:
    """A data set whose examples are at hand; `natural`, str (n,), names each one's client."""
    names = [] if natural is None else [str(n) for n in dict.fromkeys(natural)]

    def load(chosen: Optional[Sequence[str]]) -> Loaded:
        if natural is None:
            return Loaded(examples)
        wanted = list(names if chosen is None else chosen)
        position = {n: i for i, n in enumerate(wanted)}
        client = np.array([position.get(str(n), -1) for n in natural])
        kept = np.flatnonzero(client >= 0)
        return Loaded(examples.take(kept), client[kept])

    return Dataset(name, num_classes, names, load)
