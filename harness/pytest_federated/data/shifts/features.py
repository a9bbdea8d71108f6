"""Shifts of the features: the same labels look different from client to client."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.shifts.shift import Holder, shifts


@shifts("noise", of="features")
def noise(
    x: np.ndarray,
    holder: Holder,
    rng: np.random.Generator,
    *,
    level: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Largest variance.")],
    as_published: Annotated[
        bool, Field(description="`level` is the largest standard deviation, and client 1 has none.")
    ] = False,
) -> np.ndarray:
    """Adds Gaussian noise with a variance that grows from client to client, up to `level`.

    Client i of N (from 1) has variance `level` * i / N, as in the paper; an example's noise is the
    same in every round. Values may leave the data's range. The code of the paper takes `level` for
    a standard deviation and counts from 0: with `as_published` client i has the deviation
    `level` * (i - 1) / (N - 1). (That code draws new noise whenever it reads an example.)

    Source: Li et al., Federated Learning on Non-IID Data Silos (NIID-Bench), ICDE 2022, section
    IV-B ("noise-based feature imbalance"), arXiv:2102.02079; its code: Xtra-Computing/NIID-Bench,
    experiments.py (noise_level) and utils.py (AddGaussianNoise).

    Raises:
        DataError: the features are not real numbers.

    """
    if not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"the shift noise needs features that are real numbers, not {x.dtype}")
    if as_published:
        deviation = level * holder.place
    else:
        deviation = np.sqrt(level * (holder.client + 1) / holder.clients)
    return x + deviation * rng.standard_normal(x.shape, np.float32)


@shifts("rotation", of="features")
def rotation(
    x: np.ndarray,
    holder: Holder,
    rng: np.random.Generator,
    *,
    angles: Annotated[list[float], Field(min_length=1)] = [0.0, 90.0, 180.0, 270.0],  # noqa: B006
) -> np.ndarray:
    """Turns a client's images by one of the `angles`, in degrees counterclockwise.

    Clients take them in turn. Corners that a turned image does not cover take the value of the
    nearest pixel; values between pixels are interpolated linearly.

    Source: A. Ghosh et al., An Efficient Framework for Clustered Federated Learning (IFCA),
    NeurIPS 2020 ("Rotated MNIST"), arXiv:2006.04088.

    Raises:
        DataError: the examples are not images.

    """
    _images(x, "rotation")
    turns, rest = divmod(angles[holder.client % len(angles)], 90)
    if rest == 0 and (turns % 2 == 0 or x.shape[1] == x.shape[2]):
        return np.rot90(x, int(turns), axes=(1, 2))
    from scipy import ndimage

    angle = turns * 90 + rest
    turned = ndimage.rotate(x, angle, axes=(2, 1), reshape=False, order=1, mode="nearest")
    return turned


@shifts("contrast", of="features")
def contrast(
    x: np.ndarray,
    holder: Holder,
    rng: np.random.Generator,
    *,
    lowest: Annotated[float, Field(ge=0, lt=1, description="Of the last client; 1 is all.")],
) -> np.ndarray:
    """Reduces contrast from client to client, down to `lowest` times the original.

    Moves an image's pixels toward their mean; the first client's images are unchanged.

    Source: the corruption of D. Hendrycks, T. Dietterich, Benchmarking Neural Network Robustness
    to Common Corruptions and Perturbations, ICLR 2019, arXiv:1903.12261.

    Raises:
        DataError: the examples are not images.

    """
    _images(x, "contrast")
    mean = x.mean(axis=(1, 2), keepdims=True)
    return mean + (1 - (1 - lowest) * holder.place) * (x - mean)


def _images(x: np.ndarray, shift: str) -> None:
    if x.ndim != 4 or not np.issubdtype(x.dtype, np.floating):
        raise DataError(
            f"the shift {shift} needs images (height, width, channels); the examples are "
            f"{x.dtype} {x.shape[1:]}"
        )
