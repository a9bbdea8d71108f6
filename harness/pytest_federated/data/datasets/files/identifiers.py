"""Columns that identify the rows of a table, or repeat its label: nothing is learned from them.

In a table whose rows are sorted by label, a column that identifies them gives the label away: a
model is right every time, even if all other columns are noise. So it is with the label under
another name, such as its number beside its word.
"""

from __future__ import annotations

import re
from typing import Any, Optional

import numpy as np

# What pandas and R's readr call a column without a name, and pandas an index in a Parquet file.
_UNNAMED = re.compile(r"\s*|unnamed[:_ ]*\d.*|\.\.\.\d+|__index_level_\d+__", re.IGNORECASE)
# What `reset_index` of pandas calls an index.
_INDEX = re.compile(r"index|level_\d+")
# Words of a name as in patient_id, PassengerId, "Row ID", rownames.
_IDENTIFIER = re.compile(
    r"(.*[\W_])?(id|ids|idx|index|uuid|guid|row_?(nr|no|num|number|name|names))|.*[a-z](Id|ID)",
)
_ENOUGH = 3  # rows: in fewer, numbers are consecutive by chance
# A part of a table has gaps in its index. With at least _MANY rows, distinct numbers are this dense
# by chance in fewer than one of 1,000 tables.
_MANY, _DENSE = 20, 0.7


def identifies(
    name: str, column: np.ndarray, *, is_index: bool = False, is_category: bool = False
) -> Optional[str]:
    """Returns why a column looks like an identifier of the rows; None if it does not.

    Args:
        name: the name of the column.
        column: (n, ...), its values.
        is_index: whether the file says that it is an index.
        is_category: whether its values are categories, not quantities.

    """
    if _UNNAMED.fullmatch(name):
        return "has no name, like the index that pandas writes"
    if is_index:
        return "is an index that pandas wrote"
    if column.ndim != 1 or len(column) < _ENOUGH or column.dtype.kind == "b":
        return None
    whole = _whole(column)
    if whole is None:
        if is_category and len(set(column.tolist())) == len(column):
            return "has a different value in every row"
        return None
    if counts_rows(whole):
        return "numbers the rows"
    if _INDEX.fullmatch(name.strip()):
        return "has the name that pandas gives to an index"
    is_named_so = _IDENTIFIER.fullmatch(name.strip()) or _IDENTIFIER.fullmatch(name.strip().lower())
    if (is_named_so or is_category) and len(np.unique(whole)) == len(whole):
        return "has a different number in every row"
    return None


def repeats(column: np.ndarray, label: np.ndarray, *, are_numbers: bool = False) -> bool:
    """Returns whether a column says the same as the label in every row, in other words or not.

    Args:
        column: (n, ...), its values.
        label: (n,), those of the label.
        are_numbers: whether the label is a number to predict, and then both are equal.

    """
    if column.ndim != 1 or label.ndim != 1 or len(column) < _MANY:
        return False
    if are_numbers:
        return column.dtype.kind in "iuf" and np.array_equal(column, label)
    values = 0
    for rows in (_MANY, len(column)):  # most columns differ soon
        ours, theirs = column[:rows].tolist(), label[:rows].tolist()
        values = len(set(theirs))
        if not values == len(set(ours)) == len(set(zip(ours, theirs))):
            return False
    return 1 < values <= len(column) / 2


def counts_rows(column: np.ndarray) -> bool:
    """Returns whether numbers (n,) count the rows, or the rows of a table that these are part of.

    Such numbers are whole, distinct and consecutive, in any order. Where there are many, up to
    three in ten may be missing between the lowest and the highest.
    """
    rows = len(column)
    if rows < _ENOUGH or not may_count(column.max().item() - column.min().item(), rows):
        return False
    whole = _whole(column)
    return whole is not None and len(np.unique(whole)) == rows


def may_count(spread: Any, rows: int) -> Any:
    """Returns whether distinct whole numbers of this `spread`, highest - lowest, may count rows."""
    return (spread >= rows - 1) & (spread < (rows if rows < _MANY else rows / _DENSE))


def _whole(column: np.ndarray) -> Optional[np.ndarray]:
    """Returns whole numbers (n,) of a column of numbers, or of text that says such; else None."""
    if column.dtype.kind in "iu":
        return column
    try:
        numbers = column.astype(np.float64)
    except (TypeError, ValueError):
        return None
    if not np.isfinite(numbers).all() or (numbers != np.rint(numbers)).any():
        return None
    return numbers
