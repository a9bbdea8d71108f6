"""Columns of Arrow tables as arrays, from Parquet files and Hugging Face's folders."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.files.suffixes import other_reader

if TYPE_CHECKING:
    import pyarrow as pa


@functools.lru_cache(maxsize=2)
def read_parquet(
    file: Path, size: int, changed: int
) -> tuple[Mapping[str, np.ndarray], frozenset[str]]:
    """Reads the columns of a Parquet file, and the names of those that pandas wrote as an index.

    `size` and `changed` tell versions of the file apart.

    Raises:
        DataError: it is no Parquet file, has two columns of the same name, or a column has lists
            of different lengths.

    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(file)
        index: Any = (table.schema.pandas_metadata or {}).get("index_columns", [])
    except (OSError, ValueError, AttributeError, pa.ArrowException) as error:
        raise _unreadable(file, error) from error
    names = table.column_names
    columns = {name: array(table[name], f"{file}: column {name!r}") for name in names}
    return columns, frozenset(n for n in names if n in index)


def parquet_columns(file: Path) -> list[str]:
    """Reads the names of the columns of a Parquet file, and none of its rows.

    Raises:
        DataError: it is no Parquet file.

    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_schema(file).names
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> DataError:
    why = str(error).strip().partition("\n")[0]
    return DataError(
        f"{file} cannot be read as a Parquet file: {why}{other_reader(file, 'parquet')}"
    )


def read_stream(files: Sequence[Path]) -> pa.Table:
    """Memory-maps a table in Arrow's stream format that is spread over several files.

    Raises:
        DataError: a file is missing, or is no such stream.

    """
    import pyarrow as pa

    tables = []
    for file in files:
        try:
            table = pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
            table.validate(full=True)  # otherwise a broken file is read beyond its end
            str(table.schema)  # fails for broken names
            tables.append(table)
        except (OSError, ValueError, pa.ArrowException) as error:
            why = str(error).strip().partition("\n")[0]
            raise DataError(f"{file} cannot be read as an Arrow file: {why}") from error
    return pa.concat_tables(tables)


def array(column: Any, where: str) -> np.ndarray:
    """Converts a column to an array: (n,) for values, (n, ...) for lists of the same length.

    Text and types that only Arrow has become objects; missing values become None or NaN.

    Raises:
        DataError: a list is missing, or lists differ in length.

    """
    import pyarrow as pa
    from pyarrow.compute import call_function

    values: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.ChunkedArray):  # in some releases of pyarrow
        values = values.chunk(0) if values.num_chunks else pa.array([], values.type)
    if isinstance(values.type, pa.ExtensionType):
        values = values.storage
    kind = values.type
    are_lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_one(kind) for is_one in are_lists):
        return values.to_numpy(zero_copy_only=False)
    if values.null_count:
        row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
        raise DataError(f"{where}, row {row + 1}: the list is missing")
    lengths = call_function("list_value_length", [values]).to_numpy(zero_copy_only=False)
    if len(lengths) and (lengths != lengths[0]).any():
        row = int(np.argmax(lengths != lengths[0]))
        raise DataError(
            f"{where}, row {row + 1}: {lengths[row]} items; the row before has {lengths[row - 1]}"
        )
    inner = array(values.flatten(), where)
    return inner.reshape(len(values), int(lengths[0]) if len(lengths) else 0, *inner.shape[1:])
