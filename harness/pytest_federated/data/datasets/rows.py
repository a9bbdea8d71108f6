"""Rows that are converted from others when they are read."""

from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np

from pytest_federated.data.datasets.dataset import Rows, augmented

LEVELS = 255  # by which a byte is divided


class Converted:
    """Rows of other rows, converted when they are read: bytes to gray levels, say."""

    def __init__(
        self,
        rows: Rows,
        convert: Callable[[np.ndarray], np.ndarray],
        dtype: Any = np.float32,
        augment: Optional[Callable[[np.ndarray, np.random.Generator], np.ndarray]] = None,
    ) -> None:
        """`convert` maps (m, ...) to (m, ...); its result is cast to `dtype`.

        In training, `augment` does this at random instead, unless it is None.
        """
        self._rows, self._convert, self._augment = rows, convert, augment
        shape = convert(np.zeros((1, *rows.shape[1:]), rows.dtype)).shape
        self.shape: tuple[int, ...] = (rows.shape[0], *shape[1:])
        self.dtype = np.dtype(dtype)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._convert(self._rows[index]).astype(self.dtype, copy=False)

    def augmented(self, index: Any, rng: np.random.Generator) -> np.ndarray:
        rows = augmented(self._rows, index, rng)
        values = self._convert(rows) if self._augment is None else self._augment(rows, rng)
        return values.astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


class GrayLevels(Converted):
    """Rows of images, gray levels of 8 or 16 bits, that are scaled to [0, 1] when they are read."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows, gray_levels)
        self.levels = rows if rows.dtype == np.uint8 else None


def gray_levels(rows: np.ndarray) -> np.ndarray:
    """Scales levels 0..255, or 0..65535 for 16 bits, to float32 in [0, 1]."""
    return rows.astype(np.float32) / (65535 if rows.dtype.itemsize == 2 else LEVELS)
