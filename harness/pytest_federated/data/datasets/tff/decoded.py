"""Federated data, decoded once into a file for each field, which is memory-mapped from then on."""

from __future__ import annotations

import json
import math
import mmap
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import IO, Any, Callable, NamedTuple

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.files import locked, write_text
from pytest_federated.data.datasets.dataset import Examples

_INDEX, _FILES = "index.json", ("x", "y", "client")
_BLOCK_BYTES = 1 << 18  # of rows that have a checksum of their own


class Batch(NamedTuple):
    """Some examples, and whose they are: int (m,), positions in the names that were asked for.

    Examples of different clients may be mixed; those of one client are in their order.
    """

    clients: np.ndarray
    examples: Examples


# From the names of clients to all of their examples.
Decode = Callable[[Sequence[str]], Iterator[Batch]]


class Decoded:
    """The examples of the clients of one side of a data set, in a folder.

    It has the files `x`, `y` and `client`, with a row for each example, and an index of whom they
    hold, and how many rows. The examples of clients that are asked for and not held are decoded and
    appended. The index is replaced after that: what was appended by a process that was killed, or
    until the disk was full, is in no index, and the next one overwrites it. One process at a time
    appends. Files of the wrong size, and rows with another checksum than when they were written,
    are not used, but made anew.
    """

    def __init__(self, folder: Path, decode: Decode) -> None:
        self._folder, self._decode = folder, decode

    def examples(self, clients: Sequence[str]) -> tuple[Examples, np.ndarray]:
        """Returns the examples of `clients`, in order, and how many each has, int (clients,).

        Labels are read; features remain in their file. Errors of decoding are passed on.
        """
        with locked(self._folder / "lock"):
            try:
                held = self._held(clients)
            except _DamagedError:
                self._clear()
                held = self._held(clients)
        return held

    def _held(self, clients: Sequence[str]) -> tuple[Examples, np.ndarray]:
        index = self._index()
        missing = [name for name in clients if name not in index.clients]
        if missing:
            index = self._appended(index, missing)
        if not index.fields:  # these clients have no examples
            nothing = Examples(np.empty((0, 1), np.float32), np.empty(0, np.int32))
            return nothing, np.zeros(len(clients), np.int64)
        rows: dict[str, Any] = {
            name: _Rows(self._folder / name, index.fields[name], self._clear) for name in _FILES
        }
        owners = rows["client"][:]
        order = np.argsort(owners, kind="stable")
        sizes = np.bincount(owners, minlength=len(index.clients))
        ends = np.cumsum(sizes)
        wanted = np.array([index.clients[name] for name in clients], np.int64)
        positions = [order[ends[i] - sizes[i] : ends[i]] for i in wanted]
        every = Examples(rows["x"], rows["y"])
        return every.select(np.concatenate([np.empty(0, np.int64), *positions])), sizes[wanted]

    def _index(self) -> _Index:
        """Returns what is held; removes what does not fit together."""
        try:
            stored = json.loads((self._folder / _INDEX).read_text(encoding="utf-8"))
            fields = {name: _Field(*stored["fields"][name]) for name in _FILES}
            for name, field in fields.items():
                if (self._folder / name).stat().st_size < field.bytes:
                    raise ValueError(f"{name} ends early")
            return _Index({name: i for i, name in enumerate(stored["clients"])}, fields)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._clear()
            return _Index({}, {})

    def _appended(self, index: _Index, missing: Sequence[str]) -> _Index:
        """Decodes clients, and returns the index with them."""
        names, fields = [*index.clients, *missing], dict(index.fields)
        before = {name: field.bytes for name, field in fields.items()}
        try:
            self._append(fields, len(index.clients), missing)
        except BaseException:
            for name in _FILES:
                with suppress(OSError):
                    os.truncate(self._folder / name, before.get(name, 0))
            raise
        stored = {"clients": names, "fields": {n: astuple(field) for n, field in fields.items()}}
        write_text(self._folder / _INDEX, json.dumps(stored))
        return _Index({name: i for i, name in enumerate(names)}, fields)

    def _append(self, fields: dict[str, _Field], begin: int, missing: Sequence[str]) -> None:
        """Writes the rows of clients, whose positions begin with `begin`, onto the disk."""
        with ExitStack() as opened:
            files: dict[str, IO[bytes]] = {}
            for clients, examples in self._decode(missing):
                if not len(examples):
                    continue
                labels = examples.y if examples.y.dtype == np.int8 else examples.y.astype(np.int32)
                owners = (begin + clients).astype(np.int32)
                for name, values in {"x": examples.x, "y": labels, "client": owners}.items():
                    rows = np.ascontiguousarray(values)
                    field = fields.setdefault(
                        name, _Field(rows.dtype.str, [0, *rows.shape[1:]], [])
                    )
                    if name not in files:
                        files[name] = opened.enter_context(_open(self._folder / name, field.bytes))
                    files[name].write(rows.data)
                    field.extend(rows)
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())

    def _clear(self) -> None:
        """Removes what is held; whoever has mapped it keeps it."""
        for name in (_INDEX, *_FILES):
            (self._folder / name).unlink(missing_ok=True)


@dataclass
class _Field:
    """A file: the type of its values, its shape, and the checksums of its blocks of rows."""

    dtype: str
    shape: list[int]
    checksums: list[int]

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    @property
    def bytes(self) -> int:
        return self.shape[0] * self.row_bytes

    @property
    def block(self) -> int:
        """The number of rows in a block."""
        return max(1, _BLOCK_BYTES // self.row_bytes)

    def extend(self, rows: np.ndarray) -> None:
        """Adds rows.

        Raises:
            ValueError: they are of another type or shape.

        """
        if [rows.dtype.str, *rows.shape[1:]] != [self.dtype, *self.shape[1:]]:
            raise ValueError(f"examples of {rows.dtype} {rows.shape[1:]} among others")
        begun = self.shape[0] % self.block
        self.shape[0] += len(rows)
        while len(rows):
            so_far = self.checksums.pop() if begun else 0
            self.checksums.append(zlib.crc32(rows[: self.block - begun].data, so_far))
            rows, begun = rows[self.block - begun :], 0


class _Index(NamedTuple):
    """The position of each client that is held, and the files."""

    clients: Mapping[str, int]
    fields: Mapping[str, _Field]


class _DamagedError(DataError):
    """A file is not what was written."""


class _Rows:
    """The rows of a file, which are checked when they are first read."""

    def __init__(self, file: Path, field: _Field, clear: Callable[[], None]) -> None:
        """`clear` is called where a row turns out to be damaged.

        Raises:
            _DamagedError: the file is missing, or too short.

        """
        self.shape, self.dtype = tuple(field.shape), np.dtype(field.dtype)
        self._file, self._field, self._clear = file, field, clear
        self._is_checked = np.zeros(len(field.checksums), bool)
        try:
            with file.open("rb") as opened:
                self._map = mmap.mmap(opened.fileno(), field.bytes, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise _DamagedError(f"{file} cannot be read: {error}") from error
        self._rows = np.frombuffer(self._map, self.dtype).reshape(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice):
            index = np.arange(self.shape[0])[index]
        blocks = index // self._field.block
        for block in np.unique(blocks[~self._is_checked[blocks]]).tolist():
            self._check(block)
        values = self._rows[index]
        # Otherwise all pages that were ever read would count as memory of this process.
        self._map.madvise(mmap.MADV_DONTNEED)
        return values

    def _check(self, block: int) -> None:
        rows = self._rows[block * self._field.block : (block + 1) * self._field.block]
        if zlib.crc32(rows.data) != self._field.checksums[block]:
            self._clear()
            raise _DamagedError(
                f"{self._file} was damaged after it was decoded; it was removed: run again"
            )
        self._is_checked[block] = True


def _open(file: Path, size: int) -> IO[bytes]:
    """Opens a file to append to its first `size` bytes."""
    opened = file.open("r+b" if file.exists() else "wb")
    opened.truncate(size)
    opened.seek(size)
    return opened


def folder_for(source: Path, cache: Path, name: str) -> Path:
    """Returns the folder for what is decoded from `source`, by its size and modification time.

    What was decoded from an earlier file of that name is removed.
    """
    stat = source.stat()
    folder = cache / "decoded" / name / f"{stat.st_size:x}-{stat.st_mtime_ns:x}"
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder
