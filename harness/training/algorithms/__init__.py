"""Algorithms by name: each builds a TFF learning process.

An algorithm function takes `Parts` and its keys from the scenario file, and returns a
`LearningProcess`: TFF's, or one like it. Those whose clients keep something between rounds return
an `OwnProcess`.
"""

from harness.training.algorithms.adaptive import fedadagrad, fedadam, fedyogi
from harness.training.algorithms.base import LearningProcess, OwnProcess, Parts, Sizes, algorithms
from harness.training.algorithms.centralised import centralised
from harness.training.algorithms.fed_recon import fed_recon
from harness.training.algorithms.fedavg import fedavg
from harness.training.algorithms.fedavg_with_schedule import fedavg_with_schedule
from harness.training.algorithms.fedavgm import fedavgm
from harness.training.algorithms.fedprox import fedprox
from harness.training.algorithms.fedsgd import fedsgd
from harness.training.algorithms.kmeans import kmeans
from harness.training.algorithms.local_only import local_only
from harness.training.algorithms.mime_lite import mime_lite
from harness.training.algorithms.own import own
from harness.training.algorithms.scaffold import scaffold

__all__ = [
    "LearningProcess",
    "OwnProcess",
    "Parts",
    "Sizes",
    "algorithms",
    "centralised",
    "fed_recon",
    "fedadagrad",
    "fedadam",
    "fedavg",
    "fedavg_with_schedule",
    "fedavgm",
    "fedprox",
    "fedsgd",
    "fedyogi",
    "kmeans",
    "local_only",
    "mime_lite",
    "own",
    "scaffold",
]
