"""The columns of tables, as they are in text and in Parquet files."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pytest_federated.data.datasets.files import arrow
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.lines import (
    UNREADABLE,
    Dialect,
    check_lines,
    read_header,
    unknown_encoding,
    unreadable,
)
from pytest_federated.data.datasets.files.missing import Columns
from pytest_federated.data.datasets.files.suffixes import PARQUET
from pytest_federated.user.files import stamp


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table.

    Attributes:
        values: by name.
        index: the names of those that the file calls an index.
        is_text: whether the scenario's keys say how columns are separated and named.

    """

    values: Columns
    index: frozenset[str] = frozenset()
    is_text: bool = False


def column_names(file: Path, dialect: Dialect) -> list[str]:
    """Reads the names of the columns of a table, by its suffix text or Parquet, and no row.

    Raises:
        DataUnavailable: pyarrow is needed, and not installed.
        DataError: it cannot be read.

    """
    if file.suffix.lower() not in PARQUET:
        return read_header(file, dialect)
    shared.require_arrow("parquet")
    return arrow.parquet_columns(file)


def read_columns(file: Path, dialect: Dialect) -> Columns:
    """Reads the columns of a table, by its suffix text or Parquet.

    Raises:
        DataUnavailable: pyarrow is needed, and not installed.
        DataError: it cannot be read.

    """
    if file.suffix.lower() not in PARQUET:
        return read_csv(file, *stamp(file), dialect=dialect).values
    shared.require_arrow("parquet")
    return read_parquet(file, *stamp(file)).values


@functools.lru_cache(maxsize=2)
def read_csv(
    file: Path, size: int, changed: int, words: tuple[str, ...] = (), *, dialect: Dialect
) -> TableColumns:
    """Reads a text table; `size` and `changed` tell versions of the file apart.

    `words` are the columns that remain text though all their values are numbers: codes such as 01.
    """
    import pandas as pd

    dtypes: Any = dict.fromkeys(words, str)
    try:
        frame = pd.read_csv(file, low_memory=False, dtype=dtypes, **dialect.keys())
    except LookupError as error:
        raise unknown_encoding(error) from error
    except UNREADABLE as error:
        raise unreadable(file, error) from error
    check_lines(file, dialect)
    columns = {str(name).strip(): frame[name].to_numpy() for name in frame.columns}
    return TableColumns(columns, is_text=True)


def read_parquet(file: Path, size: int, changed: int, words: tuple[str, ...] = ()) -> TableColumns:
    """Reads the columns of a Parquet file, which says itself what is text."""
    return TableColumns(*arrow.read_parquet(file, size, changed))


def has_words(column: np.ndarray) -> bool:
    """Returns whether a column has text among its values."""
    return column.dtype.kind == "O" and any(isinstance(value, str) for value in column)
