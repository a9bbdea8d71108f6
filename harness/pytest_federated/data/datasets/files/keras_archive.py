"""The archives of `keras.datasets`: from Keras's own cache, or by path."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets.crops import cropped, standardized
from pytest_federated.data.datasets.dataset import Cache, Dataset, Facts, datasets, levels_of
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.npz import read, unknown_arrays
from pytest_federated.data.datasets.rows import gray_levels
from pytest_federated.user.files import UserPath, find

# Where Keras keeps what it downloads: the file or folder of each data set in its cache.
_CACHED = {
    "mnist": "mnist.npz",
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
}
_PARTS = ("train", "test")
_CIFAR: dict[str, tuple[list[str], list[str], str]] = {
    "cifar10": ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"], "labels"),
    "cifar100": (["train"], ["test"], "fine_labels"),
}

_FACTS = Facts(
    "mnist: 60,000 + 10,000 for testing; cifar10, cifar100: 50,000 + 10,000",
    "mnist: 28 × 28 × 1; cifar10, cifar100: 32 × 32 × 3",
    "10; cifar100: 100",
    files="Keras's cache, or yours",
)


def _reads(settings: Any, cache: Cache) -> list[Path]:
    """Returns the path of a data set that is read by name; nothing for one that is read by path."""
    return [_cached(settings.keras)] if settings.keras in _CACHED else []


def _cached(name: str) -> Path:
    return Path("~/.keras/datasets").expanduser() / _CACHED[name]


def _glance(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields that an archive lacks one of Keras's arrays; see `Spec.glance`."""
    if settings.keras not in _CACHED:
        file = find(settings.keras, "data.dataset.keras")
        names = {name: name for part in _PARTS for name in _names(part).values()}
        for _, message in unknown_arrays(file, names):
            yield "keras", message


@datasets("keras", has_test_set=True, reads=_reads, facts=_FACTS, glance=_glance)
def keras(
    cache: Cache,
    *,
    keras: Annotated[
        Union[Literal["mnist", "cifar10", "cifar100"], UserPath],
        Field(description="A name, or an archive."),
    ],
    crop: Annotated[
        Optional[list[Annotated[int, Field(ge=1)]]],
        Field(min_length=2, max_length=2, description="Height and width that are kept."),
    ] = None,
    distort: Annotated[bool, Field(description="In training, crops and flips at random.")] = False,
    standardize: Annotated[
        bool, Field(description="Each image to mean 0 and standard deviation 1.")
    ] = False,
) -> Dataset:
    """A data set of `keras.datasets`: `{keras: mnist}` from its cache, `{keras: data/mnist.npz}`.

    By name, from `~/.keras/datasets`: `mnist` (60,000 + 10,000, (28, 28, 1), 11 MB), `cifar10` and
    `cifar100` (50,000 + 10,000, (32, 32, 3), 170 MB; the fine labels); nothing is downloaded. By
    path: an .npz archive in the form of Keras's mnist.npz, with the arrays `x_train`, `y_train`,
    `x_test` and `y_test`, whose numbers are read as for `npz`. The test set is the archive's.
    No natural clients. Images may be cropped to their center, and standardized, each over all its
    values (whitening). With `distort`, one that a client trains on is cropped at a random place
    instead, and flipped at random, left to right: again in each round, but not in each local epoch.

    Source: https://keras.io/api/datasets; Y. LeCun, C. Cortes, C. Burges, The MNIST database of
    handwritten digits; A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.

    Raises:
        DataUnavailable: the data set of that name is not in Keras's cache.
        DataError: no such file, or it is not what Keras wrote.

    """
    if keras in _CACHED:
        path = _cached(keras)
        if not path.exists():
            raise DataUnavailable(
                f"{keras} is not in Keras's cache ({path}); while online, run: python -c 'import "
                f"tensorflow; tensorflow.keras.datasets.{keras}.load_data()'",
                here=str(path),
            )
    else:
        path = find(keras, "data.dataset.keras")
    if keras in _CIFAR:
        train_files, test_files, label = _CIFAR[keras]
        train, test = _cifar(path, train_files, label), _cifar(path, test_files, label)
    else:
        train, test = (_source(path, _names(part)) for part in _PARTS)
    if crop or distort or standardize:
        train = _processed(train, crop, standardize=standardize, distort=distort)
        test = _processed(test, crop, standardize=standardize)
    return shared.dataset(keras if keras in _CACHED else path.name, train, test)


def _processed(
    source: shared.Source, crop: Optional[list[int]], *, standardize: bool, distort: bool = False
) -> shared.Source:
    """Returns a file's images as they are learned from."""
    images = levels_of(source.x)
    if images is None:
        raise DataError(
            f"{source.file}: data.dataset.crop, distort and standardize are for images of bytes "
            f"(uint8), which these features, {source.x.dtype} of shape {source.x.shape[1:]}, are "
            "not; leave them out"
        )
    size = images.shape[1:3]
    if crop and (crop[0] > size[0] or crop[1] > size[1]):
        raise DataError(
            f"{source.file}: data.dataset.crop: got {crop}; the images are {list(size)}, and a "
            "crop is no larger"
        )
    scale = standardized if standardize else gray_levels
    return replace(source, x=cropped(images, crop or size, scale, at_random=distort))


def _names(part: str) -> dict[str, str]:
    return {"x": f"x_{part}", "y": f"y_{part}"}


def _source(file: Path, names: dict[str, str]) -> shared.Source:
    arrays = read(file, names)
    titles = {key: f"array {name!r}" for key, name in names.items()}
    x = shared.features(arrays["x"], f"{file}: {titles['x']}")
    return shared.Source(x, arrays["y"], str(file), titles["y"], x_name=titles["x"])


def _cifar(folder: Path, names: list[str], label: str) -> shared.Source:
    """Reads batches as the University of Toronto publishes them: rows of 3 x 32 x 32 bytes."""
    x, y = [], []
    for name in names:
        file = folder / name
        try:
            with file.open("rb") as opened:
                batch = _Unpickler(opened, encoding="bytes").load()
            x.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32))
            y.append(np.asarray(batch[label.encode()], np.int64))
        except Exception as error:  # pickle raises errors of many kinds
            why = str(error).strip().partition("\n")[0]
            raise DataError(f"{file} is not a batch of CIFAR images: {why}") from error
    images = shared.features(np.concatenate(x).transpose(0, 2, 3, 1), str(folder))
    return shared.Source(images, np.concatenate(y), str(folder), "labels")


# What pickles of arrays name, in NumPy 1 and 2.
_OF_ARRAYS = {
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}


class _Unpickler(pickle.Unpickler):
    """Reads arrays and plain values only: a pickle may otherwise run any code."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) not in _OF_ARRAYS:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
        return super().find_class(module_name, global_name)
