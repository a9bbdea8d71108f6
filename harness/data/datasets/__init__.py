"""Data sets by name: one file each, in the order in which `fedharness list datasets` shows them.

A data set function takes a `Cache` and its keys from the scenario file, and returns a
`Dataset`. Images are float32 in [0, 1] of shape (height, width, channels); labels are int32.
"""

from harness.data.datasets.base import Cache, Dataset, Examples, TaskKind, classes_of, datasets
from harness.data.datasets.digits import digits
from harness.data.datasets.emnist import emnist
from harness.data.datasets.mnist_5k import mnist_5k

__all__ = [
    "Cache",
    "Dataset",
    "Examples",
    "TaskKind",
    "classes_of",
    "datasets",
    "digits",
    "emnist",
    "mnist_5k",
]
