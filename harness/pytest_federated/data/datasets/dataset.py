"""What a data set is to pytest-federated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Literal, Optional, Protocol, Union

import numpy as np

from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec

# What the labels are: `label`, int32 (n,), one for each example; `tokens`, int32 (n, t), one for
# each position, negative where there is none (padding); `tags`, float32 or int8 (n, classes), 1 for
# each tag that an example has.
TaskKind = Literal["label", "tokens", "tags"]


@dataclass(frozen=True)
class Cache:
    """Where downloaded data is kept: `folder` need not exist yet."""

    folder: Path


@dataclass(frozen=True)
class Facts:
    """What docs/datasets.md says of a data set, registered with it as its trait `facts`.

    Attributes:
        examples: how many.
        shape: of one example's `x`.
        labels: how many, or what they are.
        natural: what the natural clients are; empty where there are none.
        license: of the data.
        files: where they come from.

    """

    examples: str
    shape: str
    labels: str
    natural: str = ""
    license: str = ""
    files: str = ""


class Rows(Protocol):
    """Anything that gives rows by their positions: an array in memory, on disk, or made on demand.

    A million examples are described by such an object; only the rows that are asked for are ever
    in memory. `numpy.load(file, mmap_mode="r")` gives one.

    Rows that a client is to train on in another form each time, such as images that are cut at
    random, have a method `drawn` besides, of an int array (m,) and a random generator.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, ...)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what `__getitem__` gives."""
        ...

    def __getitem__(self, index: Any) -> np.ndarray:
        """The rows at `index`, an int array (m,) or a slice, as an array in memory (m, ...)."""
        ...


def drawn(rows: Any, index: Any, rng: np.random.Generator) -> np.ndarray:
    """The `Rows` at `index`, int (m,), in the form in which a client trains on them this time."""
    draw = getattr(rows, "drawn", None)
    return np.asarray(rows[index] if draw is None else draw(index, rng))


@dataclass(frozen=True)
class Examples:
    """Labeled examples: `x` float32, or int32 for texts, (n, ...), `Rows`; `y` (n, ...), see
    `TaskKind`.
    """

    x: Any  # Rows; NumPy's own types do not pass for that protocol
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def take(
        self, index: Union[np.ndarray, slice], rng: Optional[np.random.Generator] = None
    ) -> Examples:
        """The examples at `index`, int (m,) or a slice, read into memory.

        With `rng` as a client trains on them: changed at random where the data set says how.
        """
        x = np.asarray(self.x[index]) if rng is None else drawn(self.x, index, rng)
        return Examples(x, self.y[index])

    def select(self, index: np.ndarray) -> Examples:
        """The examples at `index`, int (m,); an `x` that is not in memory is not read."""
        if type(self.x) is np.ndarray:  # so not a numpy.memmap, which is one by inheritance
            return self.take(index)
        return Examples(_Selected(self.x, index), self.y[index])


class _Selected:
    """Rows of other rows."""

    def __init__(self, rows: Rows, index: np.ndarray) -> None:
        if isinstance(rows, _Selected):  # so that a selection of a selection costs no more
            rows, index = rows._rows, rows._index[index]
        self._rows, self._index = rows, index
        self.shape = (len(index), *rows.shape[1:])
        self.dtype = rows.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._rows[self._index[index]]

    def drawn(self, index: Any, rng: np.random.Generator) -> np.ndarray:
        return drawn(self._rows, self._index[index], rng)

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


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
        task: what the labels are.

    """

    name: str
    num_classes: int
    natural: Sequence[str]
    load: Callable[[Optional[Sequence[str]]], Loaded]
    task: TaskKind = "label"


# What a data set reads that comes neither with a package nor from a path in the scenario: of its
# settings, files and folders, which may not be there yet.
Reads = Callable[[Any, Cache], Sequence[Path]]


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """The traits of a data set.

    Attributes:
        has_test_set: whether it has a test set of its own, or the key that gives the test set.
        reads: what it reads that comes neither with a package nor from a path in the scenario.
        packages: Python packages that decide what it reads; a new release makes a new training.
        facts: what its page in the docs says.

    """

    has_test_set: Union[bool, str] = False
    reads: Optional[Reads] = None
    packages: tuple[str, ...] = ()
    facts: Facts = Facts("see below", "see below", "see below")


class DescribesDataset(Protocol):
    """Describes a data set."""

    def __call__(self, cache: Cache, /, *args: Any, **keys: Any) -> Dataset:
        """The data set, whose examples are read later."""
        ...


datasets = Registry(
    "data set", DescribesDataset, DatasetSpec, plural="datasets", package=__package__
)


def has_test_set(chosen: Mapping[str, Any]) -> bool:
    """Whether the data set of these settings has a test set of its own."""
    entry = datasets.get(chosen["kind"])
    trait = entry.spec.has_test_set if entry else False
    return bool(chosen.get(trait)) if isinstance(trait, str) else trait


def in_memory(
    name: str,
    examples: Examples,
    num_classes: int,
    natural: Optional[np.ndarray] = None,
    task: TaskKind = "label",
    test: Optional[Examples] = None,
) -> Dataset:
    """A data set whose examples are at hand; `natural`, str (n,), names each one's client."""
    names = [] if natural is None else [str(n) for n in dict.fromkeys(natural)]

    def load(chosen: Optional[Sequence[str]]) -> Loaded:
        if natural is None:
            return Loaded(examples, test=test)
        wanted = list(names if chosen is None else chosen)
        position = {n: i for i, n in enumerate(wanted)}
        client = np.array([position.get(str(n), -1) for n in natural])
        kept = np.flatnonzero(client >= 0)
        return Loaded(examples.select(kept), client[kept], test)

    return Dataset(name, num_classes, names, load, task)


def classes_of(y: np.ndarray, task: TaskKind) -> np.ndarray:
    """Int (m,): the classes of all labels in `y`, one after the other; padding has none."""
    if task == "tags":
        return np.nonzero(y)[-1]
    return y[y >= 0]
