"""Dialects of text tables, and the check that each line has one value for each column.

pandas does not check that: where lines are longer than the header, it takes the first column as an
index, so that all others move by one; it fills up shorter lines; and it renames columns of the same
name.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any, Optional

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.files.suffixes import other_reader


def _in_zip(file: Path, mode: str) -> IO[bytes]:
    archive = zipfile.ZipFile(file)
    names = archive.namelist()
    if len(names) != 1:
        raise ValueError(f"there are {len(names)} files in it; one is needed")
    return archive.open(names[0])


_PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zip": _in_zip}
# What is raised for a file that is no text table, or is not packed as its suffix says. Errors of
# pandas and of decoding are ValueErrors; a RuntimeError is raised for an encrypted archive.
UNREADABLE = (
    *(OSError, ValueError, EOFError, RuntimeError, csv.Error),
    *(lzma.LZMAError, zipfile.BadZipFile, zlib.error),
)


SPACES = "spaces"  # the separator of tables whose columns are apart by any number of them


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes:
        separator: the character between columns, or `SPACES`.
        decimal: the character before the fraction of a number.
        encoding: of the file; utf-8 with or without a byte order mark.
        comment: the character after which the rest of a line is none of the table; None without.
        columns: the names of the columns of a file without a header; empty if it has one.
        na_values: the texts of missing values; None for those of pandas.

    """

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    comment: Optional[str] = None
    columns: Sequence[str] = ()
    na_values: Optional[Sequence[str]] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))  # lists have no hash
        if self.na_values is not None:
            object.__setattr__(self, "na_values", tuple(self.na_values))

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Dialect:
        """Returns how a table is written by the keys of a data set, each of which may be absent."""
        names = [key.name for key in fields(cls)]
        return cls(**{name: settings[name] for name in names if settings.get(name) is not None})

    def keys(self) -> dict[str, Any]:
        """Returns the keyword arguments of `pandas.read_csv`.

        Raises:
            DataError: two columns have the same name.
        """
        _check_names(self.columns, "data.dataset.columns")
        keys: dict[str, Any] = {
            "decimal": self.decimal,
            "encoding": self.encoding,
            "comment": self.comment,
            "skipinitialspace": self.separator != "\t",
        }
        keys["sep"] = r"\s+" if self.separator == SPACES else self.separator
        if self.columns:
            keys.update(names=list(self.columns), header=None)
        if self.na_values is not None:
            keys.update(na_values=list(self.na_values), keep_default_na=False)
        return keys


def read_header(file: Path, dialect: Dialect) -> list[str]:
    """Returns the names of the columns of a text table; reads no more than its first line.

    Raises:
        DataError: it cannot be read, or is empty.

    """
    if dialect.columns:
        return list(dialect.columns)
    try:
        with opened_text(file, dialect.encoding) as text:
            rows = csv.reader(
                _tidied(text, dialect), delimiter=_delimiter(dialect), skipinitialspace=True
            )
            names = next((row for row in rows if any(name.strip() for name in row)), None)
    except LookupError as error:
        raise unknown_encoding(error) from error
    except UNREADABLE as error:
        raise unreadable(file, error) from error
    if names is None:
        raise DataError(f"{file} cannot be read as a table: it is empty")
    return [name.strip() or f"Unnamed: {place}" for place, name in enumerate(names)]  # as pandas


def unknown_encoding(error: LookupError) -> DataError:
    """Returns the error of an encoding that Python does not know."""
    return DataError(f"data.dataset.encoding: {error}")


def unreadable(file: Path, error: Exception) -> DataError:
    """Returns the error of a file that is no table, or has another encoding."""
    why = str(error).strip().partition("\n")[0]
    if other := other_reader(file, "csv"):
        why += other
    elif isinstance(error, UnicodeError):
        why += "; data.dataset.encoding names another encoding, such as latin-1 or utf-16"
    return DataError(f"{file} cannot be read as a table: {why}")


def opened_binary(file: Path) -> IO[bytes]:
    """Opens a text table, which may be packed, as bytes."""
    opened: Any = _PACKED.get(file.suffix.lower(), open)
    return opened(file, "rb")


def opened_text(file: Path, encoding: str) -> io.TextIOWrapper:
    """Opens a text table, which may be packed, as text with its own line ends."""
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    codecs.lookup(encoding)  # raises for one that is not known, before the file is open
    return io.TextIOWrapper(opened_binary(file), encoding=encoding, newline="")


def _delimiter(dialect: Dialect) -> str:
    return " " if dialect.separator == SPACES else dialect.separator


def check_lines(file: Path, dialect: Dialect) -> None:
    """Checks the lines of a table.

    Raises:
        DataError: a line has more or fewer values than there are columns, or repeats the header;
            or two columns have the same name.

    """
    separator, header = _delimiter(dialect), list(dialect.columns)
    try:
        with opened_text(file, dialect.encoding) as text:
            is_simple = not (dialect.comment or dialect.columns or dialect.separator == SPACES)
            if is_simple and _is_plain(text, separator):
                return
            text.seek(0)
            rows = csv.reader(_tidied(text, dialect), delimiter=separator, skipinitialspace=True)
            for row in rows:
                if len(row) == len(header) and row != header:
                    continue
                if not row or (len(row) == 1 and not row[0].strip()):  # an empty line
                    continue
                place = f"{file}, line {rows.line_num}"
                if not header:
                    header = row
                    _check_names(header, place)
                elif row == header:
                    raise DataError(f"{place}: the header again; remove it")
                else:
                    misfit = _misfit(row, header, separator)
                    if dialect.columns:
                        misfit = misfit.replace("the header", "data.dataset.columns")
                    raise DataError(f"{place}: {misfit}")
    except UNREADABLE as error:
        raise unreadable(file, error) from error


def only_text(lines: Iterable[str]) -> Iterator[str]:
    """Yields the lines of a text.

    Raises:
        ValueError: it is none, or a damaged one. pandas would end a value at the NUL.

    """
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise ValueError(f"line {number} has a NUL character, which no text has")
        yield line


def _tidied(lines: Iterable[str], dialect: Dialect) -> Iterator[str]:
    """Yields the lines without comments, and with one space where there may be several."""
    for line in only_text(lines):
        begin = line.find(dialect.comment) if dialect.comment else -1
        while begin >= 0 and line[:begin].count('"') % 2:  # within a quoted value
            begin = line.find(dialect.comment or "", begin + 1)
        line = line if begin < 0 else line[:begin]
        yield " ".join(line.split()) if dialect.separator == SPACES else line


def _is_plain(lines: Iterable[str], separator: str) -> bool:
    """Returns whether the lines are correct as far as counting separators shows, which is fast."""
    remaining = iter(lines)
    header = next(remaining, "").rstrip("\r\n")
    names = [name.strip() for name in header.split(separator)]
    separators = len(names) - 1
    return (
        not {'"', "\0"} & {*header}
        and len(set(names)) == len(names)
        and all(
            line.count(separator) == separators
            and '"' not in line
            and "\0" not in line
            and line.rstrip("\r\n") != header
            for line in remaining
        )
    )


def _check_names(header: Sequence[str], place: str) -> None:
    names = [name.strip() for name in header]
    for name in names:
        if name and names.count(name) > 1:
            raise DataError(
                f"{place}: {names.count(name)} columns are called {name!r}; rename them"
            )


def _misfit(row: list[str], header: list[str], separator: str) -> str:
    counts = f"{len(row)} values, and the header has {len(header)} names"
    if len(row) > len(header) and not row[-1]:
        return (
            f"{counts}; remove the {separator!r} at the end of the line, or end the header so, too"
        )
    if len(row) > len(header):
        return (
            f"{counts}; a value with a {separator!r} in it stands in quotation marks, and an index "
            "needs a name or is left out (index=False in pandas)"
        )
    if not header[-1]:
        return f"{counts}; remove the {separator!r} at the end of the header"
    return f"{counts}; a missing value still needs its {separator!r}"
