"""Labels, tokens and tags from the columns of the user's files.

`where` names the file, and the array or column in it, in messages; rows count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import TaskKind

# Beyond this number of labels, half of them must be in use: a column of postcodes is no label.
_FREE_LABELS = 1000


@dataclass(frozen=True)
class Labels:
    """How the values of a column become the labels 0, 1, ...

    Whole numbers from 0 up are labels as they are, if there is a 0 among them or the file states
    how many labels there are. Other values (text, numbers from 1 up or below 0) are numbered in
    sorted order.

    Attributes:
        num_classes: number of labels.
        values: the values that are numbered, sorted; None where the labels are used as they are.

    """

    num_classes: int
    values: Optional[np.ndarray] = None

    @property
    def names(self) -> tuple[str, ...]:
        """The values that are numbered; none where labels are used as they are."""
        return () if self.values is None else tuple(str(_plain(v)) for v in self.values)

    @classmethod
    def of(cls, column: np.ndarray, where: str, at_least: int = 0) -> Labels:
        """Returns the labels of a training set's `column`, (n,): `at_least` this number of them.

        Raises:
            DataError: a label is missing, or is neither text nor a whole number.

        """
        labels = whole_or_text(column, where)
        values = np.unique(labels)
        lowest = values[0] if values.dtype.kind == "i" and len(values) else 0
        if values.dtype.kind != "i" or lowest < 0 or (lowest > 0 and not at_least):
            return cls(max(len(values), at_least), values)
        classes = max(int(values[-1]) + 1 if len(values) else 0, at_least)
        if classes > max(_FREE_LABELS, 2 * len(values), at_least):
            raise DataError(
                f"{where}, row {int(labels.argmax()) + 1}: the label {classes - 1} makes {classes} "
                f"labels, of which {len(values)} are in use; number them 0 to {len(values) - 1}"
            )
        return cls(classes)

    def encode(self, column: np.ndarray, where: str) -> np.ndarray:
        """Encodes the labels of a column, int32 (n,).

        Raises:
            DataError: a label is missing, is no label, or does not occur in the training set.

        """
        labels = whole_or_text(column, where)
        if self.values is None:
            encoded, is_known = labels, (labels >= 0) & (labels < self.num_classes)
        elif labels.dtype.kind != self.values.dtype.kind:
            encoded, is_known = labels, np.zeros(len(labels), bool)
        else:
            encoded = np.searchsorted(self.values, labels)
            is_known = self.values[np.minimum(encoded, len(self.values) - 1)] == labels
        if not is_known.all():
            row = int(np.argmin(is_known))
            allowed = range(self.num_classes) if self.values is None else self.values
            raise DataError(
                f"{where}, row {row + 1}: the label {_plain(labels[row])!r} is none of the "
                f"training examples'; {_listing(allowed)}"
            )
        return encoded.astype(np.int32)


@dataclass(frozen=True)
class Tokens:
    """Labels for each position of an example: whole numbers, negative where there is none.

    Attributes:
        num_classes: number of tokens.

    """

    num_classes: int

    @classmethod
    def of(cls, column: np.ndarray, where: str, at_least: int = 0) -> Tokens:
        """Returns the tokens of a training set's `column`, (n, t): `at_least` this number.

        Raises:
            DataError: a value is no token, or there are only negative ones.

        """
        tokens = _rows_of_whole(column, where, "tokens")
        classes = max(int(tokens.max(initial=-1)) + 1, at_least)
        if not (tokens >= 0).any():
            raise DataError(f"{where}: there are no tokens in it, only negative numbers (padding)")
        return cls(classes)

    def encode(self, column: np.ndarray, where: str) -> np.ndarray:
        """Encodes the tokens of a column, int32 (n, t), with -1 for each negative number.

        Raises:
            DataError: a value is no token, or is larger than those of the training set.

        """
        tokens = _rows_of_whole(column, where, "tokens")
        if (tokens >= self.num_classes).any():
            row = int((tokens >= self.num_classes).any(axis=1).argmax())
            raise DataError(
                f"{where}, row {row + 1}: the token {tokens[row].max()} is none of the training "
                f"examples'; these are 0 to {self.num_classes - 1}"
            )
        return np.maximum(tokens, -1).astype(np.int32)


@dataclass(frozen=True)
class Tags:
    """Any number of tags for each example: 1 for those that it has, 0 for the others.

    Attributes:
        num_classes: number of tags.

    """

    num_classes: int

    @classmethod
    def of(cls, column: np.ndarray, where: str, at_least: int = 0) -> Tags:
        """Returns the tags of a training set's `column`, (n, tags).

        Raises:
            DataError: a value is neither 0 nor 1.

        """
        return cls(_rows_of_whole(column, where, "tags").shape[1])

    def encode(self, column: np.ndarray, where: str) -> np.ndarray:
        """Encodes the tags of a column, int8 (n, tags).

        Raises:
            DataError: a value is neither 0 nor 1, or the training set has another number of tags.

        """
        tags = _rows_of_whole(column, where, "tags")
        if tags.shape[1] != self.num_classes:
            raise DataError(
                f"{where}: {tags.shape[1]} tags; the training examples have {self.num_classes}"
            )
        is_wrong = ((tags != 0) & (tags != 1)).any(axis=1)
        if is_wrong.any():
            row = int(is_wrong.argmax())
            value = next(int(v) for v in tags[row] if v not in (0, 1))
            raise DataError(f"{where}, row {row + 1}: tags are 0 or 1, not {value}")
        return tags.astype(np.int8)


@dataclass(frozen=True)
class Targets:
    """A number for each example, as it is."""

    num_classes: int = 1

    @classmethod
    def of(cls, column: np.ndarray, where: str, at_least: int = 0) -> Targets:
        """Returns the targets of a training set's `column`, (n,).

        Raises:
            DataError: a value is no number.

        """
        targets = cls().encode(column, where)
        if len(targets) > 1 and np.ptp(targets) == 0 and len(np.unique(_numbers(column))) > 1:
            raise DataError(
                f"{where}: float32 cannot tell these numbers apart; take their mean from them "
                "before they are saved"
            )
        return cls()

    def encode(self, column: np.ndarray, where: str) -> np.ndarray:
        """Encodes the numbers of a column, (n,) or (n, 1), as float32 (n,).

        Raises:
            DataError: a value is missing, infinite, or no number.

        """
        if column.ndim == 2 and column.shape[1] == 1:
            column = column[:, 0]
        if column.ndim != 1:
            raise DataError(
                f"{where}: {column.shape[1:]} numbers for each example; the task regression "
                "predicts one"
            )
        if column.dtype.kind == "O":
            is_missing = np.array([v is None for v in column], bool)
            _refuse(is_missing, column, where, "the value is missing", 1)
            is_wrong = np.array([not isinstance(v, (int, float, np.number)) for v in column], bool)
            _refuse(is_wrong, column, where, "is no number", 1)
        elif column.dtype.kind not in "biuf":
            raise DataError(
                f"{where}: numbers are needed for the task regression, not {kind_of(column)}"
            )
        numbers = _numbers(column)
        _refuse(np.isnan(numbers), column, where, "the value is missing", 1)
        with np.errstate(over="ignore"):
            targets = numbers.astype(np.float32)
        _refuse(np.isinf(targets), column, where, "is too large a number", 1)
        return targets


def _numbers(column: np.ndarray) -> np.ndarray:
    return column.ravel().astype(np.float64)


Coding = Union[Labels, Tokens, Tags, Targets]
_CODINGS: dict[TaskKind, Any] = {
    "label": Labels,
    "binary": Labels,
    "tokens": Tokens,
    "tags": Tags,
    "regression": Targets,
}


def coding(task: TaskKind, column: np.ndarray, where: str, at_least: int = 0) -> Coding:
    """Returns how the labels of a training set, `at_least` this number, are encoded.

    Raises:
        DataError: they are not what the task needs.

    """
    if task in ("label", "binary") and column.ndim > 1 and column.shape[1:] != (1,):
        raise DataError(
            f"{where}: {column.shape[1]} values for each example; say data.dataset.task: tokens "
            "for a label at each position, or task: tags for 0 or 1 each"
        )
    encoding: Coding = _CODINGS[task].of(column, where, at_least)
    if task == "binary" and encoding.num_classes != 2:
        raise DataError(
            f"{where}: {encoding.num_classes} labels; data.dataset.task: binary is for two"
        )
    return encoding


def ids(column: np.ndarray, where: str) -> np.ndarray:
    """Returns the tokens of a text, int32 (n, ...), which are whole numbers from 0 up.

    Raises:
        DataError: one is negative.

    """
    rows = column.reshape(len(column), -1)
    is_negative = (rows < 0).any(axis=1)
    if is_negative.any():
        row = int(is_negative.argmax())
        raise DataError(
            f"{where}, row {row + 1}: tokens are numbered from 0 up, not {rows[row].min()}"
        )
    return column.astype(np.int32)


def _rows_of_whole(column: np.ndarray, where: str, what: str) -> np.ndarray:
    """Returns int64 (n, m): several whole numbers for each example."""
    if column.ndim != 2:
        raise DataError(
            f"{where}: {what} are rows of whole numbers, (examples, {what}), not of shape "
            f"{column.shape}"
        )
    values = whole_or_text(column.ravel(), where, per_row=column.shape[1])
    if values.dtype.kind == "U":
        raise DataError(f"{where}: {what} are whole numbers, not text")
    return values.reshape(column.shape)


def whole_or_text(column: np.ndarray, where: str, per_row: int = 1) -> np.ndarray:
    """Returns int64 or str (n,) of a column (n,), or (n, 1) as in Keras.

    `per_row` values make up a row of the file, which messages name.

    Raises:
        DataError: a value is missing, or is neither text nor a whole number.

    """
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise DataError(f"{where}: one value for each example is needed, not {column.shape[1:]}")
    if column.dtype.kind == "O":
        is_missing = np.array([v is None or v != v for v in column], bool)
        _refuse(is_missing, column, where, "the value is missing", per_row)
        if not all(isinstance(v, str) for v in column):
            are_numbers = np.array(
                [isinstance(v, (int, np.integer, np.bool_)) for v in column], bool
            )
            are_texts = np.array([isinstance(v, str) for v in column], bool)
            if not are_numbers.all():
                is_wrong = ~are_texts if are_texts.any() else ~are_numbers
                _refuse(is_wrong, column, where, "is neither text nor a whole number", per_row)
            return column.astype(np.int64)
        return column.astype(str)
    if column.dtype.kind == "f":
        _refuse(np.isnan(column), column, where, "the value is missing", per_row)
        _refuse(column != np.rint(column), column, where, "is no whole number", per_row)
    elif column.dtype.kind not in "biuU":
        raise DataError(f"{where}: text or whole numbers are needed, not {kind_of(column)}")
    return column if column.dtype.kind == "U" else column.astype(np.int64)


def _refuse(
    is_wrong: np.ndarray, column: np.ndarray, where: str, reason: str, per_row: int
) -> None:
    """Raises DataError for the first of the wrong values, if any."""
    if is_wrong.any():
        position = int(np.argmax(is_wrong))
        value = _plain(column[position])
        shown = reason if value is None or value != value else f"{value!r} {reason}"
        raise DataError(f"{where}, row {position // per_row + 1}: {shown}")


def _plain(value: Any) -> Any:
    """Returns a NumPy scalar as a Python value."""
    return value.item() if isinstance(value, np.generic) else value


def kind_of(column: np.ndarray) -> str:
    """Returns what messages call the values of a column."""
    return "text" if column.dtype.kind in "US" else f"values of type {column.dtype}"


def _listing(allowed: Any) -> str:
    names = [str(_plain(v)) for v in allowed]
    shown = names if len(names) <= 12 else [*names[:10], "...", names[-1]]
    return f"these are {', '.join(shown)}"
