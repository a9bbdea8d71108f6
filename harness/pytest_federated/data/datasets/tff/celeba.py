"""Federated CelebA, through TFF's own loader."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field

from pytest_federated.core.schema import problem
from pytest_federated.core.suggestions import suggest
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    Facts,
    TaskKind,
    datasets,
)
from pytest_federated.data.datasets.external import in_cache
from pytest_federated.data.datasets.tff.cifar100 import in_gray_levels
from pytest_federated.data.datasets.tff.published import Published
from pytest_federated.tff.messages import Fields

# In TFF's order, which is that of its examples.
ATTRIBUTES = (
    *("five_o_clock_shadow", "arched_eyebrows", "attractive", "bags_under_eyes", "bald", "bangs"),
    *("big_lips", "big_nose", "black_hair", "blond_hair", "blurry", "brown_hair", "bushy_eyebrows"),
    *("chubby", "double_chin", "eyeglasses", "goatee", "gray_hair", "heavy_makeup"),
    *("high_cheekbones", "male", "mouth_slightly_open", "mustache", "narrow_eyes", "no_beard"),
    *("oval_face", "pale_skin", "pointy_nose", "receding_hairline", "rosy_cheeks", "sideburns"),
    *("smiling", "straight_hair", "wavy_hair", "wearing_earrings", "wearing_hat"),
    *("wearing_lipstick", "wearing_necklace", "wearing_necktie", "young"),
)


def _checked(name: str) -> str:
    if name not in (*ATTRIBUTES, "all"):
        raise problem("", f"got {name!r}; {suggest(name, (*ATTRIBUTES, 'all'))}")
    return name


Attribute = Annotated[
    str,
    AfterValidator(_checked),
    Field(
        description="What is predicted; all: 40 tags.",
        json_schema_extra={"enum": [*ATTRIBUTES, "all"]},
    ),
]


@datasets(
    "celeba",
    has_test_set=True,
    reads=in_cache("celeba.sqlite"),
    facts=Facts(
        examples="177,457 + 22,831 for testing",
        shape="84 × 84 × 3",
        labels="whether a face has an attribute, or 40 attributes as tags",
        natural="9,343 celebrities",
        license="for non-commercial research",
        files="TFF's download",
    ),
)
def celeba(cache: Cache, *, attribute: Attribute = "smiling") -> Dataset:
    """Federated CelebA of TFF: 84x84 faces of 9,343 celebrities; who smiles?

    `x` is (84, 84, 3) float32 in [0, 1]. The label is 1 for a face with the `attribute`, 0 for one
    without it; with `attribute: all` the 40 attributes are tags, (40,), in TFF's order. The natural
    clients are the celebrities; the test set holds the test examples of those who take part, each
    tested on its own (TFF's split by examples). Downloaded once into the cache folder.

    Source: Z. Liu et al., Deep Learning Face Attributes in the Wild, ICCV 2015, arXiv:1411.7766;
    S. Caldas et al., LEAF, arXiv:1812.01097;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/celeba

    Raises:
        DataUnavailable: it is not in the cache, and cannot be downloaded.
        DataError: the cached file is not what TFF wrote.

    """
    task: TaskKind = "tags" if attribute == "all" else "label"
    classes = len(ATTRIBUTES) if attribute == "all" else 2

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        return tff_datasets.celeba.load_data(split_by_clients=False, cache_dir=folder)

    def convert(rows: Fields) -> tuple[Examples, int]:
        tags = np.stack([rows[name] for name in ATTRIBUTES], axis=1).astype(np.int8)
        return Examples(rows["image"].astype(np.uint8), tags), 1

    def finish(examples: Examples) -> Examples:
        y = examples.y
        if attribute != "all":
            y = y[:, ATTRIBUTES.index(attribute)].astype(np.int32)
        return in_gray_levels(Examples(examples.x, y))

    splits = "split_by_examples_train", "split_by_examples_test"
    published = Published("celeba", "CelebA", "celeba.sqlite", load, splits)
    return published.dataset(cache, "images", classes, convert, finish=finish, task=task)
