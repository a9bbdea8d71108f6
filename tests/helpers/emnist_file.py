"""Files of exactly the format in which TFF publishes EMNIST, of any size, filled with noise."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

FILE = "emnist_all.sqlite"
# As TFF's own writer makes them.
TABLES = """
CREATE TABLE examples (
    split_name TEXT NOT NULL, client_id TEXT NOT NULL, serialized_example_proto BLOB NOT NULL);
CREATE TABLE client_metadata (
    client_id TEXT NOT NULL, split_name TEXT NOT NULL, num_examples INTEGER NOT NULL);
"""
# Without it TFF would read the whole file for each client.
INDEX = "CREATE INDEX client_of_example ON examples (client_id, split_name);"


def writer_name(writer: int) -> str:
    return f"f{writer:04d}_{writer % 100:02d}"


def write_emnist(
    file: Path, sizes: Mapping[str, Sequence[int]], index: str = INDEX, mixed: bool = False
) -> None:
    """Writes so many digits of each writer into each split; `mixed`, in any order of writers."""
    with sqlite3.connect(file) as database:
        database.executescript(f"PRAGMA synchronous = OFF; {TABLES} {index}")
        for split, counts in sizes.items():
            writers = np.repeat(np.arange(len(counts)), counts)
            if mixed:
                writers = np.random.default_rng(0).permutation(writers)
            rows = [_rows(split, writer, count) for writer, count in enumerate(counts)]
            database.executemany(
                "INSERT INTO examples VALUES (?, ?, ?)", (next(rows[w]) for w in writers.tolist())
            )
            database.executemany(
                "INSERT INTO client_metadata VALUES (?, ?, ?)",
                ((writer_name(i), split, int(count)) for i, count in enumerate(counts)),
            )


def digits(split: str, writer: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the digits of a writer, float32 (count, 28, 28), and their labels, int (count,)."""
    rng = np.random.default_rng([len(split), writer])
    labels = rng.integers(10, size=count)
    x = rng.random((count, 28, 28), np.float32) * (labels + 1)[:, None, None].astype(np.float32)
    return x / np.float32(10), labels


def _rows(split: str, writer: int, count: int) -> Iterator[tuple[str, str, bytes]]:
    for pixels, label in zip(*digits(split, writer, count)):
        yield split, writer_name(writer), _message(pixels, int(label))


def _message(pixels: np.ndarray, label: int) -> bytes:
    """Returns a `tf.train.Example`, put together by hand, as that is quick."""
    features = _entry(b"label", _field(3, _field(1, bytes([label]))))
    features += _entry(b"pixels", _field(2, _field(1, pixels.tobytes())))
    return _field(1, features)


def _entry(key: bytes, feature: bytes) -> bytes:
    return _field(1, _field(1, key) + _field(2, feature))


def _field(number: int, content: bytes) -> bytes:
    """Returns a length-delimited field of a protocol buffer."""
    length, size = b"", len(content)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content
