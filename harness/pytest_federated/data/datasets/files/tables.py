"""The user's own tables: text with separators, and Parquet."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Callable, Literal, Optional, Union

from pydantic import Field

from pytest_federated.data.datasets.dataset import Cache, Dataset, datasets
from pytest_federated.data.datasets.files import arrow
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.encoder import Encoder
from pytest_federated.data.datasets.files.lines import Dialect, read_header
from pytest_federated.data.datasets.files.meaning import Meaning
from pytest_federated.data.datasets.files.missing import (
    Remedy,
)
from pytest_federated.data.datasets.files.table_columns import has_words, read_csv, read_parquet
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
            read_csv,
            dialect=Dialect(separator, decimal, encoding, comment, columns or (), na_values),
        ),
        (csv, "data.dataset.csv"),
        test,
        Meaning(label, task, client, features, exclude, categories, standardize, shape, missing),
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
        read_parquet,
        (parquet, "data.dataset.parquet"),
        test,
        Meaning(label, task, client, features, exclude, categories, standardize, shape, missing),
    )


def _glance(
    settings: Any, kind: str, columns_of: Callable[[Path], list[str]]
) -> Iterator[tuple[str, str]]:
    """Yields the keys that do not fit the names of the columns, of both tables."""
    meaning = Meaning.of(settings)
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


def _table(read: Any, file: tuple[str, str], test: Optional[str], meaning: Meaning) -> Dataset:
    """Returns the data set of a table; `file` is its path, and the key that names it."""
    path = find(*file)
    columns = read(path, *stamp(path))
    encoder = Encoder(meaning, columns, str(path))
    train, held_out = encoder.source(columns, str(path)), None
    if test is not None:
        other = find(test, "data.dataset.test")
        words = tuple(name for name, column in columns.values.items() if has_words(column))
        table = read(other, *stamp(other), words)
        held_out = encoder.source(table, str(other))
    return shared.dataset(path.name, train, held_out, task=meaning.task)
