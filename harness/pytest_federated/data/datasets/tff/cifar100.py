"""Federated CIFAR-100, through TFF's own loader."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional

import numpy as np
from pydantic import Field

from pytest_federated.data.datasets.crops import cropped, standardized
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Facts, datasets
from pytest_federated.data.datasets.external import in_cache
from pytest_federated.data.datasets.rows import GrayLevels, gray_levels
from pytest_federated.data.datasets.tff.published import Published
from pytest_federated.tff.messages import Fields

_SIDE = 32
_TFF_CROP = (24, 24)  # tff.simulation.baselines.cifar100.DEFAULT_CROP_HEIGHT and _WIDTH

Labels = Annotated[Literal["fine", "coarse"], Field(description="100 classes, or 20 groups.")]
Crop = Annotated[
    list[Annotated[int, Field(ge=1, le=_SIDE)]],
    Field(min_length=2, max_length=2, description="Height and width of the center that is kept."),
]
# How a task of `tff.simulation.baselines` preprocesses images.
Preprocessing = Annotated[
    Literal["none", "tff"], Field(description="none, or that of TFF's baseline task.")
]


@datasets(
    "cifar100",
    task="label",
    has_test_set=True,
    reads=in_cache("cifar100.sqlite"),
    facts=Facts(
        examples="50,000 + 10,000 for testing",
        shape="32 × 32 × 3",
        labels="100 classes, or 20 groups of them",
        natural="500 clients by Pachinko allocation",
        license="none stated",
        files="TFF's download",
    ),
)
def cifar100(
    cache: Cache,
    *,
    labels: Labels = "fine",
    preprocessing: Preprocessing = "none",
    crop: Optional[Crop] = None,
    distort: Annotated[bool, Field(description="In training, crops and flips at random.")] = False,
) -> Dataset:
    """Federated CIFAR-100 of TFF: 500 clients with 100 images each, by Pachinko allocation.

    `x` is (32, 32, 3) float32 in [0, 1]; labels are the 100 fine ones, or the 20 coarse ones that
    group them. The natural clients are TFF's: each has a mixture of coarse labels drawn from a
    Dirichlet distribution (alpha 0.1) and, of each, one of its fine labels (alpha 10). The test set
    is all 10,000 test images. Downloaded once into the cache folder.

    With `preprocessing: tff` the images are those of TFF's baseline task: the 24x24 pixels of the
    center, each image standardized to mean 0 and standard deviation 1 over all its values (it is
    divided by at least 1 / sqrt(values), in gray levels of 0 to 255). `crop: [height, width]` keeps
    a center of another size, with or without this preprocessing. With `distort` an image is cropped
    at a random place instead, and flipped at random, left to right, whenever a client trains on
    it: again in each round, but not in each local epoch. Test images are not distorted. This is
    TFF's `distort_train_images`, which is off by default there, too.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; split:
    S. Reddi et al., Adaptive Federated Optimization, arXiv:2003.00295, appendix F; W. Li,
    A. McCallum, Pachinko Allocation, ICML 2006;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/cifar100;
    preprocessing: `tff.simulation.baselines.cifar100.create_image_classification_task`

    Raises:
        DataUnavailable: it is not in the cache, and cannot be downloaded.
        DataError: the cached file is not what TFF wrote.

    """
    column, classes = (0, 100) if labels == "fine" else (1, 20)

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        return tff_datasets.cifar100.load_data(folder)

    def convert(rows: Fields) -> tuple[Examples, int]:
        return Examples(rows["image"], np.stack([rows["label"], rows["coarse_label"]], axis=1)), 1

    kept = tuple(crop) if crop else _TFF_CROP if preprocessing == "tff" else (_SIDE, _SIDE)
    scale = standardized if preprocessing == "tff" else gray_levels

    def finish(examples: Examples) -> Examples:
        x = cropped(examples.x, kept, scale, at_random=distort)
        return Examples(x, examples.y[:, column])

    published = Published("cifar100", "CIFAR-100", "cifar100.sqlite", load)
    return published.dataset(
        cache, "images", classes, convert, choose_tested=lambda names: names, finish=finish
    )


def in_gray_levels(examples: Examples) -> Examples:
    """Scales bytes to [0, 1] when they are read."""
    return Examples(GrayLevels(examples.x), examples.y)
