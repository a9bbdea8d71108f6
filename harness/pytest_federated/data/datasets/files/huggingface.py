"""A data set of the package `datasets` (Hugging Face), saved in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Dataset, TaskKind, datasets
from pytest_federated.data.datasets.files import arrow
from pytest_federated.data.datasets.files import columns as own
from pytest_federated.data.datasets.files.images import Images
from pytest_federated.user.files import UserPath, find

if TYPE_CHECKING:
    import pyarrow as pa


@datasets("huggingface", has_test_set="test", facts=own.FACTS, packages=("pyarrow", "pillow"))
def huggingface(
    cache: Cache,
    *,
    huggingface: UserPath,
    features: Annotated[str, Field(description="The column to learn from.")] = "image",
    label: own.Label = "label",
    task: own.Task = "label",
    client: own.Client = None,
    train: Annotated[str, Field(description="The split to train on.")] = "train",
    test: Annotated[Optional[str], Field(description="The split to test on.")] = None,
    channels: own.Channels = 3,
    size: own.ImageSize = None,
) -> Dataset:
    """A folder that `save_to_disk` of Hugging Face's `datasets` wrote: `{huggingface: data/mine}`.

    `features` names the column to learn from: images, which become (height, width, channels) in [0,
    1] as with `image_folder`, or numbers and lists of numbers, as those of `npz`. `label` names the
    column of labels (a `ClassLabel`, whole numbers from 0 up, or text; with `task` a column of
    lists, as for `npz`), `client` that of the natural clients. Where several splits were saved
    together, `train` is the one to train on and `test` the one to test on. Needs pyarrow:
    `pip install 'pytest-federated[arrow]'`; the package `datasets` itself is not needed.

    Source: https://huggingface.co/docs/datasets (`Dataset.save_to_disk`).

    Raises:
        DataUnavailable: pyarrow is not installed.
        DataError: no such folder, split or column, or values that cannot be features or labels.

    """
    own.demand_arrow("huggingface")
    folder = find(huggingface, "data.dataset.huggingface", folder=True)
    to = None if size is None else (size[0], size[1])
    saved = _Saved(folder)
    part = saved.part(train, "train")
    source = part.source(features, label, client, channels, to, task)
    held_out = None
    if test is not None:
        held_out = saved.part(test, "test").source(features, label, None, channels, to, task)
    return own.dataset(folder.name, source, held_out, part.classes(label), task)


class _Saved:
    """What `save_to_disk` left in a folder: one data set, or several splits of one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._splits: Optional[list[str]] = None
        if (folder / "dataset_dict.json").is_file():
            self._splits = [str(s) for s in _json(folder / "dataset_dict.json").get("splits", [])]
        elif not (folder / "state.json").is_file():
            raise DataError(
                f"{folder} was not written by save_to_disk of the package datasets: it has neither "
                "dataset_dict.json nor state.json"
            )

    def part(self, split: str, key: str) -> _Part:
        """One split; `key` of the scenario names it.

        Raises:
            DataError: there is no such split.

        """
        if self._splits is not None:
            own.known(split, self._splits, key, str(self._folder), "split")
            return _Part(self._folder / split)
        if key == "test":
            raise DataError(
                f"{self._folder} is a single split; data.dataset.test needs a DatasetDict"
            )
        return _Part(self._folder)


class _Part:
    """One split."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        features = _json(folder / "dataset_info.json").get("features")
        known = features.items() if isinstance(features, dict) else ()
        self._features = {name: told for name, told in known if isinstance(told, dict)}
        self._table: pa.Table = arrow.read_stream(_files(folder))

    def classes(self, label: str) -> int:
        """How many labels the file says there are; 0 where it does not."""
        return len(self._features.get(label, {}).get("names") or ())

    def source(
        self,
        features: str,
        label: str,
        client: Optional[str],
        channels: int,
        size: Optional[tuple[int, int]],
        task: TaskKind,
    ) -> own.Source:
        for key, name in (("features", features), ("label", label), ("client", client)):
            if name is not None:
                own.known(name, self._table.column_names, key, str(self._folder), "column")
        return own.Source(
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
            return own.features(self._array(name), where, task)
        names = [f"{where}, row {row + 1}" for row in range(len(self._table))]
        encoded = []
        for row, image in enumerate(self._table[name].to_pylist()):
            if image is not None and not (
                isinstance(image, dict) and {"bytes", "path"} <= {*image}
            ):
                raise DataError(f"{where}: no images, as dataset_info.json says, but {image!r:.40}")
            if image is None or (image["bytes"] is None and image["path"] is None):
                raise DataError(f"{names[row]}: nothing stands there")
            encoded.append(Path(image["path"]) if image["bytes"] is None else image["bytes"])
        return Images(encoded, names, channels, size)


def _files(folder: Path) -> list[Path]:
    """Those with the rows of a split, in order."""
    state = folder / "state.json"
    try:
        files = [folder / str(file["filename"]) for file in _json(state)["_data_files"]]
    except (KeyError, TypeError):
        files = []
    if not files:
        raise DataError(f"{state} cannot be read: it should list files under _data_files")
    return files


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as bad:
        raise DataError(f"{file} cannot be read: {bad}") from bad
    if not isinstance(found, dict):
        raise DataError(f"{file} cannot be read: it should hold a mapping")
    return found
