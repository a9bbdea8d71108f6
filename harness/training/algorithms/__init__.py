"""Algorithms by name: each builds a TFF learning process.

An algorithm function takes `Parts` and its keys from the scenario file, and returns a
`tff.learning.templates.LearningProcess`.
"""

from harness.training.algorithms.base import Parts, algorithms
from harness.training.algorithms.fedavg import fedavg

__all__ = ["Parts", "algorithms", "fedavg"]
