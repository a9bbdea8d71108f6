"""Thresholds that a scenario as good as now misses only so often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_federated.core.schema import Section
from pytest_federated.expectations.judging import BOUNDS, Difference, Share, checks
from pytest_federated.metrics.statistics import summarize, t_quantile

_SHARE_STEP = 0.005


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
    low = _rounded(name, summary.mean - reach, -1)
    high = _rounded(name, summary.mean + reach, 1)
    proposed: dict[str, object] = {"at_least": low, "at_most": high, "between": [low, high]}
    return Proposal(name, {key: proposed[key] for key in keys}, summary.mean, deviation)


def bounds_of(chosen: Section) -> list[str]:
    """The bounds that an expectation of a scenario has."""
    return [key for key in BOUNDS if getattr(chosen, key, None) is not None]


def loosest(proposals: Sequence[Proposal]) -> Proposal:
    """One for several variants of a scenario, which have their expectations in common."""
    bounds: dict[str, object] = {}
    for key in proposals[0].bounds:
        given = [p.bounds[key] for p in proposals]
        if key == "between":
            pairs = [v for v in given if isinstance(v, list)]
            bounds[key] = [min(p[0] for p in pairs), max(p[1] for p in pairs)]
        else:
            numbers = [v for v in given if isinstance(v, (int, float))]
            bounds[key] = min(numbers) if key == "at_least" else max(numbers)
    widest = next((p for p in proposals if p.bounds == bounds), proposals[0])
    return Proposal(widest.expectation, bounds, widest.mean, widest.deviation)


def _rounded(name: str, value: float, side: int) -> float:
    """To the generous side, and to what the expectation can say."""
    toward = math.floor if side < 0 else math.ceil
    bound = checks[name].spec.bound
    if bound in (Share, Difference):
        stepped = round(toward(round(value / _SHARE_STEP, 6)) * _SHARE_STEP, 3)
        return min(max(stepped, 0.0 if bound == Share else -1.0), 1.0)
    if name in ("rounds_to_accuracy", "bytes_to_accuracy"):
        return max(1, toward(round(value, 6)))
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)  # three digits
    found = float(f"{toward(round(value / step, 6)) * step:.3g}")
    return max(found, 1e-6) if name in ("loss", "epsilon") else found
