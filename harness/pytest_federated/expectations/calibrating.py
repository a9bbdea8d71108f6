"""Thresholds that a scenario as good as now misses only so often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.expectations.baselines import always_measured
from pytest_federated.metrics.metric import spec_of
from pytest_federated.metrics.scales import Scale
from pytest_federated.metrics.statistics import summarize, t_quantile


@dataclass(frozen=True)
class Proposal:
    """New bounds of an expectation.

    Attributes:
        expectation: its name.
        bounds: by key, as in the scenario file; numbers, or a list of two for ``between``.
        mean: of the figures that they follow from.
        deviation: standard deviation of these.

    """

    expectation: str
    bounds: dict[str, object]
    mean: float
    deviation: float


def propose(
    name: str, keys: Sequence[str], figures: Sequence[float], seeds: int, false_alarms: float
) -> Proposal:
    """Bounds for the mean over `seeds` further seeds, of a figure that is as in `figures`.

    A bound is the end of the one-sided prediction interval of that mean: mean ± t · s ·
    √(1/seeds + 1/n), with Student's t of n - 1 degrees of freedom (G. J. Hahn, "Factors for
    Calculating Two-Sided Prediction Intervals", JASA 64, 1969). It is rounded to the generous side.

    Args:
        name: of the expectation.
        keys: which of the bounds it has.
        figures: two or more, one for each seed that was run.
        seeds: of the scenario.
        false_alarms: the chance that the mean misses its bound or, with two, one of them.

    """
    summary = summarize(figures)
    deviation = summary.deviation or 0.0
    sides = 2 if "between" in keys or len(keys) > 1 else 1
    reach = t_quantile(1 - false_alarms / sides, len(figures) - 1) * deviation
    reach *= math.sqrt(1 / seeds + 1 / len(figures))
    scale = spec_of(name).values
    low = _rounded(scale, summary.mean - reach, -1)
    high = _rounded(scale, summary.mean + reach, 1)
    proposed: dict[str, object] = {"at_least": low, "at_most": high, "between": [low, high]}
    return Proposal(name, {key: proposed[key] for key in keys}, summary.mean, deviation)


def default_bounds(task: Optional[TaskKind] = None) -> dict[str, list[str]]:
    """The bounds of a scenario that expects nothing yet: of each metric that every baseline has and
    that has a column in reports.

    `task` is what it predicts; None stands for labels.
    """
    specs = {name: spec_of(name) for name in always_measured(task)}
    return {name: [spec.default_bound] for name, spec in specs.items() if spec.column is not None}


def loosest(proposals: Sequence[Proposal]) -> Proposal:
    """One for several variants of a scenario, which have their expectations in common."""
    bounds: dict[str, object] = {}
    for key in proposals[0].bounds:
        proposed = [p.bounds[key] for p in proposals]
        if key == "between":
            pairs: list[Any] = [v for v in proposed if isinstance(v, list)]
            bounds[key] = [min(p[0] for p in pairs), max(p[1] for p in pairs)]
        else:
            numbers = [v for v in proposed if isinstance(v, (int, float))]
            bounds[key] = min(numbers) if key == "at_least" else max(numbers)
    widest = next((p for p in proposals if p.bounds == bounds), proposals[0])
    return Proposal(widest.expectation, bounds, widest.mean, widest.deviation)


def _rounded(scale: Scale, value: float, side: int) -> float:
    """Rounds to the generous side, and to what the thresholds of the metric may be."""
    toward = math.floor if side < 0 else math.ceil
    if scale.grid is not None:
        rounded = round(toward(round(value / scale.grid, 6)) * scale.grid, 3)
    elif value == 0:
        rounded = 0.0
    else:
        step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)  # three digits
        rounded = float(f"{toward(round(value / step, 6)) * step:.3g}")
    return min(max(rounded, scale.low), scale.high)
