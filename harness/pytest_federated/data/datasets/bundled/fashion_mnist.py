"""Fashion-MNIST, from the files that its authors publish."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets.bundled.idx import read_idx
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    Facts,
    datasets,
    in_memory,
)
from pytest_federated.data.datasets.download import reason, staging_folder
from pytest_federated.data.datasets.kept import kept
from pytest_federated.data.datasets.rows import GrayLevels
from pytest_federated.user.files import UserPath, find

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist
# The authors' repository and the checksums of its README.
_ADDRESS = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
_FILES = tuple(
    (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz") for part in ("train", "t10k")
)
_CLASSES = 10


def _reads(settings: Any, cache: Cache) -> list[Path]:
    """Returns the paths of the four files; none where the scenario names a folder."""
    if settings.folder is not None:
        return []
    folder = _usual_folder(cache)
    return [folder / name for names in _FILES for name in names]


@datasets(
    "fashion_mnist",
    task="label",
    has_test_set=True,
    reads=_reads,
    facts=Facts(
        examples="60,000 + 10,000 for testing",
        shape="28 × 28 × 1",
        labels="10 kinds of clothes",
        license="MIT",
        files="Debian's package `dataset-fashion-mnist`; Keras's cache; else downloaded (31 MB)",
    ),
    offline_twin="mnist_5k",
)
def fashion_mnist(
    cache: Cache,
    *,
    folder: Annotated[Optional[UserPath], Field(description="Has the four files.")] = None,
) -> Dataset:
    """All of Fashion-MNIST: 60,000 + 10,000 real pictures of ten kinds of clothes, 28x28.

    `x` is (28, 28, 1), gray levels 0..255 scaled to [0, 1] when they are read; in memory they
    remain bytes. The labels are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker,
    bag, ankle boot. The test set is the published one. The four files are read from `folder`.
    Without it they are looked for where Debian's package `dataset-fashion-mnist` installs them, in
    Keras's cache and in the cache folder; if they are in none of these, they are downloaded from
    the authors' repository into the cache folder. A `folder` may hold another data set in files of
    the same names, such as MNIST or KMNIST.

    Source: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking
    Machine Learning Algorithms, arXiv:1708.07747; https://github.com/zalandoresearch/fashion-mnist

    Raises:
        DataUnavailable: it is not on this machine, and cannot be downloaded.
        DataError: a file is damaged, is not what its name says, or is missing in `folder`.

    """
    train, test = _read_once(_find(cache, folder))
    return in_memory("fashion_mnist", train, _CLASSES, test=test)


def _find(cache: Cache, folder: Optional[str]) -> Path:
    """Returns the folder with the four files, after downloading them if needed."""
    if folder is not None:
        path = find(folder, "data.dataset.folder", folder=True)
        missing = [name for names in _FILES for name in names if not (path / name).is_file()]
        if missing:
            raise DataError(f"data.dataset.folder: there is no {missing[0]} in {path}")
        return path
    path = _usual_folder(cache)
    if not _is_complete(path):
        _fetch(path)
    return path


def _usual_folder(cache: Cache) -> Path:
    """Returns the first of the usual folders that has the files, else that in the cache folder."""
    keras = Path("~/.keras/datasets/fashion-mnist").expanduser()
    complete = (folder for folder in (DEBIAN, keras) if _is_complete(folder))
    return next(complete, cache.folder / "fashion-mnist")


def _is_complete(folder: Path) -> bool:
    return all((folder / name).is_file() for names in _FILES for name in names)


def _fetch(folder: Path) -> None:
    """Downloads all four files, complete, or none of them."""
    import pooch

    staging = staging_folder("fashion_mnist", folder.parent)
    downloader: Any = pooch.HTTPDownloader(timeout=30)  # pooch's own types take no downloader
    pooch.get_logger().setLevel("WARNING")  # its messages name each file
    try:
        for name, md5 in _MD5.items():
            try:
                pooch.retrieve(_ADDRESS + name, f"md5:{md5}", name, staging, downloader=downloader)
            except ValueError as error:
                raise DataError(f"{name}: not the published file, as its MD5 says") from error
        folder.mkdir(exist_ok=True)
        for file in staging.iterdir():
            file.replace(folder / file.name)
    except (OSError, DataError) as error:
        why = reason(error)
        raise DataUnavailable(
            f"fashion_mnist is not on this machine and could not be downloaded ({why}); "
            "apt-get install dataset-fashion-mnist, or name a folder with its four .gz files: "
            "{kind: fashion_mnist, folder: DIR}",
            here=why,
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _read(folder: Path) -> tuple[Examples, Examples]:
    """Reads the training and test examples, and checks that they fit each other."""
    parts: list[tuple[Any, np.ndarray]] = []
    for images, labels in _FILES:
        x, y = read_idx(folder / images, 3), read_idx(folder / labels, 1)
        if len(x) != len(y):
            raise DataError(f"{folder / labels}: {len(y)} labels; {images} has {len(x)} images")
        if y.size and y.max() >= _CLASSES:
            raise DataError(f"{folder / labels}: has the label {y.max()}; they are 0 to 9")
        if parts and x.shape[1:] != parts[0][0].shape[1:]:
            raise DataError(
                f"{folder / images}: images of {x.shape[1]} x {x.shape[2]}; those of "
                f"{_FILES[0][0]} are {parts[0][0].shape[1]} x {parts[0][0].shape[2]}"
            )
        parts.append((x, y))
    (train, test) = (Examples(GrayLevels(x[..., np.newaxis]), y.astype(np.int32)) for x, y in parts)
    return train, test


_read_once = kept(_read)
