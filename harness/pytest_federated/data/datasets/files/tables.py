"""The user's own tables: text with separators, and Parquet."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Callable, Literal, Optional, Union

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    TaskKind,
    datasets,
    named_inputs,
)
from pytest_federated.data.datasets.files import arrow
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.identifiers import identifies, repeats
from pytest_federated.data.datasets.files.lines import (
    UNREADABLE,
    Dialect,
    check_lines,
    read_header,
    unknown_encoding,
    unreadable,
)
from pytest_federated.data.datasets.files.missing import (
    Columns,
    Filler,
    Remedy,
    complete_rows,
    require_all,
)
from pytest_federated.data.datasets.files.suffixes import PARQUET
from pytest_federated.data.datasets.rows import gray_levels
from pytest_federated.user.files import UserPath, find, stamp

_Listed = Annotated[list[str], Field(min_length=1)]
Features = Annotated[
    Optional[Union[list[str], dict[str, _Listed]]],
    Field(
        description="Columns to learn from; by default all others. For a model of several inputs "
        "those of each, by its name."
    ),
]
Exclude = Annotated[
    Optional[list[str]],
    Field(description="Columns not to learn from, if there is no `features`."),
]
Categories = Annotated[
    list[str], Field(description="Features that become one column for each value, 0 or 1.")
]
Standardize = Annotated[
    bool, Field(description="Scales numbers to mean 0 and standard deviation 1.")
]
Missing = Annotated[
    Optional[Remedy],
    Field(
        description="What becomes of missing values: the row is left out; or they are filled, with "
        "indicator also marked by a column of 0 and 1. By default they are refused."
    ),
]
Labels = Annotated[
    Union[str, Annotated[list[str], Field(min_length=1)]],
    Field(description="The column of labels, or those of tokens or tags."),
]
Separator = Annotated[
    Union[Literal["spaces"], Annotated[str, Field(min_length=1, max_length=1)]],
    Field(description="The character between columns, or any number of spaces."),
]
ColumnNames = Annotated[
    Optional[Annotated[list[str], Field(min_length=1)]],
    Field(description="Names the columns of a file without a header."),
]


_MOST_NUMBERS = 1 << 28  # of a category's columns: 1 GiB


def _glance_csv(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields the keys that do not fit the headers of the tables; see `Spec.glance`."""
    return _glance(
        settings, "csv", functools.partial(read_header, dialect=Dialect.of(vars(settings)))
    )


def _glance_parquet(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields the keys that do not fit the columns of the files; see `Spec.glance`."""
    shared.require_arrow("parquet")
    return _glance(settings, "parquet", arrow.parquet_columns)


@datasets("csv", has_test_set="test", facts=shared.FACTS, packages=("pandas",), glance=_glance_csv)
def csv(
    cache: Cache,
    *,
    csv: UserPath,
    label: Labels,
    task: shared.Task = "label",
    client: shared.Client = None,
    features: Features = None,
    exclude: Exclude = None,
    categories: Categories = [],  # noqa: B006 - pydantic copies it
    standardize: Standardize = False,
    missing: Missing = None,
    shape: shared.Shape = None,
    separator: Separator = ",",
    decimal: Annotated[
        Literal[".", ","], Field(description="The character before the fraction of a number.")
    ] = ".",
    encoding: Annotated[str, Field(description="Such as latin-1 or utf-16.")] = "utf-8",
    comment: Annotated[
        Optional[Annotated[str, Field(min_length=1, max_length=1)]],
        Field(description="The character that begins a comment."),
    ] = None,
    columns: ColumnNames = None,
    na_values: Annotated[
        Optional[list[str]],
        Field(description="Texts of missing values; by default nothing, NA, None, null, nan."),
    ] = None,
    test: shared.TestSet = None,
) -> Dataset:
    """Your table with a header: `{csv: data/visits.csv, label: outcome, client: hospital}`.

    A row is an example; `x` is (columns,) float32, or has the `shape` of the scenario. `label`
    names the column of labels (whole numbers from 0 up; others, and text, are numbered in sorted
    order), `client` that of the natural clients. `features` lists the columns to learn from; by
    default all others except those under `exclude`. For a model with several inputs, it is a
    mapping from the name of each to its columns: `features: {vitals: [pulse], ward: [ward]}`. A
    column that looks like an identifier (without a name or with that of an index, or with a
    different whole number or category in every row), or that says the same as the label in every
    row, must be listed under one of the two. `categories` lists the features whose values are not
    quantities: each becomes one column for each value, 0 or 1. With `standardize` the columns of
    numbers are scaled to mean 0 and standard deviation 1 over this file. Missing values are
    refused, unless `missing` says what becomes of them: `drop` leaves out rows in which a feature,
    the label or the client is missing; the others put the median of the column in their place, or
    the most frequent value, as it always is for `categories`. Medians, scales and categories are
    those of this file. Lines that do not have one value for each column are refused. With `task:
    binary`, `label` has two values; with `task: regression`, numbers. With `task: tags`, it lists
    columns of 0 and 1, one for each tag; with `task: tokens`, one for each position, as for `npz`.
    `test` is another table with the same columns, the test set. If it has the column `client`, too,
    each natural client is tested on its own rows of it; clients that are only there never train.

    Raises:
        DataError: no such file or column, or values that cannot be features, labels or clients.

    """
    return _table(
        functools.partial(
            _read_csv,
            dialect=Dialect(separator, decimal, encoding, comment, columns or (), na_values),
        ),
        (csv, "data.dataset.csv"),
        test,
        _Meaning(label, task, client, features, exclude, categories, standardize, shape, missing),
    )


@datasets(
    "parquet",
    has_test_set="test",
    facts=shared.FACTS,
    packages=("pyarrow",),
    glance=_glance_parquet,
)
def parquet(
    cache: Cache,
    *,
    parquet: UserPath,
    label: Labels,
    task: shared.Task = "label",
    client: shared.Client = None,
    features: Features = None,
    exclude: Exclude = None,
    categories: Categories = [],  # noqa: B006 - pydantic copies it
    standardize: Standardize = False,
    missing: Missing = None,
    shape: shared.Shape = None,
    test: shared.TestSet = None,
) -> Dataset:
    """Your table in a Parquet file: `{parquet: data/visits.parquet, label: outcome}`.

    The keys are those of `csv`, and columns that look like identifiers are refused as there. A
    column of lists of numbers, all of the same length, may be the only one of `features`: an
    embedding, pixels with a `shape`, or tokens; with `task`, one may be the `label`. Needs pyarrow:
    `pip install 'pytest-federated[arrow]'`.

    Raises:
        DataUnavailable: pyarrow is not installed.
        DataError: as for csv.

    """
    shared.require_arrow("parquet")
    return _table(
        _read_parquet,
        (parquet, "data.dataset.parquet"),
        test,
        _Meaning(label, task, client, features, exclude, categories, standardize, shape, missing),
    )


def listed(label: Union[str, Sequence[str]]) -> tuple[str, ...]:
    """Returns the names of the columns that a key names, which may be one."""
    return (label,) if isinstance(label, str) else tuple(label)


@dataclass(frozen=True)
class _Columns:
    """The columns of a table.

    Attributes:
        values: by name.
        index: the names of those that the file calls an index.
        is_text: whether the scenario's keys say how columns are separated and named.

    """

    values: Columns
    index: frozenset[str] = frozenset()
    is_text: bool = False


@dataclass(frozen=True)
class _Meaning:
    """What the columns of a table mean, by the keys of the scenario."""

    label: Union[str, Sequence[str]]
    task: TaskKind
    client: Optional[str]
    features: Union[Sequence[str], Mapping[str, Sequence[str]], None]
    exclude: Optional[Sequence[str]]
    categories: Sequence[str]
    standardize: bool
    shape: Optional[Sequence[int]]
    missing: Optional[Remedy] = None

    @classmethod
    def of(cls, settings: Any) -> _Meaning:
        """Returns what the columns mean by the validated settings of a table."""
        return cls(**{key.name: getattr(settings, key.name) for key in fields(cls)})

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of labels."""
        return listed(self.label)

    @property
    def inputs(self) -> Mapping[str, Sequence[str]]:
        """The columns of each input, by its name; empty where an example has one input."""
        return self.features if isinstance(self.features, Mapping) else {}

    @property
    def named_features(self) -> list[str]:
        """The columns that the scenario says to learn from, each once."""
        of_inputs = [name for columns in self.inputs.values() for name in columns]
        return list(dict.fromkeys(of_inputs if self.inputs else self.features or []))

    def misfits(
        self, columns: Sequence[str], where: str, is_text: bool
    ) -> Iterator[tuple[str, str]]:
        """Yields each key with a name that is wrong, given the names of the columns, and why.

        `is_text` is whether the scenario's keys say how columns are separated and named.
        """
        are_known = True
        for key, names in (
            ("label", self.labels),
            ("client", [self.client] if self.client else []),
            ("features", self.named_features),
            ("exclude", self.exclude or []),
            ("categories", self.categories),
        ):
            for name in names:
                message = shared.unknown_name(name, columns, key, where, "column")
                if message is None:
                    continue
                are_known = False
                if is_text and len(columns) == 1:
                    message = (
                        f"{where} has one column, {columns[0]!r}, and not {name!r} "
                        f"(data.dataset.{key}); data.dataset.separator is what separates columns"
                    )
                elif is_text and all(map(shared.is_number, columns)):
                    message = (
                        f"{where} has no column {name!r} (data.dataset.{key}), and its first line "
                        "is of numbers; data.dataset.columns names the columns of a file without "
                        "a header"
                    )
                yield key, message
        if are_known:
            yield from self._contradictions(columns, where)

    def _contradictions(self, columns: Sequence[str], where: str) -> Iterator[tuple[str, str]]:
        targets = [*self.labels, self.client]
        left_out = [*targets, *(self.exclude or [])]
        features = self.features_of(columns)
        for name in features:
            if name in left_out and name not in targets:
                yield "features", f"{where}: column {name!r} is both under features and exclude"
            if name in targets:
                yield (
                    "features",
                    f"{where}: column {name!r} is both under features and the label or the client",
                )
        for name in self.categories:
            if name not in features:
                yield (
                    "categories",
                    f"{where}: column {name!r} is under categories, not under features",
                )
        if not features:
            yield "exclude", f"{where} has no columns to learn from"
        if self.inputs and self.shape:
            yield "shape", "data.dataset.shape: is for one input; features names several"
        if self.inputs and self.task == "tokens":
            yield "features", "data.dataset.features: with task: tokens, there is one input"

    def features_of(self, columns: Sequence[str]) -> list[str]:
        """Returns the names of the columns to learn from, of these columns."""
        left_out = [*self.labels, self.client, *(self.exclude or [])]
        return self.named_features or [c for c in columns if c not in left_out]

    def learned_from(self, table: _Columns, where: str) -> list[str]:
        """Checks all names in the scenario, and returns those of the columns to learn from."""
        names = list(table.values)
        for _, message in self.misfits(names, where, table.is_text):
            raise DataError(message)
        features = self.features_of(names)
        if not self.features:
            self._refuse_identifiers(table, features, where)
            self._refuse_labels_again(table, features, where)
        return features

    def _refuse_identifiers(self, table: _Columns, features: Sequence[str], where: str) -> None:
        """Raises DataError if one of these columns looks like an identifier."""
        reasons: dict[str, str] = {}
        for name in features:
            reason = identifies(
                name,
                table.values[name],
                is_index=name in table.index,
                is_category=name in self.categories,
            )
            if reason:
                reasons[name] = reason
        if reasons:
            listed = ", ".join(f"column {name!r} {reason}" for name, reason in reasons.items())
            line = json.dumps([*(self.exclude or []), *reasons], ensure_ascii=False)
            raise DataError(
                f"{where}: {listed}, so it looks like an identifier of the rows; write "
                f"data.dataset.exclude: {line} to leave it out, or list all columns to learn from "
                "under data.dataset.features"
            )

    def _refuse_labels_again(self, table: _Columns, features: Sequence[str], where: str) -> None:
        """Raises DataError if one of these columns says the same as the label in every row."""
        if len(self.labels) != 1 or self.task == "tokens":
            return
        label, are_numbers = table.values[self.labels[0]], self.task == "regression"
        again = [
            name for name in features if repeats(table.values[name], label, are_numbers=are_numbers)
        ]
        if again:
            names = ", ".join(f"column {name!r}" for name in again)
            line = json.dumps([*(self.exclude or []), *again], ensure_ascii=False)
            raise DataError(
                f"{where}: {names} says the same as the label {self.labels[0]!r} in every row; "
                f"write data.dataset.exclude: {line} to leave it out, or list all columns to "
                "learn from under data.dataset.features"
            )


class _Encoder:
    """Turns columns into examples, with categories and scales of the training table."""

    def __init__(self, meaning: _Meaning, table: _Columns, where: str) -> None:
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

    def source(self, table: _Columns, where: str) -> shared.Source:
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


def _glance(
    settings: Any, kind: str, columns_of: Callable[[Path], list[str]]
) -> Iterator[tuple[str, str]]:
    """Yields the keys that do not fit the names of the columns, of both tables."""
    meaning = _Meaning.of(settings)
    file = find(getattr(settings, kind), f"data.dataset.{kind}")
    columns = columns_of(file)
    misfits = list(meaning.misfits(columns, str(file), kind == "csv"))
    yield from misfits
    if settings.test is None or misfits:
        return
    file = find(settings.test, "data.dataset.test")
    others = columns_of(file)
    for name in [*meaning.features_of(columns), *meaning.labels]:
        if message := shared.unknown_name(name, others, "test", str(file), "column"):
            yield "test", message


def _table(read: Any, file: tuple[str, str], test: Optional[str], meaning: _Meaning) -> Dataset:
    """Returns the data set of a table; `file` is its path, and the key that names it."""
    path = find(*file)
    columns = read(path, *stamp(path))
    encoder = _Encoder(meaning, columns, str(path))
    train, held_out = encoder.source(columns, str(path)), None
    if test is not None:
        other = find(test, "data.dataset.test")
        words = tuple(name for name, column in columns.values.items() if _has_words(column))
        table = read(other, *stamp(other), words)
        held_out = encoder.source(table, str(other))
    return shared.dataset(path.name, train, held_out, task=meaning.task)


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
        return _read_csv(file, *stamp(file), dialect=dialect).values
    shared.require_arrow("parquet")
    return _read_parquet(file, *stamp(file)).values


@functools.lru_cache(maxsize=2)
def _read_csv(
    file: Path, size: int, changed: int, words: tuple[str, ...] = (), *, dialect: Dialect
) -> _Columns:
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
    return _Columns(columns, is_text=True)


def _read_parquet(file: Path, size: int, changed: int, words: tuple[str, ...] = ()) -> _Columns:
    """Reads the columns of a Parquet file, which says itself what is text."""
    return _Columns(*arrow.read_parquet(file, size, changed))


def _has_words(column: np.ndarray) -> bool:
    return column.dtype.kind == "O" and any(isinstance(value, str) for value in column)


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
