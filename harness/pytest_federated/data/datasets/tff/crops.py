"""Crops of images: the center or, in training, a random place, flipped at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
