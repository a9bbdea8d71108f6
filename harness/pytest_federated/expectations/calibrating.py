"""Thresholds that a scenario as good as now misses only so often.

The figures of some seeds say what the mean of others may be, if all are of one kind: normal, or
skewed as what nears the end of its values is. A collapse of single seeds is another matter. One
that the figures show is allowed for; one that happened not to show cannot be, and `unseen_collapse`
says how often that may lead to a false alarm.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.expectations.baselines import always_measured
from pytest_federated.metrics.metric import spec_of
from pytest_federated.metrics.scales import Scale
from pytest_federated.metrics.statistics import (
    count_chance,
    f_quantile,
    normal_chance,
    summarize,
    t_quantile,
)

APART = 3.0  # from the others, in widths of these: what is further away has collapsed
_LEAST_TAIL = 1e-15  # what a normal distribution has beyond a quantile of Student's t may be 0
_LEAST_SHAPE = 0.05
_LEAST_SPREAD = 1e-3  # in distances from the end; with a smaller one a gamma distribution is normal


@dataclass(frozen=True)
class Proposal:
    """New bounds of an expectation.

    Attributes:
        expectation: its name.
        bounds: by key, as in the scenario file; numbers, or a list of two for ``between``.
        mean: of the figures that they follow from.
        deviation: standard deviation of these.
        collapsed: how many of the figures are far beyond the bad side of the others.

    """

    expectation: str
    bounds: dict[str, object]
    mean: float
    deviation: float
    collapsed: int = 0


def propose(
    name: str, keys: Sequence[str], figures: Sequence[float], seeds: int, false_alarms: float
) -> Proposal:
    """Bounds for the mean over `seeds` further seeds, of a figure that is as in `figures`.

    They are rounded to the generous side. Where some figures have collapsed, there is room for as
    many collapses as others may well have; see `_worst_mean`.

    Args:
        name: of the expectation.
        keys: which of the bounds it has.
        figures: two or more, one for each seed that was run.
        seeds: of the scenario.
        false_alarms: the chance that the mean misses its bound or, with two, one of them.

    """
    summary, spec = summarize(figures), spec_of(name)
    scale = spec.values.of(figures)
    sides = ["at_least", "at_most"] if "between" in keys else list(keys)
    level = false_alarms / len(sides)
    least = max(scale.grid or 0.0, spec.least.of(summary.mean))
    proposed: dict[str, float] = {}
    collapsed = 0
    for side in sides:
        sign, end = (-1, scale.high) if side == "at_least" else (1, scale.low)
        values = sorted(sign * figure for figure in figures)
        many = _collapsed(values, least)
        worst = _worst_mean(values, sign * end, many, seeds, level)
        proposed[side] = _rounded(scale, sign * worst, sign)
        collapsed = max(collapsed, many)
    bounds: dict[str, object] = {**proposed}
    if "between" in keys:
        bounds = {"between": [proposed["at_least"], proposed["at_most"]]}
    return Proposal(name, bounds, summary.mean, summary.deviation or 0.0, collapsed)


def unseen_collapse(figures: int, seeds: int) -> float:
    """The chance of a false alarm where some share of seeds collapses, the worst there is.

    It is that none of so many figures shows a collapse, and one of the scenario's seeds has one:
    qⁿ (1 - qᵐ), if a seed is well with chance q; greatest where q = (n / (n + m))^(1/m). No bound
    that a single collapse misses can promise less.

    Args:
        figures: seeds that were run, n.
        seeds: of the scenario, m.

    """
    share = figures / (figures + seeds)
    return share ** (figures / seeds) * (1 - share)


def figures_to_see_collapses(seeds: int, false_alarms: float) -> int:
    """How many seeds must be run for `unseen_collapse` to be so small."""
    low, high = 1, math.ceil(seeds / false_alarms)
    while low < high:
        middle = (low + high) // 2
        is_enough = unseen_collapse(middle, seeds) <= false_alarms
        low, high = (low, middle) if is_enough else (middle + 1, high)
    return low


def _collapsed(values: Sequence[float], least: float) -> int:
    """How many of some sorted values are so far above all others that they are of another kind.

    They are less than half, and further away than `APART` times the width of the others, or than
    `APART` times `least`. Of five others or fewer nothing is said.
    """
    gaps: dict[int, float] = {}
    for many in range(1, min((len(values) + 1) // 2, len(values) - 5)):
        gap, width = values[-many] - values[-many - 1], values[-many - 1] - values[0]
        if gap > APART * max(least, width):
            gaps[many] = gap
    return max(gaps, key=gaps.__getitem__, default=0)


def _worst_mean(
    values: Sequence[float], end: float, collapsed: int, seeds: int, level: float
) -> float:
    """A mean over further seeds that is exceeded with the chance `level` only.

    Where nothing has collapsed, it is the greater of two ends of prediction intervals:

    - of normal values: mean + t · s · √(1/m + 1/n), with Student's t of n - 1 degrees of freedom
      (G. J. Hahn, "Factors for Calculating Two-Sided Prediction Intervals", JASA 64, 1969);
    - of values whose distances from `end` have a gamma distribution, as is near to what they cannot
      pass, such as errors near to 0: the ratio of the means of m and n such values has an F
      distribution with 2mk and 2nk degrees of freedom, where k is the square of mean over
      deviation. As k is estimated, the level is that at which a normal distribution reaches as far
      as Student's t at `level`; for large k both intervals are the same.

    Where values have collapsed, the others are predicted in this way, with room for so many
    collapses that more would be seen with the chance `level` / 2 only.

    Args:
        values: sorted; greater is worse.
        end: what they cannot be below; may be infinite.
        collapsed: how many of them, the greatest, have collapsed.
        seeds: over which the mean is, m.
        level: the chance.

    """
    normal = _normal_mean(values, seeds, level)
    if not collapsed:
        return max(normal, _gamma_mean(values, end, seeds, level))
    well = values[: len(values) - collapsed]
    room = next(
        many
        for many in range(seeds + 1)
        if 1 - count_chance(many, seeds, collapsed, len(values)) <= level / 2
    )
    mean = statistics.fmean(well)
    of_well = _worst_mean(well, end, 0, max(1, seeds - room), level / 2)
    of_collapsed = values[-1] + of_well - mean
    return max(normal, ((seeds - room) * of_well + room * of_collapsed) / seeds)


def _normal_mean(values: Sequence[float], seeds: int, level: float) -> float:
    summary = summarize(values)
    spread = (summary.deviation or 0.0) * math.sqrt(1 / seeds + 1 / len(values))
    return summary.mean + t_quantile(1 - level, len(values) - 1) * spread


def _gamma_mean(values: Sequence[float], end: float, seeds: int, level: float) -> float:
    summary = summarize(values)
    distance, deviation = summary.mean - end, summary.deviation or 0.0
    if not (0 < distance < math.inf and deviation > _LEAST_SPREAD * distance):
        return -math.inf
    shape = max(_LEAST_SHAPE, (distance / deviation) ** 2)
    tail = max(_LEAST_TAIL, normal_chance(-t_quantile(1 - level, len(values) - 1)))
    return end + distance / f_quantile(tail, 2 * len(values) * shape, 2 * seeds * shape)


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
    return replace(widest, bounds=bounds)


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
