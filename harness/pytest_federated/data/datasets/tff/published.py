"""The data sets that TFF publishes as SQLite files, through TFF's own loaders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from pytest_federated.core.errors import DataError, DataUnavailable, FederatedError
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Loaded, TaskKind
from pytest_federated.data.datasets.download import download
from pytest_federated.data.datasets.tff.unpacked import Convert, Unpacked, folder_for
from pytest_federated.tff.imports import import_tff

_URL = "https://storage.googleapis.com/tff-datasets-public/"  # TFF reads them from there


@dataclass(frozen=True)
class Published:
    """One file that TFF publishes.

    Attributes:
        name: of the data set in scenario files.
        title: its name in messages.
        file: as it is called in the cache folder, unpacked.
        load: reads it: of (the module `tff.simulation.datasets`, folder), a `ClientData` for
            training and one for testing.

    """

    name: str
    title: str
    file: str
    load: Callable[[Any, str], tuple[Any, Any]]

    def dataset(
        self,
        cache: Cache,
        part: str,
        num_classes: int,
        convert: Convert,
        *,
        tested: Optional[Callable[[list[str]], Sequence[str]]] = None,
        finish: Callable[[Examples], Examples] = lambda examples: examples,
        task: TaskKind = "label",
        most: Optional[int] = None,
    ) -> Dataset:
        """The data set; fetches the file first where it is not in the cache.

        Args:
            cache: where the file is, and what is unpacked from it.
            part: tells apart what is unpacked from the file in several ways.
            num_classes: number of labels.
            convert: see `Unpacked`.
            tested: of the names of the clients with test examples, those whose are the test set;
                None for the clients that take part.
            finish: applied to what was unpacked, without reading it.
            task: what the labels are.
            most: rows of a client that are read at most.

        Raises:
            DataUnavailable: not in the cache, and it cannot be downloaded.
            DataError: the cached file is not what TFF wrote.

        """
        self.fetch(cache.folder)
        file = cache.folder / self.file
        opened: list[tuple[Any, Any]] = []

        def unpacked(side: int) -> Unpacked:
            def open_data() -> Any:
                if not opened:
                    opened.append(self.load(import_tff().simulation.datasets, str(cache.folder)))
                return opened[0][side]

            side_name = ("train", "test")[side]
            folder = folder_for(file, cache.folder, self.name) / part / side_name
            return Unpacked(folder, open_data, convert, most=most)

        try:
            train, test = unpacked(0), unpacked(1)
        except Exception as bad:
            raise self._broken(cache, bad) from bad

        def load(chosen: Optional[Sequence[str]]) -> Loaded:
            clients = train.names if chosen is None else chosen
            try:
                examples, sizes = train.examples(clients)
                held_out, _ = test.examples(tested(test.names) if tested else clients)
            except Exception as bad:
                raise self._broken(cache, bad) from bad
            natural = np.repeat(np.arange(len(sizes)), sizes)
            return Loaded(finish(examples), natural, finish(held_out))

        return Dataset(self.name, num_classes, train.names, load, task)

    def fetch(self, folder: Path) -> None:
        """Has TFF download into `folder` unless the file is there; an aborted one leaves none.

        Raises:
            DataUnavailable: it cannot be downloaded, or not be written.

        """
        if (folder / self.file).is_file():
            return

        def make(staging: Path) -> list[Path]:
            self.load(import_tff().simulation.datasets, str(staging))
            if not _is_whole(staging / self.file):
                raise OSError("the download was cut off")
            return [staging / self.file]

        download(
            self.name,
            folder,
            f"{_URL}{self.file}.lzma",
            make,
            f"run once while online, or put {self.file} into the folder that --fed-data-cache "
            "names",
        )

    def _broken(self, cache: Cache, error: Exception) -> FederatedError:
        if isinstance(error, OSError):  # of our own writing; TensorFlow and SQLite have others
            return DataUnavailable(
                f"{self.name} cannot be unpacked ({error.strerror}); choose a folder with "
                "--fed-data-cache"
            )
        return DataError(
            f"{cache.folder / self.file} is not the {self.title} file of TFF (incomplete?); delete "
            "it to have it fetched again"
        )


def _is_whole(file: Path) -> bool:
    """Whether an SQLite file has the length that its header states.

    TFF notices no download that ends early, and SQLite only when it reads what is missing.
    Source: https://www.sqlite.org/fileformat.html, section 1.3 (page size, in-header size).
    """
    with file.open("rb") as opened:
        header = opened.read(100)
    page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    return file.stat().st_size >= (65536 if page == 1 else page) * max(pages, 1) > 0
