"""The user's own images, listed in a table with their labels and clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Dataset, datasets
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.images import Images
from pytest_federated.data.datasets.files.lines import Dialect
from pytest_federated.data.datasets.files.meaning import listed
from pytest_federated.data.datasets.files.missing import Columns
from pytest_federated.data.datasets.files.table_columns import column_names, read_columns
from pytest_federated.data.datasets.files.tables import (
    ColumnNames,
    Labels,
    Separator,
)
from pytest_federated.user.files import UserPath, find, nearest

_PARTS = ("train", "test")


def _glance(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields the keys that name no column; see `Spec.glance`."""
    file = find(settings.image_manifest, "data.dataset.image_manifest")
    names = column_names(file, Dialect.of(vars(settings)))
    for key in ("path", "label", "client", "split"):
        value = getattr(settings, key)
        for name in listed(value) if value is not None else ():
            if message := shared.unknown_name(name, names, key, str(file), "column"):
                yield key, message


def _reads(settings: Any, cache: Cache) -> Sequence[Path]:
    """Returns the images that the manifest lists: what is learned depends on them, too."""
    file = find(settings.image_manifest, "data.dataset.image_manifest")
    columns = read_columns(file, Dialect.of(vars(settings)))
    return _Manifest(file, columns, settings.path).images


@datasets(
    "image_manifest",
    has_test_set="split",
    facts=shared.FACTS,
    packages=("pandas", "pillow"),
    reads=_reads,
    glance=_glance,
)
def image_manifest(
    cache: Cache,
    *,
    image_manifest: UserPath,
    path: Annotated[str, Field(description="The column of the images' paths.")] = "path",
    label: Labels = "label",
    task: shared.Task = "label",
    client: shared.Client = None,
    split: Annotated[
        Optional[str], Field(description="The column that says train or test for each image.")
    ] = None,
    channels: shared.Channels = 3,
    size: shared.ImageSize = None,
    separator: Separator = ",",
    columns: ColumnNames = None,
) -> Dataset:
    """Your images, listed in a table: `{image_manifest: scans.csv, label: finding}`.

    A row is an image: `path` names the column of its file, relative to the folder of the table and
    below it. `label` (or with `task: tags` several columns) and `client` are as for `csv`, and all
    other columns are left out; the images are read as those of `image_folder`, to `size: [height,
    width]` and `channels`. `split` names a column whose values are `train` or `test`: the images
    for testing are the test set and, with `client`, each natural client is tested on its own. The
    table is text (`separator` and `columns` are those of `csv`) or, by its suffix `.parquet`,
    Parquet. Trainings are repeated when an image changes.

    Raises:
        DataError: no such file or column, paths that leave the folder or name no file, images of
            several sizes, broken ones, or ones that are in both parts of `split`.

    """
    file = find(image_manifest, "data.dataset.image_manifest")
    table = read_columns(file, Dialect(separator, columns=columns or ()))
    labels = listed(label)
    for key, names in (
        ("label", labels),
        ("client", [client] if client else []),
        ("split", [split] if split else []),
    ):
        for name in names:
            shared.require_name(name, table, key, str(file), "column")
    manifest = _Manifest(file, table, path)
    scaled_size = None if size is None else (size[0], size[1])

    def source(rows: np.ndarray, of_part: str) -> shared.Source:
        y = table[labels[0]] if len(labels) == 1 else np.stack([table[c] for c in labels], 1)
        return shared.Source(
            manifest.read(rows, channels, scaled_size),
            y[rows],
            str(file),
            f"column{'s' if len(labels) > 1 else ''} {', '.join(map(repr, labels))}{of_part}",
            None if client is None else table[client][rows],
            f"column {client!r}{of_part}",
        )

    if split is None:
        return shared.dataset(file.name, source(np.arange(len(manifest)), ""), task=task)
    rows_of = manifest.parts(table[split], split)
    train, test = (source(rows_of[p], f" of the rows with {split} {p}") for p in _PARTS)
    return shared.dataset(file.name, train, test, task=task)


class _Manifest:
    """The images of a table.

    Attributes:
        images: the file of each row.

    """

    def __init__(self, file: Path, columns: Columns, path: str) -> None:
        """Finds all images, and opens none.

        Raises:
            DataError: there is no column `path`, or a path leaves the folder or names no file.

        """
        shared.require_name(path, columns, "path", str(file), "column")
        self._file = file
        self._names = columns[path]
        place = f"{file}: column {path!r}"
        self.images = [
            _image(file.parent, name, f"{place}, row {row}")
            for row, name in enumerate(columns[path].tolist(), start=1)
        ]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, rows: np.ndarray, channels: int, size: Optional[tuple[int, int]]) -> Images:
        """Returns the images of some rows, int (m,)."""
        names = [f"{self._file}, row {row + 1}: {self._names[row]}" for row in rows]
        return Images([self.images[row] for row in rows], names, channels, size)

    def parts(self, column: np.ndarray, name: str) -> dict[str, np.ndarray]:
        """Returns the rows, int (m,), whose value in a column is train, and those with test.

        Raises:
            DataError: there are other values, one of the two is missing, or an image is in both.

        """
        place = f"{self._file}: column {name!r}"
        words = [str(value).strip().lower() for value in column.tolist()]
        for row, word in enumerate(words, start=1):
            if word not in _PARTS:
                raise DataError(
                    f"{place}, row {row}: {column[row - 1]!r} is neither train nor test; "
                    "data.validation_fraction takes images for validation from those with train"
                )
        rows = {p: np.flatnonzero([word == p for word in words]) for p in _PARTS}
        for part, own in rows.items():
            if not len(own):
                raise DataError(f"{place}: no row has {part}")
        train = {self.images[row] for row in rows["train"]}
        for row in rows["test"]:
            if self.images[row] in train:
                raise DataError(
                    f"{place}, row {row + 1}: {self._names[row]!r} is for testing, and in another "
                    "row for training"
                )
        return rows


def _image(folder: Path, name: Any, place: str) -> Path:
    """Returns the file of an image below a folder.

    Raises:
        DataError: the path leaves the folder, or names no file.

    """
    if not isinstance(name, str):
        is_missing = name is None or name != name
        raise DataError(
            f"{place}: " + ("the path is missing" if is_missing else f"{name!r} is no path")
        )
    path = PurePosixPath(name.strip())
    if path.is_absolute() or ".." in path.parts:
        raise DataError(
            f"{place}: {name!r} leaves the folder of the table; paths are relative to it, and below"
        )
    file = folder / path
    if not file.is_file():
        hint = "; folders are separated by /" if "\\" in name else nearest([file])
        raise DataError(f"{place}: there is no file {name!r} in {folder}{hint}")
    return file
