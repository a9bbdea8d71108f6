"""What the data sets of the user's own files share: from columns to features, labels, clients.

`where` names the file, and the array or column in it, in messages; rows count from 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any, Literal, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.core.suggestions import suggest
from pytest_federated.data.datasets.dataset import Dataset, Examples, Facts, TaskKind, in_memory
from pytest_federated.data.datasets.files.identifiers import counts_rows, may_count
from pytest_federated.data.datasets.files.label_encoding import coding, ids, kind_of, whole_or_text
from pytest_federated.data.datasets.rows import Converted
from pytest_federated.user.files import UserPath

# Keys that several of these data sets have.
Label = Annotated[str, Field(description="The column of labels.")]
Task = Annotated[
    TaskKind, Field(description="tokens: a label for each position; tags: 0 or 1 for each tag.")
]
Client = Annotated[Optional[str], Field(description="What says whose each example is.")]
TestSet = Annotated[Optional[UserPath], Field(description="The test set, in the same form.")]
Channels = Annotated[Literal[1, 3], Field(description="3 for colors, 1 for gray levels.")]
ImageSize = Annotated[
    Optional[Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]],
    Field(description="Height and width that all images are brought to."),
]

FACTS = Facts("yours", "yours", "yours", "yours, where the examples have them")

_CHUNK = 1 << 22  # values that are looked through at a time
_SOME = 256  # examples that are compared at a time
_LEVELS = 1 << 12  # numbers next to each other: what spreads over more of them loses little


def features(column: Any, where: str, task: TaskKind = "label") -> Any:
    """Float32 `Rows` (n, ...) of numbers: images are scaled to [0, 1], all else stays as it is.

    What `are_images` becomes [0, 1] when it is read, and (n, height, width) of it gets a channel.
    Whole numbers are int32 and stay so where the task is `tokens`.

    Raises:
        DataError: text, objects, a number that is missing or infinite, or numbers that float32
            does not keep apart.

    """
    if column.dtype.kind not in "biuf":
        raise DataError(f"{where}: features are numbers, not {kind_of(column)}")
    if column.ndim < 2:
        column = column.reshape(len(column), 1)
    if task == "tokens" and column.dtype.kind in "iu":
        return ids(column, where)
    if are_images(column):
        if column.ndim == 3:
            column = column[..., np.newaxis]
        return Converted(column, gray_levels)
    return in_float32(column, where, "take their mean from them before they are saved")


def are_images(column: Any) -> bool:
    """Whether numbers are the gray levels of images: of 8 or 16 bits, (n, height, width, ...)."""
    return column.dtype.kind == "u" and column.dtype.itemsize <= 2 and column.ndim >= 3


def gray_levels(rows: np.ndarray) -> np.ndarray:
    """Levels 0..255, or 0..65535 where they have 16 bits, to float32 [0, 1]."""
    return rows.astype(np.float32) / (65535 if rows.dtype.itemsize == 2 else 255)


def in_float32(values: np.ndarray, where: str, remedy: str) -> np.ndarray:
    """Float32 (n, ...) of numbers that are still as far apart.

    Raises:
        DataError: a number is missing, or not finite, or float32 does not keep it apart from
            others: seconds since 1970, say. The `remedy` says what to do.

    """
    with np.errstate(over="ignore"):
        converted = finite(values.astype(np.float32, copy=False), where)
    if values.dtype.itemsize <= 2 or values.dtype == np.float32 or not values.size:
        return converted
    columns, rough = (v.reshape(len(v), -1) for v in (values, converted))
    low, high = rough.min(axis=0), rough.max(axis=0)
    step = np.spacing(np.maximum(np.abs(low), np.abs(high)))
    for one in np.flatnonzero(high.astype(np.float64) - low < _LEVELS * step.astype(np.float64)):
        apart, kept = len(np.unique(columns[:, one])), len(np.unique(rough[:, one]))
        if kept < apart and varies(columns[:, one]):
            raise DataError(
                f"{where}: float32 keeps {kept} of {apart} values apart, which lie too close "
                f"together for their size; {remedy}"
            )
    return converted


def varies(values: np.ndarray) -> np.ndarray:
    """Bool (...): where numbers (n, ...) differ by more than what float64 rounds."""
    low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    return high - low > _LEVELS * np.spacing(np.maximum(np.abs(low), np.abs(high)))


def finite(values: np.ndarray, where: str) -> np.ndarray:
    """The same numbers (n, ...), looked through.

    Raises:
        DataError: a number is missing, or not finite.

    """
    step = max(1, _CHUNK // max(1, int(np.prod(values.shape[1:]))))
    for begin in range(0, len(values), step):
        part = values[begin : begin + step]
        good = np.isfinite(part).reshape(len(part), int(np.prod(part.shape[1:])))
        if not good.all():
            row = int(np.argmin(good.all(axis=1)))
            bad = values[begin + row].ravel()[int(np.argmin(good[row]))]
            what = "a number is missing (NaN)" if np.isnan(bad) else "a number is infinite"
            raise DataError(f"{where}, row {begin + row + 1}: {what}")
    return values


def clients(column: np.ndarray, where: str) -> np.ndarray:
    """Str (n,): the name of each example's client.

    Raises:
        DataError: a name is missing, or is neither text nor a whole number.

    """
    return whole_or_text(column, where).astype(str)


@dataclass(frozen=True)
class Source:
    """What one file holds, with how messages call it.

    Attributes:
        x: `Rows` (n, ...) of features.
        y: (n,), the labels as they stand in the file.
        file: the file.
        y_name: what the labels are called: ``column 'species'``.
        client: (n,), each example's client as it stands in the file; None where there are none.
        client_name: what the clients are called.
        x_name: what the features are called, where nothing in the scenario names each of them.

    """

    x: Any
    y: np.ndarray
    file: str
    y_name: str
    client: Optional[np.ndarray] = None
    client_name: str = ""
    x_name: str = ""


def dataset(
    name: str,
    train: Source,
    test: Optional[Source] = None,
    at_least: int = 0,
    task: TaskKind = "label",
) -> Dataset:
    """The data set of a training file, and of a file with the test set where there is one.

    `at_least` is the number of labels where the file says it.

    Raises:
        DataError: values that cannot be labels or clients, no examples, a column of features that
            numbers the rows, or a test set that does not fit or is the training set.

    """
    if not len(train.y):
        raise DataError(f"{train.file}: there are no examples in it")
    if train.x_name and task != "tokens":  # which are no columns of numbers
        no_counts(train.x, f"{train.file}: {train.x_name}")
    y_place = f"{train.file}: {train.y_name}"
    if train.x.dtype == np.int32:  # a token is known by what it is read as, and by what follows
        at_least = max(at_least, int(np.max(train.x[:], initial=-1)) + 1)
    labels = coding(task, train.y, y_place, at_least)
    natural = None
    if train.client is not None:
        natural = clients(train.client, f"{train.file}: {train.client_name}")
    examples = Examples(train.x, labels.encode(train.y, y_place))
    held_out = None
    if test is not None:
        if test.x.shape[1:] != train.x.shape[1:]:
            raise DataError(
                f"{test.file}: examples of shape {tuple(test.x.shape[1:])}; those of {train.file} "
                f"have {tuple(train.x.shape[1:])}"
            )
        if test.x.dtype == np.int32 and np.max(test.x[:], initial=-1) >= labels.num_classes:
            raise DataError(
                f"{test.file}: the features have the token {np.max(test.x[:])}; those of "
                f"{train.file} are 0 to {labels.num_classes - 1}"
            )
        held_out = Examples(test.x, labels.encode(test.y, f"{test.file}: {test.y_name}"))
        if _same(examples, held_out):
            raise DataError(
                f"{test.file}: these examples to test on are those to train on ({train.file}), all "
                "of them; name others, or none: then data.test_fraction is held out"
            )
    return in_memory(name, examples, labels.num_classes, natural, task, held_out)


def no_counts(x: Any, where: str) -> None:
    """Raises DataError where a column of features (n, m), which have no names, numbers the rows."""
    if len(x.shape) != 2 or x.shape[1] < 2 or x.dtype.kind not in "iuf":
        return
    values = np.asarray(x)
    for column in np.flatnonzero(may_count(np.ptp(values, axis=0), len(values))):
        if counts_rows(values[:, column]):
            raise DataError(
                f"{where}: column {column} (from 0) numbers the rows, like an index; save the "
                f"array without it (numpy.delete(x, {column}, axis=1)), or on another scale if it "
                "is to be learned from"
            )


def _same(one: Examples, other: Examples) -> bool:
    """Whether all examples are the same, in the same order."""
    if len(one) != len(other) or not np.array_equal(one.y, other.y):
        return False
    chunks = (slice(begin, begin + _SOME) for begin in range(0, len(one), _SOME))
    return all(np.array_equal(one.x[some], other.x[some]) for some in chunks)


def same_length(sizes: dict[str, int], where: str) -> None:
    """Raises DataError unless what is named has the same number of rows."""
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name!r} has {size}" for name, size in sizes.items())
        raise DataError(f"{where}: these should have as many rows as each other: {told}")


def known(name: str, names: Iterable[str], key: str, where: str, what: str) -> str:
    """The name, which is one of `names`.

    Raises:
        DataError: it is not.

    """
    names = [str(n) for n in names]
    if name not in names:
        raise DataError(
            f"{where} has no {what} {name!r} (data.dataset.{key}); {suggest(name, names)}"
        )
    return name


def demand_arrow(what: str) -> None:
    """Raises DataUnavailable, with the command to run, where pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise DataUnavailable(f"{what} is read with pyarrow: pip install 'pytest-federated[arrow]'")
