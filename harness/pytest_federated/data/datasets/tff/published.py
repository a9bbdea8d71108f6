"""The data sets that TFF publishes as SQLite files, through TFF's own loaders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np

from pytest_federated.core.errors import DataError, DataUnavailable, FederatedError
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Loaded, TaskKind
from pytest_federated.data.datasets.download import download
from pytest_federated.data.datasets.tff.decoded import Batch, Decoded, folder_for
from pytest_federated.data.datasets.tff.sql import SqlSplit
from pytest_federated.tff.imports import import_tff
from pytest_federated.tff.messages import Fields, parser

# From some rows to their examples, and how many of these come from each row: one number, or int
# (rows,).
Convert = Callable[[Fields], tuple[Examples, Union[int, np.ndarray]]]

_URL = "https://storage.googleapis.com/tff-datasets-public/"  # from where TFF reads them


@dataclass(frozen=True)
class Published:
    """One file that TFF publishes.

    Attributes:
        name: the name of the data set in scenario files.
        title: its name in messages.
        file: the name of the file in the cache folder.
        load: reads it, given the module `tff.simulation.datasets` and the folder: a `ClientData`
            for training and one for testing.
        splits: what they are called in the file.

    """

    name: str
    title: str
    file: str
    load: Callable[[Any, str], tuple[Any, Any]]
    splits: tuple[str, str] = ("train", "test")

    def dataset(
        self,
        cache: Cache,
        form: str,
        num_classes: int,
        convert: Convert,
        *,
        choose_tested: Optional[Callable[[list[str]], Sequence[str]]] = None,
        finish: Callable[[Examples], Examples] = lambda examples: examples,
        task: TaskKind = "label",
        max_rows: Optional[int] = None,
    ) -> Dataset:
        """Returns the data set; fetches the file first if it is not in the cache.

        Args:
            cache: holds the file, and what is decoded from it.
            form: names the folder for examples that are converted in this way.
            num_classes: number of labels.
            convert: see `Convert`.
            choose_tested: from the names of the clients with test examples to those of the clients
                whose test examples are the test set; None for the clients that take part, each of
                which is tested on its own.
            finish: applied to the decoded examples, without reading them.
            task: what the labels are.
            max_rows: rows that are read of each client, at most.

        Raises:
            DataUnavailable: it is not in the cache, and cannot be downloaded.
            DataError: the cached file is not what TFF wrote.

        """
        self.fetch(cache.folder)
        file = cache.folder / self.file
        folder = folder_for(file, cache.folder, self.name) / form

        def side(split: SqlSplit) -> Decoded:
            def decode(clients: Sequence[str]) -> Iterator[Batch]:
                client_data, _ = self.load(import_tff().simulation.datasets, str(cache.folder))
                parse = parser(client_data.element_type_structure)
                for rows in split.rows(clients, f"decoding {self.name}", max_rows):
                    examples, count = convert(parse(rows.messages))
                    yield Batch(np.repeat(rows.clients, count), examples)

            return Decoded(folder / split.name, decode)

        train, test = (SqlSplit(file, name) for name in self.splits)
        try:
            names = train.clients()
        except Exception as error:
            raise self._broken(cache, error) from error

        def load(wanted: Optional[Sequence[str]]) -> Loaded:
            clients = names if wanted is None else wanted
            try:
                examples, sizes = side(train).examples(clients)
                tested = choose_tested(test.clients()) if choose_tested else clients
                held_out, held = side(test).examples(tested)
            except Exception as error:
                raise self._broken(cache, error) from error
            natural = np.repeat(np.arange(len(sizes)), sizes)
            own = None if choose_tested else np.repeat(np.arange(len(held)), held)
            return Loaded(finish(examples), natural, finish(held_out), own)

        return Dataset(self.name, num_classes, names, load, task)

    def fetch(self, folder: Path) -> None:
        """Has TFF download the file into `folder`, complete or not at all, unless it is there.

        Raises:
            DataUnavailable: it cannot be downloaded, or cannot be written.

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
        if isinstance(error, OSError):  # from writing here; TensorFlow and SQLite raise others
            return DataUnavailable(
                f"{self.name} cannot be decoded ({error.strerror}); choose a folder with "
                "--fed-data-cache"
            )
        return DataError(
            f"{cache.folder / self.file} is not the {self.title} file of TFF (incomplete?); delete "
            "it to have it fetched again"
        )


def _is_whole(file: Path) -> bool:
    """Returns whether an SQLite file has the length that its header states.

    TFF does not notice a download that ends early, and SQLite only when it reads a missing page.
    Source: https://www.sqlite.org/fileformat.html, section 1.3 (page size, in-header size).
    """
    with file.open("rb") as opened:
        header = opened.read(100)
    page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    return file.stat().st_size >= (65536 if page == 1 else page) * max(pages, 1) > 0
