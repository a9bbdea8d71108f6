"""Image files as rows: decoded when they are first read, and kept decoded from then on."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.rows import gray_levels

Encoded = Union[Path, bytes]
# Pillow reads others, too; for one of them, EPS, it starts a program.
_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_IN_16_BITS = ("PNG", "PPM")  # what Pillow reads from these in mode I is scaled to 16 bits


class Images:
    """`Rows` of images, float32 (n, height, width, channels) in [0, 1].

    Levels of 8 bits are divided by 255, those of 16 bits by 65535, and floats from 0 to 1 remain as
    they are; transparency is ignored. Decoded images are kept in an unnamed temporary file, with a
    byte for each value, or four where 8 bits do not hold it. The file takes no memory that others
    need, and ends with the process.
    """

    def __init__(
        self,
        encoded: Sequence[Encoded],
        names: Sequence[str],
        channels: int,
        size: Optional[tuple[int, int]] = None,
    ) -> None:
        """Reads the header of each image, and decodes none.

        Args:
            encoded: the images, as files or their contents.
            names: what messages call them.
            channels: 3 for colors, 1 for gray levels; images are converted.
            size: height and width to which all are scaled; None if all have the same size.

        Raises:
            DataError: a file is no image, or differs in size from the first.

        """
        self._encoded, self._names = encoded, names
        self._mode, self._size = "L" if channels == 1 else "RGB", size
        height, width = size or self._common_size()
        self.shape: tuple[int, ...] = (len(encoded), height, width, channels)
        self.dtype = np.dtype(np.float32)
        self._is_decoded = np.zeros(len(encoded), bool)
        self._is_deep = np.zeros(len(encoded), bool)  # more than 8 bits
        self._bytes: np.ndarray = np.empty((0,), np.uint8)
        self._floats: np.ndarray = np.empty((0,), np.float32)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self._encoded)))
        index = np.asarray(index)
        for position in np.unique(index[~self._is_decoded[index]]):
            self._keep(int(position), self._decoded(int(position)))
        deep = self._is_deep[index]
        if deep.all() and len(deep):
            return np.asarray(self._floats[index])
        levels = gray_levels(np.asarray(self._kept_bytes()[index]))
        if deep.any():
            levels[deep] = self._floats[index[deep]]
        return levels

    def __array__(self, dtype: Any = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def _keep(self, position: int, values: np.ndarray) -> None:
        if values.dtype == np.uint8:
            self._kept_bytes()[position] = values
        else:
            if not self._floats.size:
                self._floats = _temporary(np.float32, self.shape)
            self._floats[position] = values
            self._is_deep[position] = True
        self._is_decoded[position] = True

    def _kept_bytes(self) -> np.ndarray:
        if not self._bytes.size and len(self._encoded):
            self._bytes = _temporary(np.uint8, self.shape)
        return self._bytes

    def _common_size(self) -> tuple[int, int]:
        from PIL import Image

        size: Optional[tuple[int, int]] = None
        for position, name in enumerate(self._names):
            try:
                with Image.open(self._opened(position), formats=_FORMATS) as image:
                    size_here = image.size
            except Exception as error:  # Pillow's readers raise errors of many kinds
                raise _broken(name, error) from error
            if size is not None and size_here != size:
                raise DataError(
                    f"{name}: {size_here[0]} x {size_here[1]} pixels; the images before have "
                    f"{size[0]} x {size[1]}; data.dataset.size brings all to one size"
                )
            size = size_here
        width, height = size or (1, 1)
        return height, width

    def _opened(self, position: int) -> Any:
        encoded = self._encoded[position]
        return io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded

    def _decoded(self, position: int) -> np.ndarray:
        """Decodes an image, (height, width, channels): uint8, or float32 beyond 8 bits."""
        from PIL import Image

        try:
            with Image.open(self._opened(position), formats=_FORMATS) as image:
                deep = _deep(image, self._names[position])
                converted = image.convert(self._mode) if deep is None else Image.fromarray(deep)
                if self._size is not None:
                    height, width = self._size
                    converted = converted.resize((width, height), Image.Resampling.BILINEAR)
                values = np.asarray(converted)
        except DataError:
            raise
        except Exception as error:
            raise _broken(self._names[position], error) from error
        if deep is None:
            return values.reshape(self.shape[1:])
        return np.broadcast_to(values[..., np.newaxis], self.shape[1:])


def _temporary(dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    with tempfile.TemporaryFile() as file:  # the map keeps it open
        return np.memmap(file, dtype, "w+", shape=shape)


def _deep(image: Any, name: str) -> Optional[np.ndarray]:
    """Returns float32 (height, width) in [0, 1] of a gray image with more than 8 bits, else None.

    Pillow itself would clip such levels at 255.

    Raises:
        DataError: levels of 32 bits, or floats outside [0, 1], for which white is not defined.

    """
    if not image.mode.startswith(("I", "F")):
        return None
    levels = np.asarray(image)
    if image.mode.startswith("I;16") or image.format in _IN_16_BITS:
        return levels.astype(np.float32) / 65535
    low, high = levels.min(), levels.max()
    if image.mode == "F" and low >= 0 and high <= 1:  # False for NaN
        return levels.astype(np.float32)
    what = "floats" if image.mode == "F" else "whole numbers of 32 bits"
    raise DataError(
        f"{name}: gray levels from {low:g} to {high:g}, {what}: which level is white is unknown; "
        "save it with 8 or 16 bits, or with floats from 0 to 1"
    )


def _broken(name: str, error: Exception) -> DataError:
    why = str(error).strip().partition("\n")[0]
    return DataError(f"{name} cannot be read as an image: {why}")
