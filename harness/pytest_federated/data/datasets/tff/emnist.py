"""Federated EMNIST, through TFF's own loader."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Facts, datasets
from pytest_federated.data.datasets.external import in_cache
from pytest_federated.data.datasets.tff.published import Published
from pytest_federated.tff.messages import Fields


@datasets(
    "emnist",
    task="label",
    has_test_set=True,
    reads=in_cache("emnist_all.sqlite"),
    facts=Facts(
        examples="341,873 + 40,832 for testing; with all characters 671,585 + 77,483",
        shape="28 × 28 × 1",
        labels="10 digits, or 62 characters",
        natural="3,383 or 3,400 writers",
        license="none stated; made from NIST Special Database 19",
        files="TFF's download (170 MB)",
    ),
    offline_twin="mnist_5k",
)
def emnist(cache: Cache, *, only_digits: bool = True) -> Dataset:
    """Federated EMNIST of TFF: 3,383 writers of digits, or 3,400 of 62 characters; 28x28.

    `x` is (28, 28, 1) float32; 1.0 is the paper and 0.0 the ink, as in TFF. The writers are the
    natural clients. The test set holds the test examples of the writers that take part, each tested
    on its own. Downloaded once (170 MB) into the cache folder; a writer's examples are decoded
    there when the writer first takes part, and read from disk when a round needs them.

    Source: S. Caldas et al., LEAF: A Benchmark for Federated Settings, arXiv:1812.01097;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/emnist

    Raises:
        DataUnavailable: it is not in the cache, and cannot be downloaded.
        DataError: the cached file is not what TFF wrote.

    """

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        return tff_datasets.emnist.load_data(only_digits, folder)

    part, classes = ("digits_only", 10) if only_digits else ("all", 62)
    splits = f"{part}_train", f"{part}_test"
    published = Published("emnist", "EMNIST", "emnist_all.sqlite", load, splits)
    return published.dataset(cache, "pixels", classes, _examples)


def _examples(rows: Fields) -> tuple[Examples, int]:
    return Examples(rows["pixels"][..., np.newaxis], rows["label"]), 1
