"""Missing values in the columns of a table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import numpy as np

from pytest_federated.core.errors import DataError

Remedy = Literal["drop", "median", "most_frequent", "indicator"]
Columns = Mapping[str, np.ndarray]


def is_missing(column: np.ndarray) -> np.ndarray:
    """Returns bool (n,): where a value of a column (n, ...) is None or NaN."""
    if column.dtype.kind == "f":
        return np.isnan(column).reshape(len(column), int(np.prod(column.shape[1:]))).any(axis=1)
    if column.dtype.kind == "O":
        return np.array([value is None or value != value for value in column], bool)
    return np.zeros(len(column), bool)


def require_all(column: np.ndarray, where: str) -> None:
    """Raises DataError, with what can be done, if a value of a column of features is missing."""
    missing = is_missing(column)
    if column.ndim == 1 and missing.any():  # those of lists are named later
        raise DataError(
            f"{where}, row {int(missing.argmax()) + 1}: the value is missing; data.dataset.missing "
            "can be drop, median, most_frequent or indicator"
        )


def complete_rows(columns: Columns, names: Iterable[str]) -> np.ndarray:
    """Returns the int positions of the rows in which none of these columns misses a value."""
    missing = np.any([is_missing(columns[name]) for name in names], axis=0)
    return np.flatnonzero(~missing)


class Filler:
    """Fills features with values of the training table.

    Attributes:
        marks: the names of the columns that it adds, each by the feature whose missing values it
            marks by 1.

    """

    def __init__(
        self,
        remedy: Remedy,
        training: Columns,
        features: Iterable[str],
        categories: Collection[str],
        where: str,
    ) -> None:
        """Takes medians and most frequent values from the columns of the training table.

        Raises:
            DataError: a feature has no value at all.

        """
        from sklearn.impute import SimpleImputer

        self.marks: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        for name in features:
            column = training[name]
            if column.ndim > 1:
                continue
            missing = is_missing(column)
            if missing.all():
                raise DataError(f"{where}: column {name!r}: every value is missing")
            is_category = name in categories
            strategy = "median" if remedy == "indicator" else remedy
            known: Any = column[~missing]
            known = known.astype(object) if is_category else _numbers(known)
            if known is None:  # words, which are refused with the line to write
                continue
            imputer = SimpleImputer(strategy="most_frequent" if is_category else strategy)
            fitted: Any = imputer.fit(known.reshape(-1, 1))
            self._values[name] = fitted.statistics_[0]
            if remedy == "indicator" and missing.any():
                self.marks[name] = f"{name} is missing"

    def fill(self, columns: Columns) -> Columns:
        """Returns the columns of a table, filled, with one of 0 and 1 for each of `marks`."""
        filled = dict(columns)
        for name, value in self._values.items():
            if name not in columns:  # which is refused by its name
                continue
            missing = is_missing(columns[name])
            if name in self.marks:
                filled[self.marks[name]] = missing.astype(np.float64)
            if missing.any():
                filled[name] = columns[name].copy()
                filled[name][missing] = value
        return filled


def _numbers(values: np.ndarray) -> Any:
    """Returns the values as float64; None if one is no number."""
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        return None
