"""pytest-federated: does it still converge, on data like ours, after this change?

The public API. Importing it imports no TensorFlow; running a scenario does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Union

from harness.checks import checks as check
from harness.data.datasets import datasets as dataset
from harness.data.splits import splits as split
from harness.errors import (
    DataError,
    DataUnavailable,
    HarnessError,
    ModelError,
    Problem,
    RuntimeUnavailable,
    ScenarioError,
)
from harness.results import Result, Verdict
from harness.run import Options, run
from harness.scenario import Case, Scenario, load_file
from harness.training.algorithms import algorithms as algorithm
from harness.training.models import models as model
from harness.training.optimizers import optimizers as optimizer

__all__ = [
    "Case",
    "DataError",
    "DataUnavailable",
    "HarnessError",
    "ModelError",
    "Options",
    "Problem",
    "Result",
    "RuntimeUnavailable",
    "Scenario",
    "ScenarioError",
    "Verdict",
    "algorithm",
    "check",
    "dataset",
    "load_scenarios",
    "model",
    "optimizer",
    "run",
    "split",
]


def load_scenarios(*paths: Union[str, Path]) -> list[Case]:
    """All scenarios of the given files and folders, in order of path.

    Raises:
        ScenarioError: with every problem of every file.

    """
    from harness.scenario.files import load_all

    return load_all([Path(p) for p in paths])
