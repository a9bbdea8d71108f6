"""How a text table is written: from its first lines."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.files.lines import SPACES, only_text, opened_binary, opened_text

_LINES = 200  # that are looked at
_BLOCK = 1 << 20
_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", SPACES: "spaces"}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|nan|inf|-inf", re.IGNORECASE)
_WITH_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")


@dataclass(frozen=True)
class WrittenAs:
    """The keys of `csv` that describe a file, where they are not the defaults, with reasons."""

    settings: dict[str, Any]
    reasons: dict[str, str]


def written_as(file: Path) -> WrittenAs:
    """Guesses the dialect of a text table.

    Raises:
        DataError: the first line has other columns than the others.
        OSError: it cannot be read.

    """
    settings: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    encoding = _encoding(file)
    if encoding != "utf-8":
        settings["encoding"], reasons["encoding"] = encoding, "the file is not UTF-8"
    lines, comments = _first_lines(file, encoding)
    if comments:
        settings["comment"], reasons["comment"] = "#", f"{len(comments)} line(s) begin with it"
    separator = _separator(lines)
    rows = _rows(lines, separator)
    if separator != ",":
        many = len(rows[0]) if rows else 0
        settings["separator"] = separator
        reasons["separator"] = f"{_NAMES[separator]} between {many} columns"
    cells = [cell for row in rows[1:] for cell in row]
    with_comma = sum(bool(_WITH_COMMA.fullmatch(cell)) for cell in cells)
    with_point = sum("." in cell and bool(_NUMBER.fullmatch(cell)) for cell in cells)
    decimal = "," if separator != "," and with_comma > with_point else "."
    if decimal == ",":
        settings["decimal"] = ","
        example = next(cell for cell in cells if _WITH_COMMA.fullmatch(cell))
        reasons["decimal"] = f"numbers such as {example}"
    _require_columns(rows, file)
    if rows and not _has_header(rows, decimal):
        names = _names_of(comments, separator, len(rows[0]))
        settings["columns"] = names or [f"column_{n}" for n in range(1, len(rows[0]) + 1)]
        reasons["columns"] = (
            "named in a comment" if names else "the first line holds values, not names"
        )
    return WrittenAs(settings, reasons)


def _encoding(file: Path) -> str:
    """Returns utf-8, utf-16, that of Windows, or what reads any byte."""
    with opened_binary(file) as opened:
        if opened.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
    return next(name for name in ("utf-8", "cp1252", "latin-1") if _reads(file, name))


def _reads(file: Path, encoding: str) -> bool:
    """Returns whether all bytes of a file are characters; latin-1 has one for each byte."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with opened_binary(file) as opened:
        try:
            while block := opened.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _first_lines(file: Path, encoding: str) -> tuple[list[str], list[str]]:
    """Returns the first lines of the table, and the comments above and between them."""
    lines: list[str] = []
    comments: list[str] = []
    with opened_text(file, encoding) as text:
        for line in only_text(text):
            if line.startswith("#"):
                comments.append(line)
            elif line.strip():
                lines.append(line)
            if len(lines) == _LINES:
                break
    return lines, comments


def _separator(lines: Sequence[str]) -> str:
    """Returns what is between the columns, by which all lines have as many of them."""
    best, best_score = ",", 0.0
    for separator in _SEPARATORS:
        rows = _rows(lines, separator)
        counts = Counter(map(len, rows))
        columns, times = counts.most_common(1)[0] if counts else (0, 0)
        if columns < 2:
            continue
        cells = [cell for row in rows for cell in row]
        others = [s for s in _SEPARATORS if s != separator]
        clean = sum(
            bool(_WITH_COMMA.fullmatch(cell)) or not any(other in cell for other in others)
            for cell in cells
        )
        score = times / len(rows) * clean / len(cells)
        if score > best_score:
            best, best_score = separator, score
    if best_score < 0.9:
        rows = _rows(lines, SPACES)
        counts = Counter(map(len, rows))
        if counts and counts.most_common(1)[0][0] >= 2 and len(counts) == 1:
            return SPACES
    return best


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    if separator == SPACES:
        return [line.split() for line in lines]
    try:
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        return [[cell.strip() for cell in row] for row in rows if row]
    except csv.Error:
        return []


def _has_header(rows: Sequence[Sequence[str]], decimal: str) -> bool:
    """Returns whether the first line names the columns.

    It does where a column of numbers begins with a text, and where no column has numbers and the
    first line's texts are not found again.
    """
    first, others = rows[0], rows[1:]
    if not others:
        return True
    of_numbers = [
        place
        for place in range(len(first))
        if any(row[place : place + 1] for row in others)
        and all(_is_number(cell, decimal) for row in others for cell in row[place : place + 1])
        and any(cell for row in others for cell in row[place : place + 1])
    ]
    if of_numbers:
        return not all(first[place] and _is_number(first[place], decimal) for place in of_numbers)
    again = {cell for row in others for cell in row}
    return not any(cell in again for cell in first if cell)


def _is_number(cell: str, decimal: str) -> bool:
    return not cell or bool(_NUMBER.fullmatch(cell.replace(",", ".") if decimal == "," else cell))


def _names_of(comments: Sequence[str], separator: str, count: int) -> list[str]:
    """Returns the names of the columns that a comment above them has; empty if none does."""
    for line in reversed(comments):
        (names,) = _rows([line.lstrip("#")], separator) or [[]]
        if len({*names}) == len(names) == count and all(names):
            return names
    return []


def _require_columns(rows: Sequence[Sequence[str]], file: Path) -> None:
    """Raises DataError if the first line has other columns than all the others."""
    counts = {len(row) for row in rows[1:]}
    if len(rows) > 2 and len(counts) == 1 and len(rows[0]) not in counts:
        (columns,) = counts
        raise DataError(
            f"{file}: {len(rows[0])} values in the first line, and {columns} in the others; write "
            f"the names of the {columns} columns there, or remove the line"
        )
