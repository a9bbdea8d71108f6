"""Crops of images: the center or, in training, a random place, flipped; and their scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import numpy as np

from pytest_federated.data.datasets.dataset import Rows
from pytest_federated.data.datasets.rows import Converted


def cropped(
    images: Rows,
    size: Sequence[int],
    scale: Callable[[np.ndarray], np.ndarray],
    *,
    at_random: bool = False,
) -> Converted:
    """Returns the centers of images (n, height, width, channels), scaled when they are read.

    With `at_random`, clients train on `random_crops` of them, others in each round.
    """

    def centers(rows: np.ndarray) -> np.ndarray:
        return scale(center_crops(rows, size))

    def augment(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return scale(random_crops(rows, size, rng))

    return Converted(images, centers, augment=augment if at_random else None)


def center_crops(images: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Crops images (n, height, width, channels) to their centers, as TensorFlow does."""
    top, left = ((full - kept) // 2 for full, kept in zip(images.shape[1:3], size))
    return images[:, top : top + size[0], left : left + size[1]]


def random_crops(images: np.ndarray, size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Crops each of the images (n, height, width, channels) at a random place.

    All places are equally likely. With probability 1/2 a crop is flipped, left to right.

    Source: `tf.image.random_crop`, `tf.image.random_flip_left_right`; `tf.keras.layers.RandomCrop`,
    `tf.keras.layers.RandomFlip("horizontal")`.
    """
    n = len(images)
    tops, lefts = (
        rng.integers(full - kept + 1, size=n) for full, kept in zip(images.shape[1:3], size)
    )
    is_flipped = rng.random(n) < 0.5
    crops = np.empty((n, *size, *images.shape[3:]), images.dtype)
    for i, (image, top, left) in enumerate(zip(images, tops, lefts)):
        crop = image[top : top + size[0], left : left + size[1]]
        crops[i] = crop[:, ::-1] if is_flipped[i] else crop
    return crops


def in_minus_one_to_one(pixels: np.ndarray) -> np.ndarray:
    """Scales bytes to [-1, 1]."""
    return pixels * np.float32(2 / 255) - np.float32(1)


def standardized(images: np.ndarray) -> np.ndarray:
    """Scales each image (n, ...), of any type, to mean 0 and standard deviation 1, in float32.

    Source: `tf.image.per_image_standardization`, which divides a flat image by 1 / sqrt(values).
    """
    x = images.astype(np.float32)
    axes = tuple(range(1, x.ndim))
    mean = x.mean(axis=axes, keepdims=True, dtype=np.float64)
    deviation = x.std(axis=axes, keepdims=True, dtype=np.float64)
    values = np.prod(x.shape[1:])
    return ((x - mean) / np.maximum(deviation, 1 / np.sqrt(values))).astype(np.float32)
