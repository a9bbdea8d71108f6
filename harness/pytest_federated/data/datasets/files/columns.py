"""Shared by the data sets of the user's own files: features, labels and clients from columns.

`where` names the file, and the array or column in it, in messages; rows count from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Annotated, Any, Literal, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.core.suggestions import suggest
from pytest_federated.data.datasets.dataset import Dataset, Examples, Facts, TaskKind, in_memory
from pytest_federated.data.datasets.files.identifiers import counts_rows, may_count
from pytest_federated.data.datasets.files.label_encoding import coding, ids, kind_of, whole_or_text
from pytest_federated.data.datasets.rows import GrayLevels
from pytest_federated.user.files import UserPath

# Keys that several of these data sets have.
Label = Annotated[str, Field(description="The column of labels.")]
Task = Annotated[
    TaskKind,
    Field(
        description="binary: two labels, which a model predicts by one output; "
        "regression: a number; tokens: a label for each position; tags: 0 or 1 for each tag."
    ),
]
Client = Annotated[Optional[str], Field(description="The column or array of the clients.")]
TestSet = Annotated[Optional[UserPath], Field(description="The test set, in the same form.")]
Shape = Annotated[
    Optional[list[Annotated[int, Field(ge=1)]]],
    Field(description="The shape of an example, such as an image."),
]
Channels = Annotated[Literal[1, 3], Field(description="3 for colors, 1 for gray levels.")]
ImageSize = Annotated[
    Optional[Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]],
    Field(description="Height and width to which all images are scaled."),
]

FACTS = Facts("yours", "yours", "yours", "yours, where the examples have them")

_CHUNK = 1 << 22  # values that are checked at a time
_COMPARED = 256  # examples that are compared at a time
_LISTED = 20  # columns that messages list
_LEVELS = 1 << 12  # neighboring floats: values that spread over more of them lose little


def features(column: Any, where: str, task: TaskKind = "label") -> Any:
    """Returns float32 `Rows` (n, ...) of numbers, with images scaled to [0, 1].

    Images (see `are_images`) are scaled when they are read; (n, height, width) gets a channel. With
    the task `tokens`, whole numbers become int32.

    Raises:
        DataError: text, objects, a number that is missing or infinite, or numbers that float32
            cannot tell apart.

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
        return GrayLevels(column)
    return in_float32(column, where, "take their mean from them before they are saved")


def are_images(column: Any) -> bool:
    """Returns whether numbers are images: unsigned, of 8 or 16 bits, (n, height, width, ...)."""
    return column.dtype.kind == "u" and column.dtype.itemsize <= 2 and column.ndim >= 3


def in_float32(values: np.ndarray, where: str, remedy: str) -> np.ndarray:
    """Returns numbers as float32 (n, ...), in which different numbers must remain different.

    `remedy` ends the message about numbers that do not, such as seconds since 1970.

    Raises:
        DataError: a number is missing or not finite, or float32 cannot tell it from others.

    """
    with np.errstate(over="ignore"):
        converted = finite(values.astype(np.float32, copy=False), where)
    if values.dtype.itemsize <= 2 or values.dtype == np.float32 or not values.size:
        return converted
    columns, rounded = (v.reshape(len(v), -1) for v in (values, converted))
    low, high = rounded.min(axis=0), rounded.max(axis=0)
    step = np.spacing(np.maximum(np.abs(low), np.abs(high)))
    for i in np.flatnonzero(high.astype(np.float64) - low < _LEVELS * step.astype(np.float64)):
        distinct, kept = len(np.unique(columns[:, i])), len(np.unique(rounded[:, i]))
        if kept < distinct and varies(columns[:, i]):
            raise DataError(
                f"{where}: float32 keeps {kept} of {distinct} values apart, which lie too close "
                f"together for their size; {remedy}"
            )
    return converted


def shaped(rows: np.ndarray, shape: Optional[Sequence[int]], where: str) -> np.ndarray:
    """Returns numbers (n, m) as examples of a shape; as they are where there is none.

    Raises:
        DataError: m numbers do not fit the shape.

    """
    if shape is None:
        return rows
    if len(rows) and int(np.prod(shape)) != rows.shape[1]:
        raise DataError(
            f"{where}: {rows.shape[1]} numbers in an example do not fit the shape {list(shape)} "
            "(data.dataset.shape)"
        )
    return rows.reshape(len(rows), *shape)


def varies(values: np.ndarray) -> np.ndarray:
    """Returns bool (...): where numbers (n, ...) differ by more than rounding in float64."""
    low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    return high - low > _LEVELS * np.spacing(np.maximum(np.abs(low), np.abs(high)))


def finite(values: np.ndarray, where: str) -> np.ndarray:
    """Returns the same numbers (n, ...) after checking them.

    Raises:
        DataError: a number is missing, or not finite.

    """
    step = max(1, _CHUNK // max(1, int(np.prod(values.shape[1:]))))
    for begin in range(0, len(values), step):
        part = values[begin : begin + step]
        is_finite = np.isfinite(part).reshape(len(part), int(np.prod(part.shape[1:])))
        if not is_finite.all():
            row = int(np.argmin(is_finite.all(axis=1)))
            value = values[begin + row].ravel()[int(np.argmin(is_finite[row]))]
            what = "a number is missing (NaN)" if np.isnan(value) else "a number is infinite"
            raise DataError(f"{where}, row {begin + row + 1}: {what}")
    return values


def clients(column: np.ndarray, where: str) -> np.ndarray:
    """Returns the name of each example's client, str (n,).

    Raises:
        DataError: a name is missing, or is neither text nor a whole number.

    """
    return whole_or_text(column, where).astype(str)


@dataclass(frozen=True)
class Source:
    """The contents of one file, and what messages call them.

    Attributes:
        x: `Rows` (n, ...) of features.
        y: (n,), the labels as in the file.
        file: the file.
        y_name: what messages call the labels: ``column 'species'``.
        client: (n,), each example's client as in the file; None where there are none. Those of a
            test set are tested on its examples of theirs.
        client_name: what messages call the clients.
        x_name: what messages call the features, if the scenario does not name each of them.
        features: names of the columns that are learned from, of a table.

    """

    x: Any
    y: np.ndarray
    file: str
    y_name: str
    client: Optional[np.ndarray] = None
    client_name: str = ""
    x_name: str = ""
    features: tuple[str, ...] = ()


def dataset(
    name: str,
    train: Source,
    test: Optional[Source] = None,
    label_names: Sequence[str] = (),
    task: TaskKind = "label",
) -> Dataset:
    """Returns the data set of a training file and, if any, a file with the test set.

    `label_names` are those that the file states for the labels 0, 1, ...

    Raises:
        DataError: values cannot be labels or clients, there are no examples, a column of features
            numbers the rows, or the test set does not fit or is the training set.

    """
    if not len(train.y):
        raise DataError(f"{train.file}: there are no examples in it")
    if train.x_name and task != "tokens":  # tokens are no quantities
        refuse_row_numbers(train.x, f"{train.file}: {train.x_name}")
    y_place = f"{train.file}: {train.y_name}"
    at_least = len(label_names)
    if train.x.dtype == np.int32:  # tokens occur in the features, too
        at_least = max(at_least, int(np.max(train.x[:], initial=-1)) + 1)
    labels = coding(task, train.y, y_place, at_least)
    natural = None
    if train.client is not None:
        natural = clients(train.client, f"{train.file}: {train.client_name}")
    examples = Examples(train.x, labels.encode(train.y, y_place))
    held_out, tested = None, None
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
                f"{test.file}: all of these test examples are the training examples of "
                f"{train.file}; name others, or none: then data.test_fraction is held out"
            )
        if test.client is not None:
            tested = clients(test.client, f"{test.file}: {test.client_name}")
    names = label_names or getattr(labels, "names", ())  # tokens and tags have none
    described = in_memory(
        name, examples, labels.num_classes, natural, task, held_out, names, tested
    )
    return replace(described, features=train.features)


def refuse_row_numbers(x: Any, where: str) -> None:
    """Raises DataError if a column of features (n, m), which have no names, numbers the rows."""
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
    """Returns whether all examples are the same, in the same order."""
    if len(one) != len(other) or not np.array_equal(one.y, other.y):
        return False
    chunks = (slice(begin, begin + _COMPARED) for begin in range(0, len(one), _COMPARED))
    return all(np.array_equal(one.x[chunk], other.x[chunk]) for chunk in chunks)


def is_number(text: str) -> bool:
    """Returns whether a text is that of a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def same_length(sizes: dict[str, int], where: str) -> None:
    """Raises DataError unless these arrays or columns have the same number of rows."""
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name!r} has {size}" for name, size in sizes.items())
        raise DataError(f"{where}: these should have as many rows as each other: {listed}")


def require_name(name: str, names: Iterable[str], key: str, where: str, what: str) -> str:
    """Returns `name`, which must be one of `names`.

    Raises:
        DataError: it is not.

    """
    if message := unknown_name(name, names, key, where, what):
        raise DataError(message)
    return name


def unknown_name(name: str, names: Iterable[str], key: str, where: str, what: str) -> Optional[str]:
    """Returns the message about a `name` that is none of `names`; None if it is one."""
    names = [str(n) for n in names]
    if name in names:
        return None
    return f"{where} has no {what} {name!r} (data.dataset.{key}); {suggest(name, names, _LISTED)}"


def features_are_labels(x: str, y: str, keys: tuple[str, str], where: str) -> Optional[str]:
    """Returns the message that features and labels have one name; None where they have two."""
    if x != y:
        return None
    return f"{where}: both data.dataset.{keys[0]} and {keys[1]} name {x!r}: the labels themselves"


def require_arrow(what: str) -> None:
    """Raises DataUnavailable, with the command to run, if pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise DataUnavailable(f"{what} is read with pyarrow: pip install 'pytest-federated[arrow]'")
