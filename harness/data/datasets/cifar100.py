"""Federated CIFAR-100, through TFF's own loader."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from harness.data.datasets.base import Cache, Dataset, Examples, Facts, datasets
from harness.data.datasets.own import grey_levels
from harness.data.datasets.rows import Converted
from harness.data.datasets.tff_files import Published

Labels = Annotated[Literal["fine", "coarse"], Field(description="100 classes, or 20 groups.")]


@datasets(
    "cifar100",
    has_test_set=True,
    facts=Facts(
        examples="50,000 + 10,000 for testing",
        shape="32 × 32 × 3",
        labels="100 classes, or the 20 groups of them",
        natural="500 clients by Pachinko allocation",
        licence="none stated",
        files="TFF's download",
    ),
)
def cifar100(cache: Cache, *, labels: Labels = "fine") -> Dataset:
    """Federated CIFAR-100 of TFF: 500 clients with 100 images each, by Pachinko allocation.

    `x` is (32, 32, 3) float32 in [0, 1]; labels are the 100 fine ones, or the 20 coarse ones that
    group them. The natural clients are TFF's: each has a mixture of coarse labels drawn from a
    Dirichlet distribution (alpha 0.1) and, of each, one of its fine labels (alpha 10). The test set
    is all 10,000 test images. Downloaded once into the cache folder.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; split:
    S. Reddi et al., Adaptive Federated Optimization, arXiv:2003.00295, appendix F; W. Li,
    A. McCallum, Pachinko Allocation, ICML 2006;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/cifar100

    Raises:
        DataUnavailable: not in the cache, and it cannot be downloaded.
        DataError: the cached file is not what TFF wrote.

    """
    key, classes = ("label", 100) if labels == "fine" else ("coarse_label", 20)

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        return tff_datasets.cifar100.load_data(folder)

    def convert(rows: Any) -> Examples:
        return Examples(rows["image"].astype(np.uint8), rows[key])

    published = Published("cifar100", "CIFAR-100", "cifar100.sqlite", load)
    return published.dataset(
        cache, labels, classes, convert, tested=lambda names: names, finish=in_grey_levels
    )


def in_grey_levels(examples: Examples) -> Examples:
    """Bytes to [0, 1], when they are read."""
    return Examples(Converted(examples.x, grey_levels), examples.y)
