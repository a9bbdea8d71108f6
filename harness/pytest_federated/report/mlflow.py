"""Results as runs of MLflow, in a folder on this machine."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_federated.metrics.measure import columns
from pytest_federated.report.scalars import scalars
from pytest_federated.results.flat import flat
from pytest_federated.results.record import Result
from pytest_federated.training.history import TrainingHistory

_LONGEST = 500  # the most characters of a parameter that MLflow accepts


def missing() -> str:
    """Returns why results cannot be logged, in a line; empty where they can."""
    if find_spec("mlflow") is None:
        return "--fed-mlflow needs MLflow: pip install 'pytest-federated[mlflow]'"
    return ""


def log(result: Result, folder: Path) -> None:
    """Logs each training of a result as a run: settings, figures by round, and the outcome.

    The experiment has the name of the scenario without its variant.
    """
    mlflow: Any = import_module("mlflow")
    entities = mlflow.entities
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MLflow recommends a database
        client = mlflow.MlflowClient(tracking_uri=folder.resolve().as_uri())
        experiment = _experiment(client, result.settings["name"])
        params = [entities.Param(k, str(v)[:_LONGEST]) for k, v in flat(result.settings)]
        for history in result.histories:
            tags = {"seed": str(history.seed), "status": result.status, **result.versions}
            run = client.create_run(
                experiment,
                run_name=f"{result.id} seed {history.seed}",
                tags={"seed": str(history.seed)},
            )
            metrics = [entities.Metric(k, v, 0, step) for step, k, v in _metrics(result, history)]
            for start in range(0, len(metrics), 1000):  # the most that MLflow accepts at once
                client.log_batch(run.info.run_id, metrics=metrics[start : start + 1000])
            client.log_batch(
                run.info.run_id,
                params=params[:100],
                tags=[entities.RunTag(k, v) for k, v in tags.items()],
            )
            is_good = result.status not in ("failed", "diverged")
            client.set_terminated(run.info.run_id, "FINISHED" if is_good else "FAILED")


def _experiment(client: Any, name: str) -> str:
    """Returns the id of the experiment of that name, which is created if need be."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.create_experiment(name)
        except Exception:  # another process of pytest-xdist was faster, or MLflow cannot
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    return experiment.experiment_id


def _metrics(result: Result, history: TrainingHistory) -> Iterator[tuple[int, str, float]]:
    for round_ in history.rounds:
        for group, values in scalars(round_).items():
            for name, value in values.items():
                yield round_.round, f"{group}/{name}", value
    for measure in columns([result]):
        value = measure.of(history, measure.keys(result))
        if value is not None and math.isfinite(value):
            yield history.rounds[-1].round, f"final/{measure.name}", value
