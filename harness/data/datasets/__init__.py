"""Data sets by name: one file each, in the order in which `fedharness list datasets` shows them.

A data set function takes a `Cache` and its keys from the scenario file, and returns a
`Dataset`. Images are float32 in [0, 1] of shape (height, width, channels), rows of a table
float32 of shape (features,), texts int32 of shape (characters,); labels are int32.
"""

from harness.data.datasets.base import (
    Cache,
    Dataset,
    Examples,
    Facts,
    TaskKind,
    classes_of,
    datasets,
    has_test_set,
)
from harness.data.datasets.celeba import celeba
from harness.data.datasets.cifar100 import cifar100
from harness.data.datasets.digits import digits
from harness.data.datasets.emnist import emnist
from harness.data.datasets.fashion_mnist import fashion_mnist
from harness.data.datasets.huggingface import huggingface
from harness.data.datasets.image_folder import image_folder
from harness.data.datasets.keras_archive import keras
from harness.data.datasets.mnist_5k import mnist_5k
from harness.data.datasets.npz import npz
from harness.data.datasets.shakespeare import shakespeare
from harness.data.datasets.shakespeare_roles import shakespeare_roles
from harness.data.datasets.stackoverflow import stackoverflow
from harness.data.datasets.tables import csv, parquet
from harness.data.datasets.tabular import breast_cancer, covtype, wine
from harness.data.datasets.tff_function import tff
from harness.data.datasets.tff_images import gldv2, inaturalist
from harness.data.datasets.tff_synthetic import tff_synthetic

__all__ = [
    "Cache",
    "Dataset",
    "Examples",
    "Facts",
    "TaskKind",
    "breast_cancer",
    "celeba",
    "cifar100",
    "classes_of",
    "covtype",
    "csv",
    "datasets",
    "digits",
    "emnist",
    "fashion_mnist",
    "gldv2",
    "has_test_set",
    "huggingface",
    "image_folder",
    "inaturalist",
    "keras",
    "mnist_5k",
    "npz",
    "parquet",
    "shakespeare",
    "shakespeare_roles",
    "stackoverflow",
    "tff",
    "tff_synthetic",
    "wine",
]
