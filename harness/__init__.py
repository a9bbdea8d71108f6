"""pytest-federated: does it still converge, on data like ours, after this change?

The public API. Names are imported when they are first used: pytest loads the plugin, and with
it this module, in every session, also in those without scenarios. Only running a scenario
imports TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from harness.checks import NoFigure, expectation
    from harness.checks import checks as check
    from harness.data.datasets import datasets as dataset
    from harness.data.shifts import shifts as shift
    from harness.data.sizes import sizes as size
    from harness.data.splits import splits as split
    from harness.errors import (
        DataError,
        DataUnavailable,
        HarnessError,
        ModelError,
        RuntimeUnavailable,
        ScenarioError,
        TimeLimitExceeded,
    )
    from harness.pipeline import Options, run
    from harness.results import Result, Verdict
    from harness.scenario import Case, Scenario, load_file
    from harness.systems.dropout import dropouts as dropout
    from harness.systems.malicious import attacks as attack
    from harness.systems.sampling import samplers as sampler
    from harness.systems.stragglers import stragglers as straggler
    from harness.training.aggregators import aggregators as aggregator
    from harness.training.algorithms import algorithms as algorithm
    from harness.training.models import models as model
    from harness.training.optimizers import optimizers as optimizer
    from harness.training.schedules import schedules as schedule

_HOME = {
    "Case": "harness.scenario",
    "DataError": "harness.errors",
    "DataUnavailable": "harness.errors",
    "HarnessError": "harness.errors",
    "ModelError": "harness.errors",
    "NoFigure": "harness.checks",
    "Options": "harness.pipeline",
    "Result": "harness.results",
    "RuntimeUnavailable": "harness.errors",
    "Scenario": "harness.scenario",
    "ScenarioError": "harness.errors",
    "TimeLimitExceeded": "harness.errors",
    "Verdict": "harness.results",
    "expectation": "harness.checks",
    "load_file": "harness.scenario",
    "run": "harness.pipeline",
}
# The registries, which are decorators: @harness.split("name").
_REGISTRIES = {
    "aggregator": "harness.training.aggregators",
    "algorithm": "harness.training.algorithms",
    "attack": "harness.systems.malicious",
    "check": "harness.checks",
    "dataset": "harness.data.datasets",
    "dropout": "harness.systems.dropout",
    "model": "harness.training.models",
    "optimizer": "harness.training.optimizers",
    "sampler": "harness.systems.sampling",
    "schedule": "harness.training.schedules",
    "shift": "harness.data.shifts",
    "size": "harness.data.sizes",
    "split": "harness.data.splits",
    "straggler": "harness.systems.stragglers",
}

__all__ = [
    "Case",
    "DataError",
    "DataUnavailable",
    "HarnessError",
    "ModelError",
    "NoFigure",
    "Options",
    "Result",
    "RuntimeUnavailable",
    "Scenario",
    "ScenarioError",
    "TimeLimitExceeded",
    "Verdict",
    "aggregator",
    "algorithm",
    "attack",
    "check",
    "dataset",
    "dropout",
    "expectation",
    "load_file",
    "load_scenarios",
    "model",
    "optimizer",
    "run",
    "sampler",
    "schedule",
    "shift",
    "size",
    "split",
    "straggler",
]


def load_scenarios(*paths: Union[str, Path]) -> list[Case]:
    """All scenarios of the given files and folders, in order of path.

    Raises:
        ScenarioError: with every problem of every file.
    """
    from harness.scenario.files import load_all

    return load_all([Path(p) for p in paths])


def __getattr__(name: str) -> Any:
    if name in _REGISTRIES:
        value = getattr(import_module(_REGISTRIES[name]), f"{name}s")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    globals()[name] = value
    return value
