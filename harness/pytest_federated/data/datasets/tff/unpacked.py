"""TFF's `ClientData`, decoded once into files that are memory-mapped from then on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pytest_federated.core.files import replacing, write_text
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.datasets.rows import Joined, mapped

if TYPE_CHECKING:
    import tensorflow_federated as tff

_NAMES = "clients.json"
_BATCH = 4096  # examples that TensorFlow decodes at a time

# From the columns of one batch, as TFF's loader names them, to examples: x may be uint8.
Convert = Callable[[Any], Examples]


class Unpacked:
    """The examples of the clients of one `ClientData`, in one file for each client.

    A client is decoded when its examples are first asked for. Its file holds the labels, int
    (n, ...), and then the features (n, ...), both as .npy. A file appears complete or not at all,
    so that several processes can share the folder, and a truncated one is written again.
    """

    def __init__(
        self,
        folder: Path,
        open_data: Callable[[], tff.simulation.datasets.ClientData],
        convert: Convert,
        *,
        batch: int = _BATCH,
        max_rows: Optional[int] = None,
    ) -> None:
        """`open_data` is called only for what is not in `folder`; its errors are passed on.

        `batch` rows are converted at a time; it must be 1 where rows differ in shape. At most
        `max_rows` rows are taken from each client.
        """
        self._batch, self._max_rows = batch, max_rows
        self._folder, self._convert = folder, convert
        self._open_data = open_data
        self._data: Any = None
        self.names = self._read_names()
        self._position = {name: i for i, name in enumerate(self.names)}

    def examples(self, clients: Sequence[str]) -> tuple[Examples, np.ndarray]:
        """Returns the examples of `clients`, in order, and how many each has, int (clients,).

        Labels are read; features remain in their files.
        """
        labels = []
        shape, dtype = (1,), np.dtype(np.float32)
        for name in clients:
            y, x = self._client(name)
            labels.append(y)
            if len(y):  # a client without examples has no shape
                shape, dtype = x.shape[1:], x.dtype
        sizes = np.array([len(y) for y in labels], np.int64)
        x = Joined(lambda i: self._client(clients[i])[1], sizes, shape, dtype)
        return Examples(x, _joined(labels, np.empty(0, np.int32))), sizes

    def _read_names(self) -> list[str]:
        file = self._folder / _NAMES
        try:
            names = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            names = [str(n) for n in self._opened().client_ids]
            write_text(file, json.dumps(names))
        return names

    def _opened(self) -> Any:
        if self._data is None:
            self._data = self._open_data()
        return self._data

    def _client(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns labels, and memory-mapped features."""
        file = self._folder / f"{self._position[name]}.npy"
        try:
            return _read(file)
        except (OSError, ValueError, EOFError):  # not there yet, or truncated
            self._unpack(file, name)
        return _read(file)

    def _unpack(self, file: Path, name: str) -> None:
        rows = self._opened().create_tf_dataset_for_client(name)
        rows = rows if self._max_rows is None else rows.take(self._max_rows)
        batches = rows.batch(self._batch).as_numpy_iterator()
        parts = [self._convert(batch) for batch in batches]
        y = _joined([p.y for p in parts], np.empty(0, np.int32))
        y = y if y.dtype == np.int8 else y.astype(np.int32)
        x = _joined([p.x for p in parts], np.empty((0, 1), np.float32))
        with replacing(file) as out:
            np.save(out, y)
            np.save(out, x)


def _joined(parts: Sequence[np.ndarray], if_empty: np.ndarray) -> np.ndarray:
    """Concatenates arrays, without empty ones, whose shape means nothing."""
    return np.concatenate([p for p in parts if len(p)] or [if_empty])


def _read(file: Path) -> tuple[np.ndarray, np.ndarray]:
    with file.open("rb") as opened:
        labels = np.load(opened, allow_pickle=False)
        return labels, mapped(file, opened.tell())


def folder_for(source: Path, cache: Path, name: str) -> Path:
    """Returns the folder for data unpacked from `source`, by its size and modification time.

    Data unpacked from an earlier file of that name is removed.
    """
    stat = source.stat()
    folder = cache / "unpacked" / name / f"{stat.st_size:x}-{stat.st_mtime_ns:x}"
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder
