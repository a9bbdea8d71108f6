"""Columns of Arrow tables as arrays: what Parquet files and Hugging Face's folders hold."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_federated.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


@functools.lru_cache(maxsize=2)
def read_parquet(
    file: Path, size: int, changed: int
) -> tuple[Mapping[str, np.ndarray], frozenset[str]]:
    """The columns of a Parquet file, and which of them pandas wrote as an index.

    `size` and `changed` tell apart what the file was.

    Raises:
        DataError: it is no Parquet file, has two columns of one name, or a column has lists of
            different lengths.

    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(file)
        of_pandas: Any = (table.schema.pandas_metadata or {}).get("index_columns", [])
    except (OSError, ValueError, AttributeError, pa.ArrowException) as bad:
        why = str(bad).strip().partition("\n")[0]
        raise DataError(f"{file} cannot be read as a Parquet file: {why}") from bad
    names = table.column_names
    columns = {name: array(table[name], f"{file}: column {name!r}") for name in names}
    return columns, frozenset(n for n in names if n in of_pandas)


def read_stream(files: Sequence[Path]) -> pa.Table:
    """The table that stands in Arrow's stream format in several files, memory-mapped.

    Raises:
        DataError: a file is missing, or is no such stream.

    """
    import pyarrow as pa

    tables = []
    for file in files:
        try:
            table = pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
            table.validate(full=True)  # a broken file is otherwise read beyond its end
            str(table.schema)  # with all names
            tables.append(table)
        except (OSError, ValueError, pa.ArrowException) as bad:
            why = str(bad).strip().partition("\n")[0]
            raise DataError(f"{file} cannot be read as an Arrow file: {why}") from bad
    return pa.concat_tables(tables)


def array(column: Any, where: str) -> np.ndarray:
    """A column as an array: (n,) of values, (n, ...) of lists as long as each other.

    Text and what Arrow alone knows become objects; where nothing stands it is None or NaN.

    Raises:
        DataError: lists of different lengths, or a missing one.

    """
    import pyarrow as pa
    from pyarrow.compute import call_function

    values: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.ChunkedArray):  # what combine_chunks gives depends on the release
        values = values.chunk(0) if values.num_chunks else pa.array([], values.type)
    if isinstance(values.type, pa.ExtensionType):
        values = values.storage
    kind = values.type
    are_lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_one(kind) for is_one in are_lists):
        return values.to_numpy(zero_copy_only=False)
    if values.null_count:
        row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
        raise DataError(f"{where}, row {row + 1}: nothing stands there")
    lengths = call_function("list_value_length", [values]).to_numpy(zero_copy_only=False)
    if len(lengths) and (lengths != lengths[0]).any():
        row = int(np.argmax(lengths != lengths[0]))
        raise DataError(
            f"{where}, row {row + 1}: {lengths[row]} items; the row before has {lengths[row - 1]}"
        )
    inner = array(values.flatten(), where)
    return inner.reshape(len(values), int(lengths[0]) if len(lengths) else 0, *inner.shape[1:])
