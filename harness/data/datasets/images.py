"""Image files as rows: decoded when they are first read, and kept as bytes from then on."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from harness.data.datasets.own import grey_levels
from harness.errors import DataError

Encoded = Union[Path, bytes]


class Images:
    """`Rows` of images, float32 (n, height, width, channels) in [0, 1].

    What was decoded is kept in an unnamed temporary file, a byte for each value, which takes no
    memory that others need and ends with the process.
    """

    def __init__(
        self,
        encoded: Sequence[Encoded],
        names: Sequence[str],
        channels: int,
        size: Optional[tuple[int, int]] = None,
    ) -> None:
        """Looks at the head of each image, and decodes none.

        Args:
            encoded: the images, as files or their contents.
            names: what messages call them.
            channels: 3 for colours, 1 for grey levels; images are converted.
            size: height and width that all are brought to; without it all must have the same.

        Raises:
            DataError: not an image, or not of the size of the first.

        """
        self._encoded, self._names = encoded, names
        self._mode, self._size = "L" if channels == 1 else "RGB", size
        height, width = size or self._common_size()
        self.shape: tuple[int, ...] = (len(encoded), height, width, channels)
        self.dtype = np.dtype(np.float32)
        self._is_decoded = np.zeros(len(encoded), bool)
        self._bytes: np.ndarray = np.empty((0,), np.uint8)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self._encoded)))
        index = np.asarray(index)
        if not self._bytes.size and len(self._encoded):
            with tempfile.TemporaryFile() as file:  # the map keeps it open
                self._bytes = np.memmap(file, np.uint8, "w+", shape=self.shape)
        for one in np.unique(index[~self._is_decoded[index]]):
            self._bytes[one] = self._decoded(int(one))
            self._is_decoded[one] = True
        return grey_levels(np.asarray(self._bytes[index]))

    def __array__(self, dtype: Any = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def _common_size(self) -> tuple[int, int]:
        from PIL import Image

        size: Optional[tuple[int, int]] = None
        for one, name in enumerate(self._names):
            try:
                with Image.open(self._opened(one)) as image:
                    found = image.size
            except Exception as bad:  # Pillow's readers raise what they like
                raise _broken(name, bad) from bad
            if size is not None and found != size:
                raise DataError(
                    f"{name}: {found[0]} x {found[1]} pixels; the images before have {size[0]} x "
                    f"{size[1]}; data.dataset.size brings all to one size"
                )
            size = found
        width, height = size or (1, 1)
        return height, width

    def _opened(self, one: int) -> Any:
        encoded = self._encoded[one]
        return io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded

    def _decoded(self, one: int) -> np.ndarray:
        from PIL import Image

        try:
            with Image.open(self._opened(one)) as image:
                converted = image.convert(self._mode)
                if self._size is not None:
                    height, width = self._size
                    converted = converted.resize((width, height), Image.Resampling.BILINEAR)
                return np.asarray(converted, np.uint8).reshape(self.shape[1:])
        except Exception as bad:
            raise _broken(self._names[one], bad) from bad


def _broken(name: str, error: Exception) -> DataError:
    why = str(error).strip().partition("\n")[0]
    return DataError(f"{name} cannot be read as an image: {why}")
