"""The user's own images, in one folder for each label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Dataset, datasets
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.images import Images
from pytest_federated.user.files import UserPath, find

# Formats that Pillow reads.
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
)


def _glance(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields that there are no images in their places; see `Spec.glance`."""
    for key in ("image_folder", "test"):
        name = getattr(settings, key)
        if name is not None:
            try:
                folder = find(name, f"data.dataset.{key}", folder=True)
                _files(folder, settings.by_client, with_parts=key != "test")
            except DataError as error:
                yield key, str(error)


@datasets(
    "image_folder", has_test_set="test", facts=shared.FACTS, packages=("pillow",), glance=_glance
)
def image_folder(
    cache: Cache,
    *,
    image_folder: UserPath,
    by_client: Annotated[bool, Field(description="Each client has its own folder.")] = False,
    channels: shared.Channels = 3,
    size: shared.ImageSize = None,
    test: shared.TestSet = None,
) -> Dataset:
    """Your images, a folder for each label: `{image_folder: data/leaves}` with `leaves/oak/1.png`.

    `x` is (height, width, channels), scaled to [0, 1]: levels of 8 bits are divided by 255, gray
    levels of 16 bits by 65535; floats (TIFF) must be from 0 to 1; transparency is ignored. The
    labels are the folders' names in sorted order. With `by_client` there is a folder for each
    natural client above them: `leaves/alice/oak/1.png`; or, with test examples of its own,
    `leaves/alice/train/oak/1.png` and `leaves/alice/test/oak/2.png`. `channels` is 3 for colors, 1
    for gray levels; images are converted. `size: [height, width]` scales all to one size; without
    it all must have the same size. Reads PNG, JPEG, BMP, WebP, PGM, PPM, GIF and TIFF (the first
    image of a file); files with other suffixes are ignored. `test` is another folder of the same
    form, the test set; with `by_client`, each client is tested on its own images there. An image is
    decoded when a round first needs it.

    Raises:
        DataError: no such folder, no images in it, images of several sizes, or a broken one.

    """
    folder = find(image_folder, "data.dataset.image_folder", folder=True)
    scaled_size = None if size is None else (size[0], size[1])
    parts = _files(folder, by_client)
    sources = {
        part: _source(files, folder, by_client, channels, scaled_size)
        for part, files in parts.items()
    }
    if test is not None:
        if "test" in parts:
            raise DataError(
                f"data.dataset.test: got {test}; the clients' folders in {folder} have images for "
                "testing: leave it out"
            )
        other = find(test, "data.dataset.test", folder=True)
        files = _files(other, by_client, with_parts=False)["train"]
        sources["test"] = _source(files, other, by_client, channels, scaled_size)
    return shared.dataset(folder.name, sources["train"], sources.get("test"))


def _source(
    files: list[Path],
    folder: Path,
    by_client: bool,
    channels: int,
    size: Optional[tuple[int, int]],
) -> shared.Source:
    return shared.Source(
        Images(files, [str(f) for f in files], channels, size),
        np.array([f.parent.name for f in files]),
        str(folder),
        "the folders' names",
        np.array([f.relative_to(folder).parts[0] for f in files]) if by_client else None,
        "the clients' folders",
    )


def _files(folder: Path, by_client: bool, *, with_parts: bool = True) -> dict[str, list[Path]]:
    """Returns the files of the images to train on and, if there are any, of those to test on.

    Opens none. Only `with_parts` may the clients' folders have the folders train and test.

    Raises:
        DataError: there are none to train on, or one is in another place.

    """
    images = (f for f in sorted(folder.rglob("*")) if f.suffix.lower() in SUFFIXES)
    files = [f for f in images if not any(p.startswith(".") for p in f.relative_to(folder).parts)]
    form = "client/label/image" if by_client else "label/image"
    if not files:
        raise DataError(f"{folder}: there are no images in it; they must be there as {form}.png")
    parts = {part: [f for f in files if _part(f, folder) == part] for part in ("train", "test")}
    if by_client and with_parts and sum(map(len, parts.values())) == len(files):
        if not parts["train"]:
            raise DataError(f"{folder}: there are no images in it as client/train/label/image")
        return {part: own for part, own in parts.items() if own}
    for file in files:
        if len(file.relative_to(folder).parts) != (3 if by_client else 2):
            if by_client and with_parts:
                form += ", or all as client/train/label/image or client/test/label/image"
            raise DataError(f"{file}: images must be in {folder} as {form}")
    return {"train": files}


def _part(file: Path, folder: Path) -> str:
    """Returns the folder of an image below its client's, if there is one above its label's."""
    places = file.relative_to(folder).parts
    return places[1] if len(places) == 4 else ""
