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

from harness.data.datasets.base import Dataset, Examples, Facts, in_memory
from harness.data.datasets.rows import Converted
from harness.errors import DataError, DataUnavailable
from harness.registry import suggest
from harness.runtime.user_files import UserPath

# Keys that several of these data sets have.
Label = Annotated[str, Field(description="The column of labels.")]
Client = Annotated[Optional[str], Field(description="What says whose each example is.")]
TestSet = Annotated[Optional[UserPath], Field(description="The test set, in the same form.")]
Channels = Annotated[Literal[1, 3], Field(description="3 for colours, 1 for grey levels.")]
ImageSize = Annotated[
    Optional[Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]],
    Field(description="Height and width that all images are brought to."),
]

FACTS = Facts("yours", "yours", "yours", "yours, where the examples have them")

# More labels than this are demanded to be in use: a column of postcodes is no label by mistake.
_FREE_LABELS = 1000
_CHUNK = 1 << 22  # values that are looked through at a time


@dataclass(frozen=True)
class Labels:
    """How what stands in a file becomes the labels 0, 1, ...

    Whole numbers from 0 up are labels as they stand. All else (text, negative numbers) is numbered
    in sorted order.

    Attributes:
        num_classes: number of labels.
        values: what is numbered, sorted; None where numbers stand for themselves.

    """

    num_classes: int
    values: Optional[np.ndarray] = None

    @classmethod
    def of(cls, column: np.ndarray, where: str, at_least: int = 0) -> Labels:
        """The labels of a training set's `column`, (n,); of them there are `at_least` so many.

        Raises:
            DataError: a label is missing, or is no label.

        """
        given = _whole_or_text(column, where)
        values = np.unique(given)
        if values.dtype.kind != "i" or values[:1].sum() < 0:
            return cls(max(len(values), at_least), values)
        classes = max(int(values[-1]) + 1 if len(values) else 0, at_least)
        if classes > max(_FREE_LABELS, 2 * len(values), at_least):
            raise DataError(
                f"{where}, row {int(given.argmax()) + 1}: the label {classes - 1} makes {classes} "
                f"labels, of which {len(values)} are in use; number them 0 to {len(values) - 1}"
            )
        return cls(classes)

    def encode(self, column: np.ndarray, where: str) -> np.ndarray:
        """Int32 (n,): the labels of a column.

        Raises:
            DataError: a label is missing, is no label, or is none of the training set.

        """
        given = _whole_or_text(column, where)
        if self.values is None:
            found, known = given, (given >= 0) & (given < self.num_classes)
        elif given.dtype.kind != self.values.dtype.kind:
            found, known = given, np.zeros(len(given), bool)
        else:
            found = np.searchsorted(self.values, given)
            known = self.values[np.minimum(found, len(self.values) - 1)] == given
        if not known.all():
            row = int(np.argmin(known))
            allowed = range(self.num_classes) if self.values is None else self.values
            raise DataError(
                f"{where}, row {row + 1}: the label {_plain(given[row])!r} is none of the training "
                f"examples'; {_some(allowed)}"
            )
        return found.astype(np.int32)


def features(column: Any, where: str) -> Any:
    """Float32 `Rows` (n, ...) of numbers: bytes are grey levels, all else stays as it is.

    Bytes (uint8) 0..255 become [0, 1] when they are read, and images (n, height, width) of them
    get a channel.

    Raises:
        DataError: text, objects, or a number that is missing or infinite.

    """
    if column.dtype.kind not in "biuf":
        raise DataError(f"{where}: features are numbers, not {_kind(column)}")
    if column.ndim < 2:
        column = column.reshape(len(column), 1)
    if column.dtype == np.uint8:
        if column.ndim == 3:
            column = column[..., np.newaxis]
        return Converted(column, grey_levels)
    return finite(column.astype(np.float32, copy=False), where)


def grey_levels(rows: np.ndarray) -> np.ndarray:
    """Bytes 0..255 to float32 [0, 1]."""
    return rows.astype(np.float32) / 255


def finite(values: np.ndarray, where: str) -> np.ndarray:
    """The same float32 (n, ...), looked through.

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
    return _whole_or_text(column, where).astype(str)


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

    """

    x: Any
    y: np.ndarray
    file: str
    y_name: str
    client: Optional[np.ndarray] = None
    client_name: str = ""


def dataset(name: str, train: Source, test: Optional[Source] = None, at_least: int = 0) -> Dataset:
    """The data set of a training file, and of a file with the test set where there is one.

    `at_least` is the number of labels where the file says it.

    Raises:
        DataError: values that cannot be labels or clients, no examples, or a test set that does not
            fit.

    """
    if not len(train.y):
        raise DataError(f"{train.file}: there are no examples in it")
    y_place = f"{train.file}: {train.y_name}"
    labels = Labels.of(train.y, y_place, at_least)
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
        held_out = Examples(test.x, labels.encode(test.y, f"{test.file}: {test.y_name}"))
    return in_memory(name, examples, labels.num_classes, natural, test=held_out)


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


def _whole_or_text(column: np.ndarray, where: str) -> np.ndarray:
    """Int64 or str (n,); a column (n, 1), as Keras has them, is one too."""
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise DataError(f"{where}: one value for each example is needed, not {column.shape[1:]}")
    if column.dtype.kind == "O":
        missing = np.array([v is None or v != v for v in column], bool)
        _complain(missing, column, where, "nothing stands there")
        if not all(isinstance(v, str) for v in column):
            numbers = np.array([isinstance(v, (int, np.integer, np.bool_)) for v in column], bool)
            texts = np.array([isinstance(v, str) for v in column], bool)
            if not numbers.all():
                bad = ~texts if texts.any() else ~numbers
                _complain(bad, column, where, "is neither text nor a whole number")
            return column.astype(np.int64)
        return column.astype(str)
    if column.dtype.kind == "f":
        _complain(np.isnan(column), column, where, "nothing stands there")
        _complain(column != np.rint(column), column, where, "is no whole number")
    elif column.dtype.kind not in "biuU":
        raise DataError(f"{where}: text or whole numbers are needed, not {_kind(column)}")
    return column if column.dtype.kind == "U" else column.astype(np.int64)


def _complain(bad: np.ndarray, column: np.ndarray, where: str, why: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        value = _plain(column[row])
        shown = why if value is None or value != value else f"{value!r} {why}"
        raise DataError(f"{where}, row {row + 1}: {shown}")


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _kind(column: np.ndarray) -> str:
    return "text" if column.dtype.kind in "US" else f"values of type {column.dtype}"


def _some(allowed: Any) -> str:
    names = [str(_plain(v)) for v in allowed]
    shown = names if len(names) <= 12 else [*names[:10], "...", names[-1]]
    return f"these are {', '.join(shown)}"
