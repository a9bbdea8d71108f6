"""Whether a run is worse than its baseline, beyond what chance does."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from harness.checks.base import Difference, Share, checks
from harness.results.baselines import Baseline, baseline_of
from harness.results.record import Result, Verdict
from harness.results.statistics import summarise, welch

# The chance that a scenario which is as good as its baseline is called worse, all its figures
# together: each of n figures is tested at a level of this divided by n (Bonferroni).
FALSE_ALARMS = 0.01
_RELATIVE = 0.25  # tolerance with one seed, of what is no share
_ERRORS = 3.0  # tolerance with one seed, of a share, in standard errors of a share of the test set


def compare_with_baseline(result: Result, baseline: Baseline) -> tuple[Verdict, ...]:
    """One verdict for each figure that both have: accuracy, loss, and those of expectations.

    With two seeds or more on both sides, Welch's t test (`statistics.welch`) decides; a figure is
    worse when the chance of such a difference without a reason is below `FALSE_ALARMS` divided by
    the number of figures. With one seed on a side, what differs by more than a tolerance is worse:
    for shares three standard errors of a share of the test set, for other figures 25 % of the
    baseline, for rounds one at least.

    Higher is better, or lower, or neither, as the bound of the expectation says.
    """
    found = baseline_of(result, without=timed())
    common = [name for name in found.figures if baseline.figures.get(name)]
    examples = min(found.test_examples, baseline.test_examples) or 1
    return tuple(
        _verdict(name, baseline, found, result.settings["expect"], examples, len(common))
        for name in common
        if found.figures[name]
    )


def timed() -> tuple[str, ...]:
    """Expectations of wall time, which depends on the machine: no baseline has them."""
    return tuple(name for name in checks.names() if checks[name].traits.get("is_benchmark"))


def _verdict(
    name: str,
    baseline: Baseline,
    found: Baseline,
    expect: dict[str, Any],
    examples: int,
    tests: int,
) -> Verdict:
    before, now = baseline.figures[name], found.figures[name]
    sign = _better(name, expect.get(name, {}))
    step, tolerance = _precision(name, statistics.fmean(before), examples)
    if min(len(before), len(now)) > 1:
        compared = welch(before, now, resolution=step)
        difference = compared.difference
        chance = {1: compared.p_lower, -1: compared.p_higher, 0: compared.p}[sign]
        is_worse = chance < FALSE_ALARMS / tests
        is_better = sign != 0 and 1 - chance < FALSE_ALARMS / tests
        told = f"p {chance:.2g}"
    else:
        before, now = _same_seeds(before, baseline.seeds, now, found.seeds)
        difference = statistics.fmean(now) - statistics.fmean(before)
        worse = abs(difference) if sign == 0 else -sign * difference
        is_worse, is_better = worse > tolerance, sign != 0 and -worse > tolerance
        told = f"tolerance {tolerance:.2g}"
    summary = summarise(now)
    was = f"{statistics.fmean(before):.4g}"
    if len(before) > 1:
        was += f" ± {statistics.stdev(before):.2g}"
    return Verdict(
        expectation=f"{name}, baseline",
        expected=f"{ {1: 'no lower than', -1: 'no higher than', 0: 'as'}[sign] } {was} ({told})",
        measured=summary.mean,
        spread=summary.deviation,
        low=summary.low,
        high=summary.high,
        margin=-abs(difference) if sign == 0 else sign * difference,
        passed=not is_worse,
        note="better than the baseline" if is_better else "",
    )


def _same_seeds(
    before: Sequence[float], seeds: Sequence[int], now: Sequence[float], own: Sequence[int]
) -> tuple[Sequence[float], Sequence[float]]:
    """The figures of the seeds that both sides have; all of them where there is none."""
    if len(before) != len(seeds) or len(now) != len(own):
        return before, now
    one, two = dict(zip(seeds, before)), dict(zip(own, now))
    common = [seed for seed in one if seed in two]
    return ([one[s] for s in common], [two[s] for s in common]) if common else (before, now)


def _better(name: str, bounds: dict[str, Any]) -> int:
    """1 where higher is better, -1 where lower is, 0 where the expectation has both bounds."""
    if "between" in bounds or ("at_least" in bounds and "at_most" in bounds):
        return 0
    if "at_most" in bounds or name == "loss":
        return -1
    return 1


def _precision(name: str, before: float, examples: int) -> tuple[float, float]:
    """The step in which a figure comes, and its tolerance with one seed."""
    bound = checks[name].traits.get("bound") if name in checks else None
    if bound == Share:
        share = min(max(before, 1 / examples), 1 - 1 / examples)
        return 1 / examples, _ERRORS * math.sqrt(share * (1 - share) / examples)
    if bound == Difference:
        return 1 / examples, _ERRORS * math.sqrt(0.5 / examples)
    step = 1.0 if name == "rounds_to_accuracy" else 0.0
    return step, max(step, _RELATIVE * abs(before))
