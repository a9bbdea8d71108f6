"""Algorithms by name: each builds a TFF learning process.

An algorithm function takes `Parts` and its keys from the scenario file, and returns a
`LearningProcess`: TFF's, or one like it.
"""

from harness.training.algorithms.adaptive import fedadagrad, fedadam, fedyogi
from harness.training.algorithms.base import LearningProcess, Parts, Sizes, algorithms
from harness.training.algorithms.fedavg import fedavg
from harness.training.algorithms.fedavg_with_schedule import fedavg_with_schedule
from harness.training.algorithms.fedavgm import fedavgm
from harness.training.algorithms.fedprox import fedprox
from harness.training.algorithms.fedsgd import fedsgd
from harness.training.algorithms.mime_lite import mime_lite

__all__ = [
    "LearningProcess",
    "Parts",
    "Sizes",
    "algorithms",
    "fedadagrad",
    "fedadam",
    "fedavg",
    "fedavg_with_schedule",
    "fedavgm",
    "fedprox",
    "fedsgd",
    "fedyogi",
    "mime_lite",
]
