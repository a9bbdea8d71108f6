"""Choosing the best point of a grid from its trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from pytest_federated.core.errors import FederatedError
from pytest_federated.metrics.metric import NoValue, measured, metrics, spec_of
from pytest_federated.results.tuning import GridPoint, Tuning, best_place
from pytest_federated.scenario.tune import Tune
from pytest_federated.training.history import TrainingHistory


def tuning_of(
    tune: Tune,
    values: Mapping[str, Mapping[str, Any]],
    histories: Mapping[str, Sequence[TrainingHistory]],
    seeds: Sequence[int],
) -> Tuning:
    """Compares the points of a grid.

    Args:
        tune: how the best is chosen.
        values: of each point, by its name and dotted key.
        histories: the trainings of each point, in the order of `seeds`.
        seeds: of the trainings.

    Raises:
        FederatedError: no training has the metric, and not because all diverged.

    """
    metric = _measured_metric(tune, histories)
    points = tuple(
        _point(name, of, metric, tune.measure_keys, histories[name]) for name, of in values.items()
    )
    sign = 1 if spec_of(metric).sign > 0 else -1
    tuning = Tuning(
        metric=metric,
        over_last=tune.over_last,
        by=tune.by,
        sign=sign,
        seeds=tuple(seeds),
        points=points,
        chosen=best_place(points, sign),
    )
    if tuning.best is None and not all(of[-1].diverged for of in histories.values()):
        raise FederatedError(f"tune: no point can be chosen by {metric}: {tuning.notes}")
    return tuning


def _measured_metric(tune: Tune, histories: Mapping[str, Sequence[TrainingHistory]]) -> str:
    """Returns the metric that decides: the first that any training has."""
    names = [tune.measure(name) for name in tune.metric_names]
    trained = [history for of_point in histories.values() for history in of_point]
    keys = tune.measure_keys
    return next(
        (n for n in names if any(_value(n, keys, h)[0] is not None for h in trained)), names[0]
    )


def _point(
    name: str,
    values: Mapping[str, Any],
    metric: str,
    keys: Mapping[str, Any],
    histories: Sequence[TrainingHistory],
) -> GridPoint:
    measurements = [_value(metric, keys, history) for history in histories]
    figures = tuple(value for value, _ in measurements)
    reasons = [f"seed {h.seed} {why}" for h, (_, why) in zip(histories, measurements) if why]
    return GridPoint(
        name=name, values=dict(values), figures=figures, note=reasons[0] if reasons else ""
    )


def _value(
    metric: str, keys: Mapping[str, Any], history: TrainingHistory
) -> tuple[Optional[float], str]:
    """Returns the value of a training, or why it has none."""
    if history.diverged:
        return None, history.diverged
    try:
        value = measured(metrics[metric], history, **keys)
    except NoValue as reason:
        return None, str(reason)
    return (value, "") if math.isfinite(value) else (None, f"has a {metric} of {value}")
