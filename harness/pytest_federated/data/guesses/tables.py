"""Guesses of tables: which column is the label, which says the client, which are left out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.files import arrow
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.identifiers import identifies
from pytest_federated.data.datasets.files.image_folder import SUFFIXES
from pytest_federated.data.datasets.files.lines import (
    UNREADABLE,
    Dialect,
    read_header,
    unreadable,
)
from pytest_federated.data.datasets.files.missing import is_missing
from pytest_federated.data.datasets.files.suffixes import PARQUET
from pytest_federated.data.datasets.files.table_columns import read_columns
from pytest_federated.data.guesses import names
from pytest_federated.data.guesses.dialects import written_as
from pytest_federated.data.guesses.guess import Guess
from pytest_federated.data.guesses.images import add_size
from pytest_federated.user.files import stamp

_MOST = 100  # different whole numbers that may be labels
_MOST_WORDS = 50  # different words that may be categories
_FEW = 20  # different whole numbers that are labels for sure
_SIGNS = ("?", "-", "--", ".", "*", "missing", "unknown")  # of missing numbers
_PIXEL = re.compile(r"(pixel|pix|px)s?[\W_]*\d", re.IGNORECASE)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?|[-+]?\d{1,3}([.,]\d+)?")
_USUAL_NA = ["", "NA", "N/A", "None", "null", "nan", "NaN"]
_RARE_NA = ("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
            "<NA>", "NULL", "n/a")  # fmt: skip


@dataclass(frozen=True)
class _Column:
    """A column, and what its values are.

    Attributes:
        name: of the column.
        values: (n, ...), as they are read.
        missing: how many are missing.
        distinct: the different values that are not missing; empty for lists.
        is_text: whether some are words.
        is_whole: whether all are whole numbers.

    """

    name: str
    values: np.ndarray
    missing: int
    distinct: np.ndarray
    is_text: bool
    is_whole: bool

    @property
    def has_labels(self) -> bool:
        """Whether the values can be labels, not quantities."""
        count, rows = len(self.distinct), len(self.values)
        if self.is_text:
            return 2 <= count <= max(2, rows // 3)
        few = count <= _FEW and rows >= 3 * count
        return self.is_whole and count >= 2 and (few or rows >= 20 * count <= 20 * _MOST)


def guess_table(
    file: Path, path: str, label: Optional[str] = None, client: Optional[str] = None
) -> Guess:
    """Guesses how a table is read, text or Parquet; `label` and `client` are columns, if known.

    `path` names the file in the scenario.

    Raises:
        DataError: it cannot be read, or has nothing to predict or to learn from.

    """
    kind = "parquet" if file.suffix.lower() in PARQUET else "csv"
    guess = Guess(names.as_name(_stem(file)), {kind: path})
    index: frozenset[str] = frozenset()
    if kind == "parquet":
        shared.require_arrow("parquet")
        values, index = arrow.read_parquet(file, *stamp(file))
    else:
        values = _read(file, guess)
    if not values or not len(next(iter(values.values()))):
        raise DataError(f"{file}: there are no examples in it")
    columns = {name: _column(name, column) for name, column in values.items()}
    for key, name in (("label", label), ("client", client)):
        if name is not None:
            shared.require_name(name, columns, key, str(file), "column")
    if images := _of_images(columns):
        return _guess_manifest(file, path, columns, images, label, client, guess)
    target = columns[label] if label else _label(columns, index, guess, client, file)
    if label:
        guess.reasons["label"] = "as you say"
    guess.settings["label"] = target.name
    _add_task(target, guess)
    _add_client(columns, target, client, guess)
    _add_features(columns, index, target, guess, file)
    _add_test(file, path, kind, values, guess)
    return guess


def _stem(file: Path) -> str:
    return file.name.partition(".")[0] or file.name


def _read(file: Path, guess: Guess) -> Mapping[str, np.ndarray]:
    """Reads a text table, and adds its dialect."""
    try:
        written = written_as(file)
    except UNREADABLE as error:
        raise unreadable(file, error) from error
    guess.settings.update(written.settings)
    guess.reasons.update(written.reasons)
    columns = read_columns(file, Dialect.of(guess.settings))
    signs = _signs_of_missing(columns)
    if signs:
        listed = ", ".join(map(repr, signs))
        texts = read_columns(file, Dialect.of({**guess.settings, "na_values": []}))
        words = {value for column in texts.values() for value in column.tolist()}
        usual = [*_USUAL_NA, *(word for word in _RARE_NA if word in words)]
        guess.add("na_values", [*usual, *signs], f"{listed} among numbers is a missing value")
        columns = read_columns(file, Dialect.of(guess.settings))
    return columns


def _signs_of_missing(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Returns words such as ``?`` that stand for missing values in columns of numbers."""
    signs: dict[str, None] = {}
    for column in columns.values():
        if column.dtype.kind != "O":
            continue
        texts = [value for value in column.tolist() if isinstance(value, str)]
        no_numbers = {text for text in texts if not shared.is_number(text)}
        has_numbers = len(texts) > sum(text in no_numbers for text in texts)
        if has_numbers and all(text.strip().lower() in _SIGNS for text in no_numbers):
            signs.update(dict.fromkeys(sorted(no_numbers)))
    return list(signs)


def _column(name: str, values: np.ndarray) -> _Column:
    missing = is_missing(values)
    known = values[~missing]
    if values.ndim > 1 or values.dtype.kind not in "biufOU":
        return _Column(name, values, int(missing.sum()), np.zeros(0), False, False)
    is_text = values.dtype.kind in "OU" and not all(
        isinstance(value, (int, float, np.number)) for value in known.tolist()
    )
    if is_text:
        known = known.astype(str)
    elif values.dtype.kind == "O":
        known = known.astype(np.float64)
    is_whole = not is_text and (
        known.dtype.kind in "biu" or bool((known == np.rint(known)).all() and len(known))
    )
    return _Column(name, values, int(missing.sum()), np.unique(known), is_text, is_whole)


def _label(
    columns: Mapping[str, _Column],
    index: frozenset[str],
    guess: Guess,
    client: Optional[str],
    file: Path,
) -> _Column:
    """Returns the column that is predicted: by its name, or else the last or the first one."""
    able = [
        c
        for c in columns.values()
        if c.name != client
        and len(c.distinct) > 1
        and not identifies(c.name, c.values, is_index=c.name in index, is_category=c.is_text)
        and (not c.is_text or c.has_labels)
    ]
    if not able:
        raise DataError(f"{file}: no column can be a label; --label names it")
    named = names.label_like(c.name for c in able)
    if named is not None:
        guess.reasons["label"] = "by its name"
        return columns[named]
    no_clients = {*names.client_like(columns)}
    able = [c for c in able if c.name not in no_clients] or able
    for column, place in ((able[-1], "last"), (able[0], "first")):
        if column.has_labels:
            guess.reasons["label"] = f"the {place} column that can be one"
            return column
    with_labels = [c for c in able if c.has_labels and c.is_text]
    if with_labels:
        guess.reasons["label"] = "the last column of words that can be one"
        return with_labels[-1]
    guess.reasons["label"] = "the last column"
    return able[-1]


def _add_task(target: _Column, guess: Guess) -> None:
    count = len(target.distinct)
    if not target.has_labels:
        if target.is_text:
            raise DataError(f"column {target.name!r} has {count:,} different words; no labels")
        guess.add("task", "regression", f"{count:,} different numbers in {target.name!r}")
    elif count == 2:
        listed = " and ".join(map(str, target.distinct.tolist()))
        guess.add("task", "binary", f"two values in {target.name!r}, {listed}")
    else:
        guess.reasons["label"] += f"; {count} labels"


def _add_client(
    columns: Mapping[str, _Column], target: _Column, client: Optional[str], guess: Guess
) -> None:
    if client is not None:
        guess.add("client", client, "as you say")
        return
    for name in names.client_like(columns):
        column = columns[name]
        count = len(column.distinct)
        if name == target.name or not (column.is_text or column.is_whole) or column.missing:
            continue
        if 2 <= count <= len(column.values) // 4:
            guess.add("client", name, f"by its name; {count:,} clients")
            return


def _add_features(
    columns: Mapping[str, _Column],
    index: frozenset[str],
    target: _Column,
    guess: Guess,
    file: Path,
) -> None:
    """Adds what is left out, what are categories, and what becomes of missing values."""
    left_out: dict[str, str] = {}
    features: list[_Column] = []
    first = guess.settings.get("columns", [""])[0]
    for column in columns.values():
        if column.name in (target.name, guess.settings.get("client")):
            continue
        reason = _reason_to_leave_out(column, index, target, first)
        if reason:
            left_out[column.name] = reason
        else:
            features.append(column)
    if not features:
        reasons = "; ".join(f"{name!r} {reason}" for name, reason in left_out.items())
        raise DataError(f"{file} has no column to learn from{': ' if reasons else ''}{reasons}")
    lists = [column for column in features if column.values.ndim > 1]
    if lists:
        guess.add("features", [lists[0].name], "a column of lists is learned from alone")
        features = lists[:1]
    elif left_out:
        guess.left_out = left_out
        guess.add("exclude", list(left_out), "")
    categories = [column.name for column in features if column.is_text]
    if categories:
        guess.add("categories", categories, "words: a column of 0 and 1 for each value")
    if len(categories) < len(features) and not lists:
        guess.add("standardize", True, "columns of numbers differ in scale")
    side = math.isqrt(len(features))
    if side > 1 and side**2 == len(features) and all(_PIXEL.match(c.name) for c in features):
        guess.add("shape", [side, side, 1], f"{len(features)} columns of pixels")
    incomplete = [column for column in features if column.missing]
    needed = [target, *(c for c in columns.values() if c.name == guess.settings.get("client"))]
    if any(column.missing for column in needed):
        rows = np.any([is_missing(c.values) for c in [*needed, *features]], axis=0).sum()
        guess.add("missing", "drop", f"{rows:,} of {len(target.values):,} rows miss a value")
    elif incomplete:
        listed = ", ".join(repr(column.name) for column in incomplete[:3])
        more = f" and {len(incomplete) - 3} more" if incomplete[3:] else ""
        guess.add("missing", "median", f"{listed}{more} miss{'es' * (len(incomplete) == 1)} values")


def _reason_to_leave_out(
    column: _Column, index: frozenset[str], target: _Column, first: str
) -> Optional[str]:
    """Returns why nothing should be learned from a column; None if it should.

    `first` is the first column of a file without names, empty in others.
    """
    rows = len(column.values)
    if column.is_text and all(map(_THOUSANDS.fullmatch, column.distinct.tolist())):
        return f"has numbers such as {column.distinct[0]}: write them without separated thousands"
    reason = identifies(
        column.name, column.values, is_index=column.name in index, is_category=column.is_text
    )
    if reason:
        return reason
    if column.name == first and column.is_whole and len(column.distinct) == rows > _FEW:
        return "has a different number in every row"
    if column.values.dtype.kind not in "biufOU":
        return "has dates, no numbers" if column.values.dtype.kind in "Mm" else "has no numbers"
    if column.values.ndim > 1:
        return None
    if not len(column.distinct):
        return "has no values"
    if len(column.distinct) == 1 and column.is_text:
        return "has one value only"
    if column.missing > rows / 2:
        return f"misses {column.missing:,} of {rows:,} values"
    if names.part_like([column.name]) and _says_part(column):
        return "says which rows are for training"
    if column.is_text and len(column.distinct) > min(_MOST_WORDS, max(2, rows // 2)):
        return f"has {len(column.distinct):,} different words"
    if target.has_labels and _says_the_same(column, target):
        return f"says the same as {target.name!r}"
    return None


def _says_part(column: _Column) -> bool:
    return {str(value).strip().lower() for value in column.distinct} >= {"train", "test"}


def _says_the_same(column: _Column, target: _Column) -> bool:
    """Returns whether each value stands for one label, and each label for one value."""
    if len(column.distinct) != len(target.distinct) or column.missing or target.missing:
        return False
    pairs = {*zip(column.values.tolist(), target.values.tolist())}
    return len(pairs) == len(target.distinct)


def _add_test(
    file: Path, path: str, kind: str, values: Mapping[str, np.ndarray], guess: Guess
) -> None:
    """Adds the test table beside a training table, such as test.csv beside train.csv."""
    if "train" not in file.name.lower():
        return
    place = file.name.lower().rindex("train")
    word = file.name[place : place + 5]
    for test in ("test", "Test", "TEST"):
        other = f"{file.name[:place]}{test}{file.name[place + len(word) :]}"
        beside = file.with_name(other)
        if not beside.is_file():
            continue
        header = (
            arrow.parquet_columns(beside)
            if kind == "parquet"
            else read_header(beside, Dialect.of(guess.settings))
        )
        if {*values} <= {*header} or guess.settings["label"] in header:
            guess.add("test", f"{path[: len(path) - len(file.name)]}{other}", "beside the table")
        else:
            guess.notes.append(f"{other} has no column {guess.settings['label']!r}: not used")
        return


def _of_images(columns: Mapping[str, _Column]) -> list[str]:
    """Returns the columns whose values are names of image files."""
    return [
        column.name
        for column in columns.values()
        if column.is_text
        and len(column.distinct)
        and all(Path(str(v).strip()).suffix.lower() in SUFFIXES for v in column.distinct[:100])
    ]


def _guess_manifest(
    file: Path,
    path: str,
    columns: Mapping[str, _Column],
    images: list[str],
    label: Optional[str],
    client: Optional[str],
    of_table: Guess,
) -> Guess:
    """Guesses how a table of images is read.

    Raises:
        DataError: the images are not there, or there is no label.

    """
    guess = Guess(of_table.name, {"image_manifest": path})
    for key in ("separator", "columns"):
        if key in of_table.settings:
            guess.add(key, of_table.settings[key], of_table.reasons[key])
    there = [n for n in images if (file.parent / str(columns[n].distinct[0]).strip()).is_file()]
    if not there:
        example = str(columns[images[0]].distinct[0])
        raise DataError(
            f"{file}: column {images[0]!r} names images, and {example!r} is not in {file.parent}; "
            "paths are relative to the table"
        )
    if there[0] != "path":
        guess.add("path", there[0], "names image files")
    others = {n: c for n, c in columns.items() if n not in images}
    parts = [n for n in names.part_like(others) if _says_part(others[n])]
    left = {n: c for n, c in others.items() if n not in parts}
    target = columns[label] if label else _label(left, frozenset(), guess, client, file)
    if label:
        guess.reasons["label"] = "as you say"
    guess.settings["label"] = target.name
    _add_task(target, guess)
    _add_client(left, target, client, guess)
    for part in parts[:1]:
        values = {str(value).strip().lower() for value in columns[part].distinct}
        if values == {"train", "test"}:
            guess.add("split", part, "says train or test")
        else:
            guess.notes.append(f"{part!r} has other values than train and test: not used")
    paths = columns[there[0]].values.tolist()
    files = (file.parent / str(value).strip() for value in paths)
    add_size(guess, [image for image in files if image.is_file()])
    return guess
