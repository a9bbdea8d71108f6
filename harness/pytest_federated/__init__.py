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
    from pytest_federated.clients.attacks.attack import attacks as attack
    from pytest_federated.clients.dropout.dropout import dropouts as dropout
    from pytest_federated.clients.sampling.sampler import samplers as sampler
    from pytest_federated.clients.stragglers.straggler import stragglers as straggler
    from pytest_federated.core.errors import (
        DataError,
        DataUnavailable,
        FederatedError,
        ModelError,
        RuntimeUnavailable,
        ScenarioError,
        TimeLimitExceeded,
    )
    from pytest_federated.data.datasets.dataset import datasets as dataset
    from pytest_federated.data.shifts.shift import shifts as shift
    from pytest_federated.data.sizes.size import sizes as size
    from pytest_federated.data.splits.partition import splits as split
    from pytest_federated.expectations.expectation import expectations as expectation
    from pytest_federated.metrics.metric import NoValue
    from pytest_federated.metrics.metric import metrics as metric
    from pytest_federated.metrics.prediction import prediction_metric
    from pytest_federated.results.record import Result, Verdict
    from pytest_federated.running.options import Options
    from pytest_federated.running.pipeline import run
    from pytest_federated.running.store import Store
    from pytest_federated.scenario.case import Case
    from pytest_federated.scenario.loader import load_file
    from pytest_federated.scenario.schema import Scenario
    from pytest_federated.training.aggregators.aggregator import aggregators as aggregator
    from pytest_federated.training.algorithms.algorithm import algorithms as algorithm
    from pytest_federated.training.models.model import models as model
    from pytest_federated.training.observer import Observer
    from pytest_federated.training.optimizers.optimizer import optimizers as optimizer
    from pytest_federated.training.schedules.schedule import schedules as schedule

# Where each public name is; the registries are decorators: @pytest_federated.split("name").
_HOME = {
    "Case": "scenario.case:Case",
    "DataError": "core.errors:DataError",
    "DataUnavailable": "core.errors:DataUnavailable",
    "FederatedError": "core.errors:FederatedError",
    "ModelError": "core.errors:ModelError",
    "Observer": "training.observer:Observer",
    "NoValue": "metrics.metric:NoValue",
    "Options": "running.options:Options",
    "Result": "results.record:Result",
    "RuntimeUnavailable": "core.errors:RuntimeUnavailable",
    "Scenario": "scenario.schema:Scenario",
    "ScenarioError": "core.errors:ScenarioError",
    "Store": "running.store:Store",
    "TimeLimitExceeded": "core.errors:TimeLimitExceeded",
    "Verdict": "results.record:Verdict",
    "aggregator": "training.aggregators.aggregator:aggregators",
    "algorithm": "training.algorithms.algorithm:algorithms",
    "attack": "clients.attacks.attack:attacks",
    "dataset": "data.datasets.dataset:datasets",
    "dropout": "clients.dropout.dropout:dropouts",
    "expectation": "expectations.expectation:expectations",
    "load_file": "scenario.loader:load_file",
    "metric": "metrics.metric:metrics",
    "model": "training.models.model:models",
    "optimizer": "training.optimizers.optimizer:optimizers",
    "prediction_metric": "metrics.prediction:prediction_metric",
    "run": "running.pipeline:run",
    "sampler": "clients.sampling.sampler:samplers",
    "schedule": "training.schedules.schedule:schedules",
    "shift": "data.shifts.shift:shifts",
    "size": "data.sizes.size:sizes",
    "split": "data.splits.partition:splits",
    "straggler": "clients.stragglers.straggler:stragglers",
}

__all__ = [
    "Case",
    "DataError",
    "DataUnavailable",
    "FederatedError",
    "ModelError",
    "NoValue",
    "Observer",
    "Options",
    "Result",
    "RuntimeUnavailable",
    "Scenario",
    "ScenarioError",
    "Store",
    "TimeLimitExceeded",
    "Verdict",
    "aggregator",
    "algorithm",
    "attack",
    "dataset",
    "dropout",
    "expectation",
    "load_file",
    "load_scenarios",
    "metric",
    "model",
    "optimizer",
    "prediction_metric",
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
    from pytest_federated.scenario.files import load_all

    return load_all([Path(p) for p in paths])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pytest-federated")
    if name not in _HOME:
        raise AttributeError(f"module 'pytest_federated' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(import_module(f"pytest_federated.{module}"), attribute)
    globals()[name] = value
    return value
