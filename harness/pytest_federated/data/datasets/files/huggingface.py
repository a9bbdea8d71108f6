"""A data set of the package `datasets` (Hugging Face), saved in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Dataset, TaskKind, datasets
from pytest_federated.data.datasets.files import arrow
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.images import Images
from pytest_federated.data.datasets.files.json_files import read_mapping
from pytest_federated.user.files import UserPath, find

if TYPE_CHECKING:
    import pyarrow as pa


def _glance(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields the keys that name no split or column; see `Spec.glance`."""
    saved = _Saved(find(settings.huggingface, "data.dataset.huggingface", folder=True))
    for key in ("train", "test"):
        split = getattr(settings, key)
        if split is None:
            continue
        try:
            folder = saved.folder_of(split, key)
        except DataError as error:
            yield key, str(error)
            continue
        columns = list(columns_of(folder))
        for inner in ("features", "label", *(["client"] if key == "train" else [])):
            name = getattr(settings, inner)
            if columns and name is not None:
                message = shared.unknown_name(name, columns, inner, str(folder), "column")
                if message is not None:
                    yield inner, message
    keys = ("features", "label")
    if message := shared.features_are_labels(
        settings.features, settings.label, keys, settings.huggingface
    ):
        yield "features", message


@datasets(
    "huggingface",
    has_test_set="test",
    facts=shared.FACTS,
    packages=("pyarrow", "pillow"),
    glance=_glance,
)
def huggingface(
    cache: Cache,
    *,
    huggingface: UserPath,
    features: Annotated[str, Field(description="The column to learn from.")] = "image",
    label: shared.Label = "label",
    task: shared.Task = "label",
    client: shared.Client = None,
    train: Annotated[str, Field(description="The split to train on.")] = "train",
    test: Annotated[Optional[str], Field(description="The split to test on.")] = None,
    channels: shared.Channels = 3,
    size: shared.ImageSize = None,
) -> Dataset:
    """A folder that `save_to_disk` of Hugging Face's `datasets` wrote: `{huggingface: data/mine}`.

    `features` names the column to learn from: images, which become (height, width, channels) in [0,
    1] as with `image_folder`, or numbers and lists of numbers, as for `npz`. `label` names the
    column of labels (a `ClassLabel`, whole numbers, or text; with `task` a column of lists, as for
    `npz`), `client` that of the natural clients. If several splits were saved together, `train`
    names the one to train on and `test` the one to test on; if that has the column `client`, too,
    each natural client is tested on its own rows of it. Needs pyarrow: `pip install
    'pytest-federated[arrow]'`; the package `datasets` itself is not needed.

    Source: https://huggingface.co/docs/datasets (`Dataset.save_to_disk`).

    Raises:
        DataUnavailable: pyarrow is not installed.
        DataError: no such folder, split or column, or values that cannot be features or labels.

    """
    shared.require_arrow("huggingface")
    folder = find(huggingface, "data.dataset.huggingface", folder=True)
    keys = ("features", "label")
    if message := shared.features_are_labels(features, label, keys, str(folder)):
        raise DataError(message)
    scaled_size = None if size is None else (size[0], size[1])
    saved = _Saved(folder)
    split = saved.split(train, "train")
    source = split.source(features, label, client, channels, scaled_size, task)
    held_out = None
    if test is not None:
        test_split = saved.split(test, "test")
        own = client if test_split.has(client) else None
        held_out = test_split.source(features, label, own, channels, scaled_size, task)
    return shared.dataset(folder.name, source, held_out, split.label_names(label), task)


class _Saved:
    """A folder written by `save_to_disk`: one split of a data set, or several."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._splits = splits_of(folder)

    def split(self, split: str, key: str) -> _Split:
        """Reads a split, which `key` of the scenario names.

        Raises:
            DataError: there is no such split.

        """
        return _Split(self.folder_of(split, key))

    def folder_of(self, split: str, key: str) -> Path:
        """Returns the folder of a split, which `key` of the scenario names.

        Raises:
            DataError: there is no such split.

        """
        if self._splits is not None:
            shared.require_name(split, self._splits, key, str(self._folder), "split")
            return self._folder / split
        if key == "test":
            raise DataError(
                f"{self._folder} is a single split; data.dataset.test needs a DatasetDict"
            )
        return self._folder


class _Split:
    """One split."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._features = columns_of(folder)
        self._table: pa.Table = arrow.read_stream(_files(folder))

    def has(self, column: Optional[str]) -> bool:
        """Returns whether there is such a column."""
        return column in self._table.column_names

    def label_names(self, label: str) -> list[str]:
        """Returns the names of the labels that the file states; empty if it states none."""
        names = self._features.get(label, {}).get("names")
        return [str(name) for name in names] if isinstance(names, list) else []

    def source(
        self,
        features: str,
        label: str,
        client: Optional[str],
        channels: int,
        size: Optional[tuple[int, int]],
        task: TaskKind,
    ) -> shared.Source:
        for key, name in (("features", features), ("label", label), ("client", client)):
            if name is not None:
                shared.require_name(
                    name, self._table.column_names, key, str(self._folder), "column"
                )
        return shared.Source(
            self._rows(features, channels, size, task),
            self._array(label),
            str(self._folder),
            f"column {label!r}",
            None if client is None else self._array(client),
            f"column {client!r}",
            f"column {features!r}",
        )

    def _array(self, name: str) -> np.ndarray:
        return arrow.array(self._table[name], f"{self._folder}: column {name!r}")

    def _rows(
        self, name: str, channels: int, size: Optional[tuple[int, int]], task: TaskKind
    ) -> Any:
        where = f"{self._folder}: column {name!r}"
        if self._features.get(name, {}).get("_type") != "Image":
            return shared.features(self._array(name), where, task)
        names = [f"{where}, row {row + 1}" for row in range(len(self._table))]
        encoded = []
        for row, image in enumerate(self._table[name].to_pylist()):
            if image is not None and not (
                isinstance(image, dict) and {"bytes", "path"} <= {*image}
            ):
                raise DataError(f"{where}: no images, as dataset_info.json says, but {image!r:.40}")
            if image is None or (image["bytes"] is None and image["path"] is None):
                raise DataError(f"{names[row]}: the image is missing")
            encoded.append(Path(image["path"]) if image["bytes"] is None else image["bytes"])
        return Images(encoded, names, channels, size)


def splits_of(folder: Path) -> Optional[list[str]]:
    """Returns the names of the splits that were saved in a folder together; None for a single one.

    Raises:
        DataError: nothing was saved there, or the names cannot be read.

    """
    file = folder / "dataset_dict.json"
    if file.is_file():
        splits: Any = read_mapping(file).get("splits")
        if not isinstance(splits, list):
            raise DataError(
                f"{file} cannot be read: it should list the names of splits under splits"
            )
        return [str(split) for split in splits]
    if (folder / "state.json").is_file():
        return None
    raise DataError(
        f"{folder} was not written by save_to_disk of the package datasets: it has neither "
        "dataset_dict.json nor state.json"
    )


def columns_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the columns of a split as far as the file states them, with what it says of each.

    That is empty for the older form of a column of lists.
    """
    features: Any = read_mapping(folder / "dataset_info.json").get("features")
    items = features.items() if isinstance(features, dict) else ()
    return {name: stated if isinstance(stated, dict) else {} for name, stated in items}


def _files(folder: Path) -> list[Path]:
    """Returns the files with the rows of a split, in order."""
    state = folder / "state.json"
    try:
        files = [folder / str(file["filename"]) for file in read_mapping(state)["_data_files"]]
    except (KeyError, TypeError):
        raise DataError(f"{state} cannot be read: it should list files under _data_files") from None
    if not files:
        raise DataError(f"{folder}: there are no examples in it")
    return files
