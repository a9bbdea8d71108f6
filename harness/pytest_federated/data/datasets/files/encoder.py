"""From the columns of a table to examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import named_inputs
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.meaning import Meaning
from pytest_federated.data.datasets.files.missing import (
    Columns,
    Filler,
    complete_rows,
    require_all,
)
from pytest_federated.data.datasets.files.table_columns import TableColumns
from pytest_federated.data.datasets.rows import gray_levels

_MOST_NUMBERS = 1 << 28  # of a category's columns: 1 GiB


class Encoder:
    """Turns columns into examples, with categories and scales of the training table."""

    def __init__(self, meaning: Meaning, table: TableColumns, where: str) -> None:
        columns = table.values
        self._meaning = meaning
        self._names = meaning.learned_from(table, where)
        self._filler: Optional[Filler] = None
        if meaning.missing not in (None, "drop"):
            self._filler = Filler(meaning.missing, columns, self._names, meaning.categories, where)
            columns = self._filler.fill(columns)
            self._names += self._filler.marks.values()
        columns = self._complete(columns)
        self._values: dict[str, np.ndarray] = {}
        self._scales: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        if not len(columns[self._names[0]]):
            raise DataError(f"{where}: there are no examples in it")
        for name in self._names:
            place = f"{where}: column {name!r}"
            if meaning.task != "tokens":
                shared.refuse_row_numbers(columns[name], place)  # lists have no names
            if meaning.missing is None:
                require_all(columns[name], place)
            if name in meaning.categories:
                self._values[name] = np.unique(_text(columns[name], place))
                self._require_few(name, len(columns[name]), place)
            elif meaning.standardize:
                block = _numbers(columns[name], place).astype(np.float64)
                varies = shared.varies(block)  # a constant is left at 0
                self._scales[name] = (
                    np.where(varies, block.mean(axis=0), block[0]),
                    np.where(varies, block.std(axis=0), 1),
                )

    def _require_few(self, name: str, rows: int, place: str) -> None:
        """Raises DataError if the columns of a category would take too much memory."""
        values = len(self._values[name])
        if rows * values > _MOST_NUMBERS:
            raise DataError(
                f"{place}: {values} different values would become as many columns of {rows} rows; "
                "group the rare ones, or leave the column out (data.dataset.exclude)"
            )

    def source(self, table: TableColumns, where: str) -> shared.Source:
        """Returns the examples of a table, with their clients if it has a column of them.

        Raises:
            DataError: a column is missing, or has a value that is no feature.

        """
        columns = self._filler.fill(table.values) if self._filler else table.values
        labels, client = self._meaning.labels, self._meaning.client
        for name in [*self._names, *labels]:
            shared.require_name(name, columns, "test", where, "column")
        columns = self._complete(columns)
        blocks = [self._block(columns, name, where) for name in self._names]
        shared.same_length({n: len(b) for n, b in zip(self._names, blocks)}, where)
        if self._meaning.inputs:
            x: Any = self._inputs(dict(zip(self._names, blocks)))
        else:
            x = shared.shaped(np.concatenate(blocks, axis=1), self._meaning.shape, where)
        if self._meaning.task == "tokens" and all(
            columns[name].dtype.kind in "iu" for name in self._names
        ):
            x = shared.features(x.astype(np.int32), where, "tokens")
        return shared.Source(
            x,
            columns[labels[0]] if len(labels) == 1 else np.stack([columns[c] for c in labels], 1),
            where,
            f"column{'s' if len(labels) > 1 else ''} {', '.join(map(repr, labels))}",
            columns.get(client) if client else None,
            f"column {client!r}",
            features=tuple(self._names),
        )

    def _inputs(self, blocks: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the inputs of examples, each of the blocks (n, m) of its columns."""
        marks = self._filler.marks if self._filler else {}
        return named_inputs(
            {
                name: np.concatenate(
                    [blocks[c] for c in (*own, *(marks[c] for c in own if c in marks))], axis=1
                )
                for name, own in self._meaning.inputs.items()
            }
        )

    def _complete(self, columns: Columns) -> Columns:
        """Returns the rows to learn from: with `missing: drop`, those that miss no value."""
        if self._meaning.missing != "drop":
            return columns
        needed = [*self._names, *self._meaning.labels]
        if self._meaning.client is not None and self._meaning.client in columns:
            needed.append(self._meaning.client)
        rows = complete_rows(columns, needed)
        return {name: column[rows] for name, column in columns.items()}

    def _block(self, columns: Columns, name: str, where: str) -> np.ndarray:
        """Returns the features of a column, float32 (n, m)."""
        place = f"{where}: column {name!r}"
        if self._meaning.missing is None:
            require_all(columns[name], place)
        if name not in self._values:
            block = _numbers(columns[name], place)
            if name not in self._scales:
                return shared.in_float32(block, place, "write data.dataset.standardize: true")
            mean, spread = self._scales[name]
            return ((block.astype(np.float64) - mean) / spread).astype(np.float32)
        values = _text(columns[name], place)
        is_category = values[:, np.newaxis] == self._values[name]
        if not is_category.any(axis=1).all():
            row = int(np.argmin(is_category.any(axis=1)))
            raise DataError(f"{place}, row {row + 1}: {values[row]!r} is not in the training table")
        return is_category.astype(np.float32)


def _text(column: np.ndarray, where: str) -> np.ndarray:
    """Returns the values of a category, str (n,): 2 and 2.0 are the same one."""
    if column.dtype.kind == "f":  # with fractions, or whole numbers of which some were missing
        values = shared.finite(column, where).astype(str).astype(object)
        is_whole = column == np.rint(column)
        values[is_whole] = [str(int(value)) for value in column[is_whole]]
        return values.astype(str)
    return shared.clients(column, where)


def _numbers(column: np.ndarray, where: str) -> np.ndarray:
    """Returns the numbers (n, m) of a column (n,), or one of lists (n, ...); images in [0, 1]."""
    if column.dtype.kind in "OU":
        for row, value in enumerate(column):
            if value is None or value != value:
                raise DataError(f"{where}, row {row + 1}: the value is missing")
            try:
                float(value)
            except (TypeError, ValueError):
                raise DataError(
                    f"{where}, row {row + 1}: {value!r:.40} is no number; list the columns to "
                    "learn from under features, and those of words also under categories"
                ) from None
    elif column.dtype.kind not in "biuf":
        raise DataError(f"{where}: values of type {column.dtype} are no numbers")
    if column.dtype.kind in "OU":
        column = column.astype(np.float64)
    elif shared.are_images(column):
        column = gray_levels(column)
    size = int(np.prod(column.shape[1:]))
    return shared.finite(column.reshape(len(column), size), where)
