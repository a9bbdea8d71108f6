"""Checks that each line of a text table has one value for each name in the header.

pandas does not: where lines are longer than the header, it takes the first column as an index, so
that all others move by one; it fills up shorter lines; and it renames columns of the same name.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytest_federated.core.errors import DataError


def _in_zip(file: Path, mode: str, **options: Any) -> io.TextIOWrapper:
    archive = zipfile.ZipFile(file)
    return io.TextIOWrapper(archive.open(archive.namelist()[0]), **options)


_PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zip": _in_zip}


def check_lines(file: Path, separator: str) -> None:
    """Checks the lines of a table with this separator between columns.

    Raises:
        DataError: a line has more or fewer values than the header has names, or repeats the
            header; or two names are the same.

    """
    header: list[str] = []
    opened: Any = _PACKED.get(file.suffix.lower(), open)
    try:
        with opened(file, "rt", encoding="utf-8-sig", newline="") as text:
            if _is_plain(text, separator):
                return
            text.seek(0)
            rows = csv.reader(text, delimiter=separator)
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
                    raise DataError(f"{place}: {_misfit(row, header, separator)}")
    except (OSError, ValueError, EOFError, csv.Error, lzma.LZMAError) as error:
        raise DataError(f"{file} cannot be read as a table: {error}") from error


def _is_plain(lines: Iterable[str], separator: str) -> bool:
    """Returns whether the lines are correct as far as counting separators shows, which is fast."""
    remaining = iter(lines)
    header = next(remaining, "").rstrip("\r\n")
    names = header.split(separator)
    separators = len(names) - 1
    return (
        '"' not in header
        and len(set(names)) == len(names)
        and all(
            line.count(separator) == separators
            and '"' not in line
            and line.rstrip("\r\n") != header
            for line in remaining
        )
    )


def _check_names(header: list[str], place: str) -> None:
    for name in header:
        if name.strip() and header.count(name) > 1:
            raise DataError(
                f"{place}: {header.count(name)} columns are called {name!r}; rename them"
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
    return f"{counts}; where a value is missing, its {separator!r} still has to stand"
