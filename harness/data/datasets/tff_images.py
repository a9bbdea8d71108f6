"""The data sets of large images that TFF keeps as TFRecord files, through its own loaders."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Callable, Literal, Optional

import numpy as np
from pydantic import Field

from harness.data.datasets.base import Cache, Dataset, Examples, Facts, Loaded, datasets
from harness.data.datasets.cifar100 import in_grey_levels
from harness.data.datasets.unpacked import Unpacked, folder_for
from harness.errors import DataError, DataUnavailable
from harness.runtime.imports import import_tff

_TEST = "test.tfRecord"
_INSIDE = "tensorflow_federated.python.simulation.datasets"

Size = Annotated[
    list[Annotated[int, Field(ge=1)]],
    Field(min_length=2, max_length=2, description="Height and width that images are brought to."),
]
_SPECIES = 1203
INaturalistSplit = Literal[
    "user_120k", "geo_100", "geo_300", "geo_1k", "geo_3k", "geo_10k", "geo_30k"
]


@datasets(
    "gldv2",
    has_test_set=True,
    packages=("pillow",),
    facts=Facts(
        examples="23,080, or 164,172 with `variant: 160k`; and TFF's test images",
        shape="128 × 128 × 3",
        labels="203 landmarks, or 2,028",
        natural="233 photographers, or 1,262",
        licence="of each image its own; see the source",
        files="made by TFF's loader, see below",
    ),
)
def gldv2(
    cache: Cache,
    *,
    variant: Annotated[
        Literal["23k", "160k"], Field(description="TFF's gld23k or gld160k.")
    ] = "23k",
    size: Size = [128, 128],  # noqa: B006 - pydantic copies it
) -> Dataset:
    """Federated Google Landmarks v2 of TFF: photographs of landmarks, by who took them.

    `x` is (height, width, 3) float32 in [0, 1], brought to one `size`; the label is the landmark.
    The natural clients are the photographers. The test set is TFF's. Nothing is downloaded: TFF's
    loader fetches all 500 archives of Google Landmarks for either variant, so put the folder that
    it makes, gld23k or gld160k, into the cache folder.

    Source: T.-M. H. Hsu et al., Federated Visual Classification with Real-World Data Distribution,
    ECCV 2020, arXiv:2003.08082;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/gldv2

    Raises:
        DataUnavailable: not in the cache.
        DataError: a cached file is not what TFF wrote.

    """
    is_small = variant == "23k"

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        return tff_datasets.gldv2.load_data(cache_dir=folder, gld23k=is_small)

    records = _Records("gldv2", cache.folder / f"gld{variant}", load)
    return records.dataset(cache, 203 if is_small else 2028, size)


@datasets(
    "inaturalist",
    has_test_set=True,
    packages=("pillow",),
    facts=Facts(
        examples="120,300 + 35,641 for testing",
        shape="128 × 128 × 3",
        labels="1,203 species",
        natural="9,275 observers, or 12 to 3,607 places",
        licence="of each image its own; see the source",
        files="made by TFF's loader, see below",
    ),
)
def inaturalist(
    cache: Cache,
    *,
    clients: Annotated[
        INaturalistSplit, Field(description="Observers, or places: TFF's splits.")
    ] = "user_120k",
    size: Size = [128, 128],  # noqa: B006 - pydantic copies it
) -> Dataset:
    """Federated iNaturalist 2017 of TFF: photographs of species, by observer or by place.

    `x` is (height, width, 3) float32 in [0, 1], brought to one `size`; the label is the species.
    The natural clients are the observers, or places of one of six sizes. The test set is TFF's.
    Nothing is downloaded: TFF's loader fetches the archives of the whole competition, so put the
    folder that it makes, such as user_120k, into the cache folder.

    Source: T.-M. H. Hsu et al., Federated Visual Classification with Real-World Data Distribution,
    ECCV 2020, arXiv:2003.08082;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/inaturalist

    Raises:
        DataUnavailable: not in the cache.
        DataError: a cached file is not what TFF wrote.

    """
    split = clients.upper()
    written, read = cache.folder / clients, cache.folder / split
    if written.is_dir() and not read.exists():  # TFF's loader writes the one and reads the other
        written.rename(read)

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        by = getattr(tff_datasets.inaturalist.INaturalistSplit, split)
        return tff_datasets.inaturalist.load_data(image_dir="", cache_dir=folder, split=by)

    records = _Records("inaturalist", read, load)
    return records.dataset(cache, _SPECIES, size)


@dataclass(frozen=True)
class _Records:
    """A folder that TFF's loader made: a TFRecord file for each client, and one for testing.

    Attributes:
        name: of the data set in scenario files.
        folder: with the file for testing, and below it `train`.
        load: reads it: of (the module `tff.simulation.datasets`, the cache folder), a `ClientData`
            for training and a `tf.data.Dataset` for testing.

    """

    name: str
    folder: Path
    load: Callable[[Any, str], tuple[Any, Any]]

    def dataset(self, cache: Cache, num_classes: int, size: Sequence[int]) -> Dataset:
        """The data set.

        Raises:
            DataUnavailable: the folder is not there.

        """
        train_folder = self.folder / "train"
        if not (self.folder / _TEST).is_file() or not (
            train_folder.is_dir() and any(train_folder.iterdir())
        ):
            raise DataUnavailable(
                f"{self.name} is not in the data cache ({self.folder}); put the folder that "
                f"tff.simulation.datasets.{self.name}.load_data makes there, with train and {_TEST}"
            )
        opened: list[tuple[Any, Any]] = []

        def open_data() -> tuple[Any, Any]:
            if not opened:
                # The loader logs into a file where pytest runs, unless there is a handler already.
                logging.getLogger().addHandler(logging.NullHandler())
                module = import_tff().simulation.datasets
                # TFF 0.87 calls this function of its own without its last argument.
                records = importlib.import_module(f"{_INSIDE}.vision_datasets_utils")
                records.load_tfrecord.__defaults__ = (self.name,)
                train, test = self.load(module, str(cache.folder))
                opened.append((train, _OneClient(test)))
            return opened[0]

        def unpacked(side: int) -> Unpacked:
            of = folder_for(self.folder / _TEST, cache.folder, f"{self.name}-{self.folder.name}")
            folder = of / "x".join(map(str, size)) / ("train", "test")[side]
            return Unpacked(
                folder, lambda: open_data()[side], lambda rows: _resized(rows, size), batch=1
            )

        def read(chosen: Optional[Sequence[str]]) -> Loaded:
            try:
                train, test = unpacked(0), unpacked(1)
                examples, sizes = train.examples(train.names if chosen is None else chosen)
                held_out, _ = test.examples(test.names)
            except Exception as bad:  # TensorFlow's errors are many
                raise self._broken(bad) from bad
            natural = np.repeat(np.arange(len(sizes)), sizes)
            return Loaded(in_grey_levels(examples), natural, in_grey_levels(held_out))

        names = sorted(file.name for file in (self.folder / "train").iterdir())
        return Dataset(self.name, num_classes, names, read)

    def _broken(self, error: Exception) -> DataError:
        why = str(error).strip().partition("\n")[0]
        return DataError(f"{self.folder} is not what TFF's loader of {self.name} makes: {why}")


class _OneClient:
    """A `tf.data.Dataset` as the only client of a `ClientData`."""

    def __init__(self, examples: Any) -> None:
        self._examples = examples
        self.client_ids = ["test"]

    def create_tf_dataset_for_client(self, client_id: str) -> Any:
        return self._examples


def _resized(rows: Any, size: Sequence[int]) -> Examples:
    """One image of any size, in grey or in colours, to uint8 (1, height, width, 3)."""
    from PIL import Image

    height, width = size
    pixels = rows["image/decoded"][0]
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return Examples(np.asarray(scaled, np.uint8)[np.newaxis], rows["class"].reshape(1))
