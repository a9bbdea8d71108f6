"""Tables of the user's own: text with separators, and Parquet."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Optional, Union

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Dataset, TaskKind, datasets
from pytest_federated.data.datasets.files import arrow
from pytest_federated.data.datasets.files import columns as own
from pytest_federated.data.datasets.files.identifiers import identifies
from pytest_federated.data.datasets.files.lines import check_lines
from pytest_federated.user.files import UserPath, find, stamp

Features = Annotated[
    Optional[list[str]], Field(description="Columns to learn from; all others when left out.")
]
Exclude = Annotated[
    Optional[list[str]],
    Field(description="Columns not to learn from, where features are left out."),
]
Categories = Annotated[
    list[str], Field(description="Those of them that become a column for each value, 0 or 1.")
]
Standardize = Annotated[
    bool, Field(description="Brings numbers to mean 0 and standard deviation 1.")
]
Shape = Annotated[
    Optional[list[Annotated[int, Field(ge=1)]]],
    Field(description="Of an example, such as an image."),
]
Labels = Annotated[
    Union[str, Annotated[list[str], Field(min_length=1)]],
    Field(description="The column of labels, or those of tokens or tags."),
]
Columns = Mapping[str, np.ndarray]


@datasets("csv", has_test_set="test", facts=own.FACTS, packages=("pandas",))
def csv(
    cache: Cache,
    *,
    csv: UserPath,
    label: Labels,
    task: own.Task = "label",
    client: own.Client = None,
    features: Features = None,
    exclude: Exclude = None,
    categories: Categories = [],  # noqa: B006 - pydantic copies it
    standardize: Standardize = False,
    shape: Shape = None,
    separator: Annotated[
        str, Field(min_length=1, max_length=1, description="What stands between columns.")
    ] = ",",
    test: own.TestSet = None,
) -> Dataset:
    """Your table with a header: `{csv: data/visits.csv, label: outcome, client: hospital}`.

    A row is an example; `x` is (columns,) float32, or of the `shape` that is given. `label` names
    the column of labels (whole numbers from 0 up, or text, which is numbered in sorted order),
    `client` that of the natural clients. `features` lists the columns to learn from, all others but
    those under `exclude` when left out. A column that looks like an identifier (without a name or
    with that of an index, or with another whole number or category in every row) has to stand under
    one of the two. `categories` are those of the features whose values are no quantities: each
    becomes one column for each value, 0 or 1. With `standardize` the columns of numbers get mean 0
    and standard deviation 1 over this file. Missing values (nothing, NA, None, null, nan) are
    refused, as are lines that do not have a value for each name of the header. With `task: tags`,
    `label` lists columns of 0 and 1, one for each tag; with `task: tokens`, one for each position,
    as for `npz`. `separator` is what stands between columns: ";", say. `test` is another table with
    the same columns, the test set.

    Raises:
        DataError: no such file or column, or values that cannot be features, labels or clients.

    """
    return _table(
        functools.partial(_read_csv, separator=separator),
        (csv, "data.dataset.csv"),
        test,
        _Meaning(
            _listed(label), task, client, features, exclude, tuple(categories), standardize, shape
        ),
    )


@datasets("parquet", has_test_set="test", facts=own.FACTS, packages=("pyarrow",))
def parquet(
    cache: Cache,
    *,
    parquet: UserPath,
    label: Labels,
    task: own.Task = "label",
    client: own.Client = None,
    features: Features = None,
    exclude: Exclude = None,
    categories: Categories = [],  # noqa: B006 - pydantic copies it
    standardize: Standardize = False,
    shape: Shape = None,
    test: own.TestSet = None,
) -> Dataset:
    """Your table in a Parquet file: `{parquet: data/visits.parquet, label: outcome}`.

    The keys are those of `csv`, and what looks like an identifier is refused as there. A column of
    lists of numbers, all as long as each other, may be the only one of `features`: an embedding,
    pixels with a `shape`, or tokens; with `task`, one may be the `label`. Needs pyarrow:
    `pip install 'pytest-federated[arrow]'`.

    Raises:
        DataUnavailable: pyarrow is not installed.
        DataError: as for csv.

    """
    own.demand_arrow("parquet")
    return _table(
        _read_parquet,
        (parquet, "data.dataset.parquet"),
        test,
        _Meaning(
            _listed(label), task, client, features, exclude, tuple(categories), standardize, shape
        ),
    )


def _listed(label: Union[str, list[str]]) -> tuple[str, ...]:
    return (label,) if isinstance(label, str) else tuple(label)


@dataclass(frozen=True)
class _Columns:
    """What a table holds: the values of each column, and which columns the file calls an index."""

    values: Columns
    index: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Meaning:
    """What the columns of a table are."""

    labels: tuple[str, ...]
    task: TaskKind
    client: Optional[str]
    features: Optional[Sequence[str]]
    exclude: Optional[Sequence[str]]
    categories: Sequence[str]
    standardize: bool
    shape: Optional[Sequence[int]]

    def learned_from(self, table: _Columns, where: str) -> list[str]:
        """The names under `features`; all that the scenario names must be there."""
        columns = table.values
        for key, names in (
            ("label", self.labels),
            ("client", [self.client] if self.client else []),
            ("features", self.features or []),
            ("exclude", self.exclude or []),
            ("categories", self.categories),
        ):
            for name in names:
                own.known(name, columns, key, where, "column")
        known = [*self.labels, self.client]
        left_out = [*known, *(self.exclude or [])]
        chosen = self.features or [c for c in columns if c not in left_out]
        for name in chosen:
            if name in left_out and name not in known:
                raise DataError(f"{where}: column {name!r} is both under features and exclude")
            if name in known:
                raise DataError(
                    f"{where}: column {name!r} is both under features and the label or the client"
                )
        for name in self.categories:
            if name not in chosen:
                raise DataError(f"{where}: column {name!r} is under categories, not under features")
        if not chosen:
            raise DataError(f"{where} has no columns to learn from")
        if not self.features:
            self._refuse_identifiers(table, chosen, where)
        return list(chosen)

    def _refuse_identifiers(self, table: _Columns, chosen: Sequence[str], where: str) -> None:
        """Raises DataError where the user has not said that an identifier is learned from."""
        why: dict[str, str] = {}
        for name in chosen:
            reason = identifies(
                name,
                table.values[name],
                is_index=name in table.index,
                is_category=name in self.categories,
            )
            if reason:
                why[name] = reason
        if why:
            reasons = ", ".join(f"column {name!r} {reason}" for name, reason in why.items())
            line = json.dumps([*(self.exclude or []), *why], ensure_ascii=False)
            raise DataError(
                f"{where}: {reasons}, so it looks like an identifier of the rows; write "
                f"data.dataset.exclude: {line} to leave it out, or list all columns to learn from "
                "under data.dataset.features"
            )


class _Encoder:
    """From columns to examples, in the way that the training table decides."""

    def __init__(self, meaning: _Meaning, table: _Columns, where: str) -> None:
        columns = table.values
        self._meaning = meaning
        self._names = meaning.learned_from(table, where)
        self._values: dict[str, np.ndarray] = {}
        self._scales: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        if not len(columns[self._names[0]]):
            raise DataError(f"{where}: there are no examples in it")
        for name in self._names:
            place = f"{where}: column {name!r}"
            if meaning.task != "tokens":
                own.no_counts(columns[name], place)  # of lists: those have no names
            if name in meaning.categories:
                self._values[name] = np.unique(_text(columns[name], place))
            elif meaning.standardize:
                block = _numbers(columns[name], place).astype(np.float64)
                varies = own.varies(block)  # what is the same everywhere says nothing
                self._scales[name] = (
                    np.where(varies, block.mean(axis=0), block[0]),
                    np.where(varies, block.std(axis=0), 1),
                )

    def source(self, table: _Columns, where: str, *, with_clients: bool) -> own.Source:
        """The examples of a table.

        Raises:
            DataError: a column is missing, or has a value that is no feature.

        """
        columns = table.values
        labels, client = self._meaning.labels, self._meaning.client if with_clients else None
        for name in [*self._names, *labels]:
            own.known(name, columns, "test", where, "column")
        blocks = [self._block(columns, name, where) for name in self._names]
        own.same_length({n: len(b) for n, b in zip(self._names, blocks)}, where)
        x = np.concatenate(blocks, axis=1)
        if self._meaning.shape is not None:
            if int(np.prod(self._meaning.shape)) != x.shape[1]:
                raise DataError(
                    f"{where}: {x.shape[1]} numbers in an example do not fit the shape "
                    f"{list(self._meaning.shape)} (data.dataset.shape)"
                )
            x = x.reshape(len(x), *self._meaning.shape)
        if self._meaning.task == "tokens" and all(
            columns[name].dtype.kind in "iu" for name in self._names
        ):
            x = own.features(x.astype(np.int32), where, "tokens")
        return own.Source(
            x,
            columns[labels[0]] if len(labels) == 1 else np.stack([columns[c] for c in labels], 1),
            where,
            f"column{'s' if len(labels) > 1 else ''} {', '.join(map(repr, labels))}",
            columns[client] if client else None,
            f"column {client!r}",
        )

    def _block(self, columns: Columns, name: str, where: str) -> np.ndarray:
        """Float32 (n, m): what a column adds to an example."""
        place = f"{where}: column {name!r}"
        if name not in self._values:
            block = _numbers(columns[name], place)
            if name not in self._scales:
                return own.in_float32(block, place, "write data.dataset.standardize: true")
            mean, spread = self._scales[name]
            return ((block.astype(np.float64) - mean) / spread).astype(np.float32)
        given, values = _text(columns[name], place), self._values[name]
        found = given[:, np.newaxis] == values
        if not found.any(axis=1).all():
            row = int(np.argmin(found.any(axis=1)))
            raise DataError(f"{place}, row {row + 1}: {given[row]!r} is not in the training table")
        return found.astype(np.float32)


def _table(read: Any, file: tuple[str, str], test: Optional[str], meaning: _Meaning) -> Dataset:
    """The data set of the table that `read` reads; `file` is its path, and the key that has it."""
    found = find(*file)
    columns = read(found, *stamp(found))
    encoder = _Encoder(meaning, columns, str(found))
    train, held_out = encoder.source(columns, str(found), with_clients=True), None
    if test is not None:
        other = find(test, "data.dataset.test")
        held_out = encoder.source(read(other, *stamp(other)), str(other), with_clients=False)
    return own.dataset(found.name, train, held_out, task=meaning.task)


@functools.lru_cache(maxsize=2)
def _read_csv(file: Path, size: int, changed: int, separator: str) -> _Columns:
    """The columns of a text table; `size` and `changed` tell apart what the file was."""
    import pandas as pd

    try:
        frame = pd.read_csv(file, sep=separator, low_memory=False)
    except (OSError, ValueError) as bad:  # pandas' own and Unicode's are of the second kind
        why = str(bad).strip().partition("\n")[0]
        raise DataError(f"{file} cannot be read as a table: {why}") from bad
    check_lines(file, separator)
    return _Columns({str(name): frame[name].to_numpy() for name in frame.columns})


def _read_parquet(file: Path, size: int, changed: int) -> _Columns:
    """The columns of a Parquet file."""
    return _Columns(*arrow.read_parquet(file, size, changed))


def _text(column: np.ndarray, where: str) -> np.ndarray:
    """Str (n,): the values of a category."""
    if column.dtype.kind == "f":  # numbers with fractions are categories as much as any
        own.finite(column, where)
        return column.astype(str)
    return own.clients(column, where)


def _numbers(column: np.ndarray, where: str) -> np.ndarray:
    """Numbers (n, m): a column of them (n,), or of lists of them (n, ...); images in [0, 1]."""
    if column.dtype.kind in "OU":
        for row, value in enumerate(column):
            if value is None or value != value:
                raise DataError(f"{where}, row {row + 1}: nothing stands there")
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
    elif own.are_images(column):
        column = own.gray_levels(column)
    size = int(np.prod(column.shape[1:]))
    return own.finite(column.reshape(len(column), size), where)
