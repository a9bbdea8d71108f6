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
    from pytest_federated.clients.attacks.attack import Attack
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
    from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Loaded, in_memory
    from pytest_federated.data.datasets.dataset import datasets as dataset
    from pytest_federated.data.population import Population
    from pytest_federated.data.shifts.shift import Holder
    from pytest_federated.data.shifts.shift import shifts as shift
    from pytest_federated.data.sizes.size import sizes as size
    from pytest_federated.data.splits.partition import Pool
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
    from pytest_federated.training.algorithms.algorithm import Algorithm, AlgorithmInputs
    from pytest_federated.training.algorithms.algorithm import algorithms as algorithm
    from pytest_federated.training.engine.standard import TffAlgorithm
    from pytest_federated.training.history import Round, TrainingHistory
    from pytest_federated.training.models.model import Shape
    from pytest_federated.training.models.model import models as model
    from pytest_federated.training.observer import Observer
    from pytest_federated.training.optimizers.optimizer import Rate
    from pytest_federated.training.optimizers.optimizer import optimizers as optimizer
    from pytest_federated.training.schedules.schedule import schedules as schedule

# Where each public name is; the registries are decorators: @pytest_federated.split("name").
_HOME = {
    "Algorithm": "training.algorithms.algorithm:Algorithm",
    "AlgorithmInputs": "training.algorithms.algorithm:AlgorithmInputs",
    "Attack": "clients.attacks.attack:Attack",
    "Cache": "data.datasets.dataset:Cache",
    "Case": "scenario.case:Case",
    "DataError": "core.errors:DataError",
    "DataUnavailable": "core.errors:DataUnavailable",
    "Dataset": "data.datasets.dataset:Dataset",
    "Examples": "data.datasets.dataset:Examples",
    "FederatedError": "core.errors:FederatedError",
    "Holder": "data.shifts.shift:Holder",
    "Loaded": "data.datasets.dataset:Loaded",
    "ModelError": "core.errors:ModelError",
    "NoValue": "metrics.metric:NoValue",
    "Observer": "training.observer:Observer",
    "Options": "running.options:Options",
    "Pool": "data.splits.partition:Pool",
    "Population": "data.population:Population",
    "Rate": "training.optimizers.optimizer:Rate",
    "Result": "results.record:Result",
    "Round": "training.history:Round",
    "RuntimeUnavailable": "core.errors:RuntimeUnavailable",
    "Scenario": "scenario.schema:Scenario",
    "ScenarioError": "core.errors:ScenarioError",
    "Shape": "training.models.model:Shape",
    "Store": "running.store:Store",
    "TffAlgorithm": "training.engine.standard:TffAlgorithm",
    "TimeLimitExceeded": "core.errors:TimeLimitExceeded",
    "TrainingHistory": "training.history:TrainingHistory",
    "Verdict": "results.record:Verdict",
    "aggregator": "training.aggregators.aggregator:aggregators",
    "algorithm": "training.algorithms.algorithm:algorithms",
    "attack": "clients.attacks.attack:attacks",
    "dataset": "data.datasets.dataset:datasets",
    "dropout": "clients.dropout.dropout:dropouts",
    "expectation": "expectations.expectation:expectations",
    "in_memory": "data.datasets.dataset:in_memory",
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
    "Algorithm",
    "AlgorithmInputs",
    "Attack",
    "Cache",
    "Case",
    "DataError",
    "DataUnavailable",
    "Dataset",
    "Examples",
    "FederatedError",
    "Holder",
    "Loaded",
    "ModelError",
    "NoValue",
    "Observer",
    "Options",
    "Pool",
    "Population",
    "Rate",
    "Result",
    "Round",
    "RuntimeUnavailable",
    "Scenario",
    "ScenarioError",
    "Shape",
    "Store",
    "TffAlgorithm",
    "TimeLimitExceeded",
    "TrainingHistory",
    "Verdict",
    "aggregator",
    "algorithm",
    "attack",
    "dataset",
    "dropout",
    "expectation",
    "in_memory",
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
