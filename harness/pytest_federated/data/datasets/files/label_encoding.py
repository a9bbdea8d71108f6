"""From what stands in the user's own files to labels, tokens or tags.

`where` names the file, and the array or column in it, in messages; rows count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import TaskKind

# More labels than this are demanded to be in use: a column of postcodes is no label by mistake.
_FREE_LABELS = 1000


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
        given = whole_or_text(column, where)
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
        given = whole_or_text(column, where)
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


@dataclass(frozen=True)
class Tokens:
    """Labels for each position of an example: whole numbers, negative where there is none.

    Attributes:
        num_classes: number of tokens.

    """

    num_classes: int

    @classmethod
    def of(cls, column: np.ndarray, where: str, at_least: int = 0) -> Tokens:
        """Those of a training set's `column`, (n, t); of them there are `at_least` so many.

        Raises:
            DataError: a value is no token, or there are only negative ones.

        """
        given = _several(column, where, "tokens")
        classes = max(int(given.max(initial=-1)) + 1, at_least)
        if not (given >= 0).any():
            raise DataError(f"{where}: there are no tokens in it, only negative numbers (padding)")
        return cls(classes)

    def encode(self, column: np.ndarray, where: str) -> np.ndarray:
        """Int32 (n, t): the tokens of a column, -1 for each negative number.

        Raises:
            DataError: a value is no token, or there was none so large to train on.

        """
        given = _several(column, where, "tokens")
        if (given >= self.num_classes).any():
            row = int((given >= self.num_classes).any(axis=1).argmax())
            raise DataError(
                f"{where}, row {row + 1}: the token {given[row].max()} is none of the training "
                f"examples'; these are 0 to {self.num_classes - 1}"
            )
        return np.maximum(given, -1).astype(np.int32)


@dataclass(frozen=True)
class Tags:
    """Any number of tags for each example: 1 for those that it has, 0 for the others.

    Attributes:
        num_classes: number of tags.

    """

    num_classes: int

    @classmethod
    def of(cls, column: np.ndarray, where: str, at_least: int = 0) -> Tags:
        """Those of a training set's `column`, (n, tags).

        Raises:
            DataError: a value is neither 0 nor 1.

        """
        return cls(_several(column, where, "tags").shape[1])

    def encode(self, column: np.ndarray, where: str) -> np.ndarray:
        """Int8 (n, tags).

        Raises:
            DataError: a value is neither 0 nor 1, or there are more or fewer tags to train on.

        """
        given = _several(column, where, "tags")
        if given.shape[1] != self.num_classes:
            raise DataError(
                f"{where}: {given.shape[1]} tags; the training examples have {self.num_classes}"
            )
        bad = ((given != 0) & (given != 1)).any(axis=1)
        if bad.any():
            row = int(bad.argmax())
            value = next(int(v) for v in given[row] if v not in (0, 1))
            raise DataError(f"{where}, row {row + 1}: tags are 0 or 1, not {value}")
        return given.astype(np.int8)


Coding = Union[Labels, Tokens, Tags]
_CODINGS: dict[TaskKind, Any] = {"label": Labels, "tokens": Tokens, "tags": Tags}


def coding(task: TaskKind, column: np.ndarray, where: str, at_least: int = 0) -> Coding:
    """How labels of a training set are written as numbers; of them there are `at_least` so many.

    Raises:
        DataError: they are not what that task needs.

    """
    if task == "label" and column.ndim > 1 and column.shape[1:] != (1,):
        raise DataError(
            f"{where}: {column.shape[1]} values for each example; say data.dataset.task: tokens "
            "for a label at each position, or task: tags for 0 or 1 each"
        )
    return _CODINGS[task].of(column, where, at_least)


def ids(column: np.ndarray, where: str) -> np.ndarray:
    """Int32 (n, ...): the tokens of a text, which are whole numbers from 0 up.

    Raises:
        DataError: one is negative.

    """
    rows = column.reshape(len(column), -1)
    bad = (rows < 0).any(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{where}, row {row + 1}: tokens are numbered from 0 up, not {rows[row].min()}"
        )
    return column.astype(np.int32)


def _several(column: np.ndarray, where: str, what: str) -> np.ndarray:
    """Int64 (n, m): whole numbers, several for each example."""
    if column.ndim != 2:
        raise DataError(
            f"{where}: {what} are rows of whole numbers, (examples, {what}), not of shape "
            f"{column.shape}"
        )
    given = whole_or_text(column.ravel(), where, per_row=column.shape[1])
    if given.dtype.kind == "U":
        raise DataError(f"{where}: {what} are whole numbers, not text")
    return given.reshape(column.shape)


def whole_or_text(column: np.ndarray, where: str, per_row: int = 1) -> np.ndarray:
    """Int64 or str (n,); a column (n, 1), as Keras has them, is one too.

    Raises:
        DataError: a value is missing, or is neither text nor a whole number; of these, so many make
            a row of the file.

    """
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise DataError(f"{where}: one value for each example is needed, not {column.shape[1:]}")
    if column.dtype.kind == "O":
        missing = np.array([v is None or v != v for v in column], bool)
        _complain(missing, column, where, "nothing stands there", per_row)
        if not all(isinstance(v, str) for v in column):
            numbers = np.array([isinstance(v, (int, np.integer, np.bool_)) for v in column], bool)
            texts = np.array([isinstance(v, str) for v in column], bool)
            if not numbers.all():
                bad = ~texts if texts.any() else ~numbers
                _complain(bad, column, where, "is neither text nor a whole number", per_row)
            return column.astype(np.int64)
        return column.astype(str)
    if column.dtype.kind == "f":
        _complain(np.isnan(column), column, where, "nothing stands there", per_row)
        _complain(column != np.rint(column), column, where, "is no whole number", per_row)
    elif column.dtype.kind not in "biuU":
        raise DataError(f"{where}: text or whole numbers are needed, not {kind_of(column)}")
    return column if column.dtype.kind == "U" else column.astype(np.int64)


def _complain(bad: np.ndarray, column: np.ndarray, where: str, why: str, per_row: int) -> None:
    if bad.any():
        at = int(np.argmax(bad))
        value = _plain(column[at])
        shown = why if value is None or value != value else f"{value!r} {why}"
        raise DataError(f"{where}, row {at // per_row + 1}: {shown}")


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def kind_of(column: np.ndarray) -> str:
    """What messages call the values of a column."""
    return "text" if column.dtype.kind in "US" else f"values of type {column.dtype}"


def _some(allowed: Any) -> str:
    names = [str(_plain(v)) for v in allowed]
    shown = names if len(names) <= 12 else [*names[:10], "...", names[-1]]
    return f"these are {', '.join(shown)}"
