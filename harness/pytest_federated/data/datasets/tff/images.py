"""The data sets of large images that TFF keeps as TFRecord files, through its own loaders."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Callable, Literal, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.core.progress import each
from pytest_federated.data.datasets.crops import center_crops, in_minus_one_to_one, random_crops
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    Facts,
    Loaded,
    Rows,
    datasets,
)
from pytest_federated.data.datasets.download import download as fetch
from pytest_federated.data.datasets.rows import Converted
from pytest_federated.data.datasets.tff.cifar100 import Preprocessing, in_gray_levels
from pytest_federated.data.datasets.tff.decoded import Batch, Decoded, folder_for
from pytest_federated.tff.imports import import_tff
from pytest_federated.tff.internals import readable_tfrecords

_TEST = "test.tfRecord"
_PUBLISHED = "https://storage.googleapis.com/"  # TFF reads who took which image from there

Size = Annotated[
    list[Annotated[int, Field(ge=1)]],
    Field(min_length=2, max_length=2, description="Height and width to which images are scaled."),
]
Download = Annotated[
    bool, Field(description="Whether TFF's loader may fetch the archives: hundreds of GB.")
]
_SPECIES = 1203
INaturalistSplit = Literal[
    "user_120k", "geo_100", "geo_300", "geo_1k", "geo_3k", "geo_10k", "geo_30k"
]


@datasets(
    "gldv2",
    task="label",
    has_test_set=True,
    reads=lambda settings, cache: [cache.folder / f"gld{settings.variant}"],
    packages=("pillow",),
    facts=Facts(
        examples="23,080, or 164,172 with `variant: 160k`; and TFF's test images",
        shape="128 × 128 × 3",
        labels="203 landmarks, or 2,028",
        natural="233 photographers, or 1,262",
        license="that of each image; see the source",
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
    preprocessing: Preprocessing = "none",
    download: Download = False,
) -> Dataset:
    """Federated Google Landmarks v2 of TFF: photographs of landmarks, by who took them.

    `x` is (height, width, 3) float32 in [0, 1], scaled to one `size`; the label is the landmark.
    The natural clients are the photographers. The test set is TFF's. For either variant TFF's
    loader fetches all 500 archives of Google Landmarks, about 1 GB each, and keeps the images of
    the two variants; it does so only with `download: true`. Otherwise copy the folder that it has
    made elsewhere, gld23k or gld160k, into the cache folder.

    With `preprocessing: tff` the images are those of TFF's landmark task: 128x128 pixels (`size`;
    smaller images are enlarged first), in [-1, 1]. Test images are cropped to their center.
    Training images are cropped at a random place and flipped at random, left to right, whenever a
    client trains on them: again in each round, where TFF does so in each local epoch. For this, a
    client's file is decoded in every round in which it takes part.

    Source: T.-M. H. Hsu et al., Federated Visual Classification with Real-World Data Distribution,
    ECCV 2020, arXiv:2003.08082;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/gldv2;
    preprocessing: `tff.simulation.baselines.landmark.create_landmark_classification_task`

    Raises:
        DataUnavailable: it is not in the cache, and may not or cannot be downloaded.
        DataError: a cached file is not what TFF wrote.

    """
    is_small = variant == "23k"
    folder = cache.folder / f"gld{variant}"

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        return tff_datasets.gldv2.load_data(cache_dir=folder, gld23k=is_small)

    def make(staging: Path) -> list[Path]:
        _load(load, "gldv2", staging)
        return [staging / "gld23k", staging / "gld160k"]

    url = "gresearch/federated-vision-datasets/landmarks-user-160k.zip"
    _require("gldv2", cache, folder, url, make, download)
    records = _Records("gldv2", folder, load)
    return records.dataset(cache, 203 if is_small else 2028, size, preprocessing)


@datasets(
    "inaturalist",
    task="label",
    has_test_set=True,
    reads=lambda settings, cache: [cache.folder / settings.clients.upper()],
    packages=("pillow",),
    facts=Facts(
        examples="120,300 + 35,641 for testing",
        shape="128 × 128 × 3",
        labels="1,203 species",
        natural="9,275 observers, or 12 to 3,607 places",
        license="that of each image; see the source",
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
    download: Download = False,
) -> Dataset:
    """Federated iNaturalist 2017 of TFF: photographs of species, by observer or by place.

    `x` is (height, width, 3) float32 in [0, 1], scaled to one `size`; the label is the species.
    The natural clients are the observers, or places of one of six sizes. The test set is TFF's.
    TFF's loader fetches the archives of the whole competition, about 190 GB and 150 GB; it does so
    only with `download: true`. They remain in the folder inaturalist_images of the cache folder, so
    that other `clients` need no further download. Otherwise copy the folder that the loader has
    made elsewhere, such as user_120k, into the cache folder.

    Source: T.-M. H. Hsu et al., Federated Visual Classification with Real-World Data Distribution,
    ECCV 2020, arXiv:2003.08082;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/inaturalist

    Raises:
        DataUnavailable: it is not in the cache, and may not or cannot be downloaded.
        DataError: a cached file is not what TFF wrote.

    """
    split = clients.upper()
    written, read = cache.folder / clients, cache.folder / split
    if written.is_dir() and not read.exists():  # TFF's loader writes one and reads the other
        written.rename(read)

    pictures = cache.folder / "inaturalist_images"

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        by = getattr(tff_datasets.inaturalist.INaturalistSplit, split)
        return tff_datasets.inaturalist.load_data(str(pictures), folder, by)

    def make(staging: Path) -> list[Path]:
        pictures.mkdir(exist_ok=True)
        try:
            _load(load, "inaturalist", staging)
        except Exception:
            # TFF's loader does not find the folder that it has made where case matters in names.
            if not (staging / clients / _TEST).is_file():
                raise
            (staging / clients).rename(staging / split)
        return [staging / split]

    _require(
        "inaturalist", cache, read, "tff-datasets-public/iNaturalist_train.csv", make, download
    )
    return _Records("inaturalist", read, load).dataset(cache, _SPECIES, size, "none")


def _load(load: Callable[[Any, str], tuple[Any, Any]], name: str, folder: Path) -> tuple[Any, Any]:
    """Returns what a loader of TFF reads from that folder."""
    # The loader logs into a file in the current folder, unless there is a handler already.
    logging.getLogger().addHandler(logging.NullHandler())
    module = import_tff().simulation.datasets
    with readable_tfrecords(name):
        return load(module, str(folder))


def _require(
    name: str,
    cache: Cache,
    folder: Path,
    url: str,
    make: Callable[[Path], list[Path]],
    may_download: bool,
) -> None:
    """Downloads a missing folder, if it may.

    Raises:
        DataUnavailable: it is missing, and it may not or cannot be downloaded.

    """
    if (folder / _TEST).is_file() and any((folder / "train").glob("*")):
        return
    put = (
        f"put the folder that tff.simulation.datasets.{name}.load_data makes there, {folder.name} "
        f"with train and {_TEST}"
    )
    if not may_download:
        raise DataUnavailable(
            f"{name} is not in the data cache ({folder}); have TFF's loader fetch it, hundreds of "
            f"GB, by download: true, or {put}",
            here=str(folder),
        )
    fetch(name, cache.folder, f"{_PUBLISHED}{url}", make, f"run while online, or {put}")


@dataclass(frozen=True)
class _Records:
    """A folder made by TFF's loader: a TFRecord file for each client, and one for testing.

    Attributes:
        name: the name of the data set in scenario files.
        folder: the folder with the file for testing and the folder `train`.
        load: reads it, given the module `tff.simulation.datasets` and the cache folder: a
            `ClientData` for training and a `tf.data.Dataset` for testing.

    """

    name: str
    folder: Path
    load: Callable[[Any, str], tuple[Any, Any]]

    def dataset(
        self, cache: Cache, num_classes: int, size: Sequence[int], preprocessing: Preprocessing
    ) -> Dataset:
        """Returns the data set; its folder exists."""
        opened: list[tuple[Any, Any]] = []
        is_cut = preprocessing == "tff"

        def open_data() -> tuple[Any, Any]:
            if not opened:
                train, test = _load(self.load, self.name, cache.folder)
                opened.append((train, _OneClient(test)))
            return opened[0]

        def decode(side: int, clients: Sequence[str]) -> Iterator[Batch]:
            for client, name in enumerate(each(clients, f"decoding {self.name}")):
                rows = open_data()[side].create_tf_dataset_for_client(name)
                for row in rows.as_numpy_iterator():
                    yield Batch(np.array([client]), _resized(row, size, is_cut))

        def decoded(side: int) -> Decoded:
            source = self.folder / _TEST
            root = folder_for(source, cache.folder, f"{self.name}-{self.folder.name}")
            form = ("middle-" if is_cut else "") + "x".join(map(str, size))
            folder = root / form / ("train", "test")[side]
            return Decoded(folder, partial(decode, side))

        def finish(examples: Examples) -> Examples:
            if not is_cut:
                return in_gray_levels(examples)
            return Examples(Converted(examples.x, in_minus_one_to_one), examples.y)

        def read(wanted: Optional[Sequence[str]]) -> Loaded:
            try:
                clients = names if wanted is None else wanted
                examples, sizes = decoded(0).examples(clients)
                held_out, _ = decoded(1).examples([_TEST])
            except Exception as error:  # TensorFlow raises errors of many kinds
                raise self._broken(error) from error
            if is_cut:

                def full_images(client: int) -> Iterator[np.ndarray]:
                    name, count = clients[client], 0
                    try:
                        rows = open_data()[0].create_tf_dataset_for_client(name)
                        for row in rows.as_numpy_iterator():
                            yield _colored(row)
                            count += 1
                        if count != sizes[client]:
                            raise ValueError(f"{name} had {sizes[client]} images, and has {count}")
                    except Exception as error:
                        raise self._broken(error) from error

                examples = Examples(_RandomCrops(examples.x, sizes, full_images), examples.y)
            natural = np.repeat(np.arange(len(sizes)), sizes)
            return Loaded(finish(examples), natural, finish(held_out))

        names = sorted(file.name for file in (self.folder / "train").iterdir())
        return Dataset(self.name, num_classes, names, read)

    def _broken(self, error: Exception) -> DataError:
        why = str(error).strip().partition("\n")[0]
        return DataError(f"{self.folder} is not what TFF's loader of {self.name} makes: {why}")


class _OneClient:
    """A `tf.data.Dataset` as the only client of a `ClientData`."""

    def __init__(self, examples: Any) -> None:
        self._examples = examples

    def create_tf_dataset_for_client(self, client_id: str) -> Any:
        return self._examples


class _RandomCrops:
    """Center crops of images, kept on disk; in training, random crops of the full images.

    The full images differ in size and would take about a hundred times the space, so they are
    decoded each time, as TFF does.
    """

    def __init__(
        self,
        centers: Rows,
        sizes: np.ndarray,
        full_images: Callable[[int], Iterator[np.ndarray]],
    ) -> None:
        """`sizes`, int (clients,), counts the images of each client.

        `full_images` yields a client's images in order, uint8 (height, width, 3).
        """
        self._centers, self._full_images = centers, full_images
        self._ends = np.cumsum(sizes)
        self.shape, self.dtype = centers.shape, centers.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._centers[index]

    def augmented(self, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        crops = np.empty((len(index), *self.shape[1:]), self.dtype)
        size = self.shape[1:3]
        clients = np.searchsorted(self._ends, index, side="right")
        for client in np.unique(clients).tolist():
            begin = int(self._ends[client - 1]) if client else 0
            for row, image in enumerate(self._full_images(client), start=begin):
                wanted = np.flatnonzero(index == row)
                if len(wanted):
                    image = image if _covers(image, size) else _center_crop(image, size)
                    crops[wanted] = random_crops(np.stack([image] * len(wanted)), size, rng)
        return crops


def _resized(row: Any, size: Sequence[int], is_cut: bool) -> Examples:
    """Converts one image of any size, gray or in color, to uint8 (1, height, width, 3).

    It is scaled to `size` or, with `is_cut`, cropped to its center of that size.
    """
    image = _colored(row)
    image = _center_crop(image, size) if is_cut else _scaled(image, size)
    return Examples(image[np.newaxis], row["class"].reshape(1))


def _colored(row: Any) -> np.ndarray:
    """Returns the pixels of a row, uint8 (height, width, 3)."""
    pixels = row["image/decoded"]
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _covers(image: np.ndarray, size: Sequence[int]) -> bool:
    return image.shape[0] >= size[0] and image.shape[1] >= size[1]


def _center_crop(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Crops an image to its center; of a smaller one, enlarges the largest center of that form.

    Source: `tf.keras.layers.CenterCrop`.
    """
    (height, width), has = size, image.shape[:2]
    if _covers(image, size):
        return center_crops(image[np.newaxis], size)[0]
    kept = min(has[0], has[1] * height // width), min(has[1], has[0] * width // height)
    return _scaled(center_crops(image[np.newaxis], kept)[0], size)


def _scaled(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    from PIL import Image

    if image.shape[:2] == tuple(size):
        return image
    scaled = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(scaled, np.uint8)
