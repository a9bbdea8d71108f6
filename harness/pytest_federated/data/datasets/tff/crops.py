"""Cuts of images: the middle, or, in training, one at random that may be mirrored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def middle(images: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The central part of images (n, height, width, channels), as TensorFlow's crops take it."""
    top, left = ((whole - kept) // 2 for whole, kept in zip(images.shape[1:3], size))
    return images[:, top : top + size[0], left : left + size[1]]


def at_random(images: np.ndarray, size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Of each image (n, height, width, channels) a part by itself, half of them mirrored.

    All places are equally likely, and so are an image and its mirror image, left for right.

    Source: `tf.image.random_crop`, `tf.image.random_flip_left_right`; `tf.keras.layers.RandomCrop`,
    `tf.keras.layers.RandomFlip("horizontal")`.
    """
    n = len(images)
    tops, lefts = (
        rng.integers(whole - kept + 1, size=n) for whole, kept in zip(images.shape[1:3], size)
    )
    mirrored = rng.random(n) < 0.5
    found = np.empty((n, *size, *images.shape[3:]), images.dtype)
    for one, (image, top, left) in enumerate(zip(images, tops, lefts)):
        part = image[top : top + size[0], left : left + size[1]]
        found[one] = part[:, ::-1] if mirrored[one] else part
    return found


def from_minus_one(pixels: np.ndarray) -> np.ndarray:
    """Bytes to [-1, 1]."""
    return pixels * np.float32(2 / 255) - np.float32(1)
