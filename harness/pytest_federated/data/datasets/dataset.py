"""What a data set is, and the registry of data sets."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Callable, Literal, Optional, Protocol, Union, cast, get_args

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from pytest_federated.core.errors import DataError
from pytest_federated.core.ordering import natural as by_number
from pytest_federated.core.schema import Section, without_empty
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec

# What is predicted: `label`, int32 (n,), one for each example; `binary`, the same, but 0 or 1,
# which a model predicts by one output; `tokens`, int32 (n, t), one for each position, negative
# where there is none (padding); `tags`, float32 or int8 (n, classes), 1 for each tag of an example;
# `regression`, float32 (n,), a number for each example.
TaskKind = Literal["label", "binary", "tokens", "tags", "regression"]
LABELED: tuple[TaskKind, ...] = ("label", "binary", "tokens", "tags")  # all but regression


@dataclass(frozen=True)
class Cache:
    """Where downloaded data is kept: `folder` need not exist yet."""

    folder: Path


@dataclass(frozen=True)
class Facts:
    """What docs/datasets.md says about a data set, registered with it as its trait `facts`.

    Attributes:
        examples: the number of examples.
        shape: the shape of one example's `x`.
        labels: the number of labels, or what they are.
        natural: what the natural clients are; empty where there are none.
        license: the license of the data.
        files: where the files come from.

    """

    examples: str
    shape: str
    labels: str
    natural: str = ""
    license: str = ""
    files: str = ""


class Rows(Protocol):
    """Anything indexed by position: an array in memory, an array on disk, or rows made on demand.

    Only the rows that are asked for need to be in memory, so a million examples are no problem.
    `numpy.load(file, mmap_mode="r")` is one such object.

    Rows that change each time a client trains on them, such as images cropped at random, also
    have a method `augmented`, which takes an int array (m,) and a random generator. Rows that are
    bytes divided by 255 also have these bytes, uint8 `Rows`, as `levels` (or None).
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, ...)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values that `__getitem__` returns."""
        ...

    def __getitem__(self, index: Any) -> np.ndarray:
        """Returns the rows at `index`, an int array (m,) or a slice, as an array (m, ...)."""
        ...


def augmented(rows: Any, index: Any, rng: np.random.Generator) -> np.ndarray:
    """Returns the `Rows` at `index`, int (m,), as a client trains on them this time."""
    augment = getattr(rows, "augmented", None)
    return np.asarray(rows[index] if augment is None else augment(index, rng))


def levels_of(rows: Any) -> Optional[Any]:
    """Returns the uint8 `Rows` that `rows` are, divided by 255; None where they are none."""
    return getattr(rows, "levels", None)


def named_inputs(columns: Mapping[str, Any]) -> np.ndarray:
    """Returns examples with several inputs, a structured array (n,), from an array of each.

    Raises:
        DataError: the arrays differ in length or hold no numbers, or a name is none that a layer
            can have.

    """
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    for name, array in arrays.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name)):
            raise DataError(f"got {name!r} as the name of an input; allowed: letters, digits and _")
        if array.dtype.kind not in "fiub" or not array.ndim:
            raise DataError(
                f"the input {name!r} is {array.dtype} of shape {array.shape}; numbers (n, ...) are "
                "needed"
            )
    lengths = {name: len(array) for name, array in arrays.items()}
    if len({*lengths.values()}) != 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items()) or "none"
        raise DataError(f"inputs need as many rows as each other; there are: {listed}")
    types: Any = [(name, array.dtype, array.shape[1:]) for name, array in arrays.items()]
    rows = np.empty(next(iter(lengths.values())), np.dtype(types))
    for name, array in arrays.items():
        rows[name] = array
    return rows


def inputs_of(x: np.ndarray) -> Any:
    """Returns features as models take them: an array, or an ordered dict of those of each input."""
    if x.dtype.names is None:
        return x
    return OrderedDict((name, np.ascontiguousarray(x[name])) for name in x.dtype.names)


@dataclass(frozen=True)
class Examples:
    """Labeled examples: `x` float32, or int32 for texts, (n, ...), `Rows`; `y` (n, ...), see
    `TaskKind`.

    With several inputs, `x` is given as a mapping from their names to arrays (n, ...), and kept as
    `named_inputs` of it.
    """

    x: Any  # Rows; NumPy's own types do not pass for that protocol
    y: np.ndarray

    def __post_init__(self) -> None:
        if isinstance(self.x, Mapping):
            object.__setattr__(self, "x", named_inputs(cast("Mapping[str, Any]", self.x)))

    def __len__(self) -> int:
        return len(self.y)

    def take(
        self, index: Union[np.ndarray, slice], rng: Optional[np.random.Generator] = None
    ) -> Examples:
        """Reads the examples at `index`, int (m,) or a slice, into memory.

        With `rng`, they are as a client trains on them: augmented where the data set says how.
        """
        x = np.asarray(self.x[index]) if rng is None else augmented(self.x, index, rng)
        return Examples(x, self.y[index])

    def select(self, index: np.ndarray) -> Examples:
        """Returns the examples at `index`, int (m,); an `x` that is not in memory is not read."""
        if type(self.x) is np.ndarray:  # not a numpy.memmap, which is a subclass
            return self.take(index)
        return Examples(_Selected(self.x, index), self.y[index])


class _Selected:
    """Some of the rows of other `Rows`, read when they are asked for."""

    def __init__(self, rows: Rows, index: np.ndarray) -> None:
        if isinstance(rows, _Selected):  # so that a selection of a selection costs no more
            rows, index = rows._rows, rows._index[index]
        self._rows, self._index = rows, index
        self.shape = (len(index), *rows.shape[1:])
        self.dtype = rows.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._rows[self._index[index]]

    @property
    def levels(self) -> Optional[Any]:
        levels = levels_of(self._rows)
        return None if levels is None else _Selected(levels, self._index)

    def augmented(self, index: Any, rng: np.random.Generator) -> np.ndarray:
        return augmented(self._rows, self._index[index], rng)

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class Loaded:
    """The examples of a data set, or of some of its natural clients.

    Attributes:
        train: the training examples.
        natural: int (n,), the natural client of each training example, as a position in the
            list of names passed to `Dataset.load`; None where there are no natural clients.
        test: the data set's own test examples, or None where it has none.
        test_natural: int (m,), the natural client of each test example, as a position in the same
            list, continued by `Dataset.only_tested`; -1 for any other client. None where test
            examples are no client's.

    """

    train: Examples
    natural: Optional[np.ndarray] = None
    test: Optional[Examples] = None
    test_natural: Optional[np.ndarray] = None


@dataclass(frozen=True)
class Dataset:
    """A description of a data set, whose examples are read only when `load` is called.

    Attributes:
        name: as in the scenario file.
        num_classes: number of distinct labels, which are 0 .. num_classes - 1; 1 for numbers.
        natural: names of the natural clients (writers, forms, ...); empty where there are none.
        load: reads the examples of the natural clients with these names, or all with None.
        task: what the labels are.
        label_names: what the labels are called, in order; empty where they are called 0, 1, ...
        only_tested: names of the clients that have test examples and none to train on.
        features: names of the columns that are learned from; empty where they have none.

    """

    name: str
    num_classes: int
    natural: Sequence[str]
    load: Callable[[Optional[Sequence[str]]], Loaded]
    task: TaskKind = "label"
    label_names: Sequence[str] = ()
    only_tested: Sequence[str] = ()
    features: Sequence[str] = ()


# From a data set's settings to the files and folders that it reads and that come neither with a
# package nor from a path in the scenario. They need not exist yet.
Reads = Callable[[Any, Cache], Sequence[Path]]


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """The traits of a data set.

    Attributes:
        has_test_set: whether it has a test set of its own, or the key that provides one.
        reads: what it reads that comes neither with a package nor from a path in the scenario.
        task: what is predicted, where that does not depend on the file.
        packages: Python packages that decide what it reads; with a new release of one, stored
            results no longer count.
        facts: what its page in the docs says.
        offline_twin: a data set much like it that needs no download: what to use meanwhile.

    """

    has_test_set: Union[bool, str] = False
    reads: Optional[Reads] = None
    task: Optional[TaskKind] = None
    packages: tuple[str, ...] = ()
    facts: Facts = Facts("see below", "see below", "see below")
    offline_twin: Optional[str] = None


class DescribesDataset(Protocol):
    """Describes a data set."""

    def __call__(self, cache: Cache, /, *args: Any, **keys: Any) -> Dataset:
        """Returns the data set, whose examples are read later."""
        ...


class DatasetSettings(Section):
    """The keys that every data set has."""

    task: Annotated[
        Optional[Literal["binary"]],
        Field(description="binary: two labels, which a model predicts by one output."),
    ] = None

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(self, write, "task")


datasets = Registry(
    "data set",
    DescribesDataset,
    DatasetSpec,
    DatasetSettings,
    plural="datasets",
    package=__package__,
    error=DataError,
)


def stated_task(settings: Section) -> Optional[TaskKind]:
    """Returns what is predicted, if that is known before a data set is read."""
    stated = getattr(settings, "task", None)
    return stated if stated in get_args(TaskKind) else datasets.entry(settings).spec.task


def described(settings: Section, cache: Cache) -> Dataset:
    """Returns the data set that a scenario names, with the task that the scenario states.

    Raises:
        DataError: its labels are not what the task needs, or a user's function gave no Dataset, or
            one with another task than it was registered with.
        DataUnavailable: the data is not on this machine and cannot be fetched.

    """
    entry = datasets.entry(settings)
    dataset: Any = entry.call(settings, cache)
    if not isinstance(dataset, Dataset):
        raise entry.gave(dataset, "a Dataset; in_memory(...) makes one")
    if entry.spec.task not in (None, dataset.task):
        raise DataError(
            f"data.dataset: {entry.name} is registered with the task {entry.spec.task}, and gives "
            f"data with the task {dataset.task}; one of them has to be changed"
        )
    if getattr(settings, "task", None) != "binary" or dataset.task == "binary":
        return dataset
    if dataset.task != "label" or dataset.num_classes != 2:
        has = dataset.task if dataset.task != "label" else f"{dataset.num_classes} labels"
        raise DataError(
            f"data.dataset.task: got binary, which is for two labels; {dataset.name} has {has}"
        )
    return replace(dataset, task="binary")


def has_test_set(settings: Mapping[str, Any]) -> bool:
    """Returns whether the data set with these settings has a test set of its own."""
    entry = datasets.get(settings["kind"])
    trait = entry.spec.has_test_set if entry else False
    return bool(settings.get(trait)) if isinstance(trait, str) else trait


def in_memory(
    name: str,
    examples: Examples,
    num_classes: int,
    natural: Optional[np.ndarray] = None,
    task: TaskKind = "label",
    test: Optional[Examples] = None,
    label_names: Sequence[str] = (),
    test_natural: Optional[np.ndarray] = None,
) -> Dataset:
    """Returns a data set of examples that are in memory.

    Its natural clients are in the order of their names, however the examples are sorted.

    Args:
        name: as in the scenario file.
        examples: the training examples, or all if there is no test set.
        num_classes: number of distinct labels; 1 for numbers.
        natural: str (n,), the client of each example; None without natural clients.
        task: what is predicted.
        test: the test set; without it, some of the examples are held out.
        label_names: what the labels are called, in order; by default 0, 1, ...
        test_natural: str (m,), the client of each test example, if known.
    """
    names = _in_order(natural)
    known = {*names}
    only_tested = [n for n in _in_order(test_natural) if n not in known] if names else []

    def load(clients: Optional[Sequence[str]]) -> Loaded:
        if natural is None:
            return Loaded(examples, test=test)
        position = {n: i for i, n in enumerate(names if clients is None else clients)}
        client = np.array([position.get(str(n), -1) for n in natural])
        kept = np.flatnonzero(client >= 0)
        tested = None
        if test_natural is not None:
            position.update((n, i) for i, n in enumerate(only_tested, start=len(position)))
            tested = np.array([position.get(str(n), -1) for n in test_natural], np.int64)
        return Loaded(examples.select(kept), client[kept], test, tested)

    return Dataset(name, num_classes, names, load, task, label_names, only_tested)


def _in_order(clients: Optional[np.ndarray]) -> list[str]:
    return [] if clients is None else sorted({str(n) for n in clients}, key=by_number)


def classes_of(y: np.ndarray, task: TaskKind) -> np.ndarray:
    """Returns the classes of all labels in `y` in one int array (m,), without padding.

    Numbers have none.
    """
    if task == "tags":
        return np.nonzero(y)[-1]
    if task == "regression":
        return np.zeros(0, np.int64)
    return y[y >= 0]
