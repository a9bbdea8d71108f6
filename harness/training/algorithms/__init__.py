"""Algorithms by name: each builds a TFF learning process.

An algorithm function takes `Parts` and its keys from the scenario file, and returns a
`LearningProcess`: TFF's, or one like it.
"""

from harness.training.algorithms.base import LearningProcess, Parts, algorithms
from harness.training.algorithms.fedavg import fedavg
from harness.training.algorithms.fedprox import fedprox

__all__ = ["LearningProcess", "Parts", "algorithms", "fedavg", "fedprox"]
