"""Which data set reads a file, by its suffix."""

from __future__ import annotations

from pathlib import Path

PARQUET = (".parquet", ".pq")
_READERS = {
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys(PARQUET, "parquet"),
    ".npz": "npz",
}


def other_reader(file: Path, kind: str) -> str:
    """Returns the end of a message: which data set reads such a file, where it is not `kind`."""
    reader = _READERS.get(file.suffix.lower(), kind)
    return "" if reader == kind else f"; such a file is read by the data set {reader!r}"
