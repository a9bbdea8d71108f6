"""Whether a run is worse than its baseline, beyond what chance does."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from pytest_federated.expectations.baselines import (
    Baseline,
    always_measured,
    changed,
    figures_of,
    is_usable,
)
from pytest_federated.expectations.expectation import expectations
from pytest_federated.metrics.measure import coarsest, keys_in
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.metrics.resolution import Step
from pytest_federated.metrics.statistics import comparable, summarize, welch
from pytest_federated.results.record import Result, Verdict

# The chance that a scenario which is as good as its baseline is called worse, all its figures
# together: each of n figures is tested at a level of this divided by n (Bonferroni).
FALSE_ALARMS = 0.01
_RELATIVE = 0.25  # tolerance with one seed, of what is no share
_ERRORS = 3.0  # tolerance with one seed, of a share, in standard errors of a share of the test set


def compare_with_baseline(result: Result, baseline: Baseline) -> tuple[Verdict, ...]:
    """One verdict for each figure that both have: those of every baseline, and of expectations.

    With two seeds or more on both sides, Welch's t test (`statistics.welch`) decides; a figure is
    worse when the chance of such a difference without a reason is below `FALSE_ALARMS` divided by
    the number of figures. With one seed on a side, what differs by more than a tolerance is worse:
    for a share three standard errors of a share of the examples that it is measured on, for other
    figures 25 % of the baseline, and a step of the metric at least. Only the seeds of both sides
    are compared then; where there are none (see `apart`), there are no verdicts.

    What had a figure, and now has none of some seed, or one that is not finite, is worse.

    Higher is better, or lower, or neither, as the bound of the expectation says; where there is no
    bound, as the metric says.
    """
    if apart(result, baseline):
        return ()
    figures = figures_of(result, without=timed())
    common = [name for name in figures if name in baseline.figures]
    return tuple(_verdict(name, baseline, result, figures, len(common)) for name in common)


def timed() -> tuple[str, ...]:
    """Metrics of wall time, which depends on the machine: no baseline has them."""
    return tuple(name for name in metrics.names() if spec_of(name).is_wall_time)


def keys_of(result: Result) -> dict[str, dict[str, Any]]:
    """Of each expectation that has keys besides its bounds, these: they say what its figure is."""
    keys = {name: keys_in(result, name) for name in result.settings["expect"]}
    return {name: of for name, of in keys.items() if of}


def apart(result: Result, baseline: Baseline) -> str:
    """Why a result and its baseline cannot be compared at all; empty where they can.

    Of one seed against another seed either may be better by chance, and nothing says by how much.
    """
    seeds = [h.seed for h in result.histories]
    one, two = ({seed: 0.0 for seed in of} for of in (baseline.seeds, seeds))
    if comparable(one, two)[0]:
        return ""
    return (
        f"the baseline has {_seeds(baseline.seeds)}, this run {_seeds(seeds)}: a single seed is "
        "compared with the same seed only"
    )


def unmeasured(result: Result, baseline: Baseline) -> list[str]:
    """Figures of a baseline that nothing of the result can be compared with, each with the reason.

    They are of expectations that are gone, or that have other keys now, of no expectation at all,
    or no such figures.
    """
    now = {*always_measured(), *(v.expectation for v in result.verdicts)} - {*timed()}
    problems: list[str] = []
    for name, figures in baseline.figures.items():
        if name not in now:
            problems.append(f"{name} is not measured now")
        scale = spec_of(name).values
        low, high = scale.low, scale.high
        if scale.is_bounded and not all(low <= figure <= high for figure in figures):
            problems.append(f"{name} is not between {low:g} and {high:g} there")
    own = keys_of(result)
    for name in [name for name in baseline.keys if name in own and name in expectations]:
        # Keys that are younger than the baseline have their defaults there.
        fields = expectations[name].params.model_fields
        optional = {key for key in own[name] if key in fields and not fields[key].is_required()}
        younger = {key: fields[key].default for key in optional}
        problems += changed({name: {**younger, **baseline.keys[name]}}, {name: own[name]})
    return problems


def added(result: Result, baseline: Baseline) -> list[str]:
    """Figures of a result that its baseline does not have: of expectations that are new."""
    figures = figures_of(result, without=timed())
    return [name for name, values in figures.items() if values and name not in baseline.figures]


def _verdict(
    name: str,
    baseline: Baseline,
    result: Result,
    figures: dict[str, tuple[float, ...]],
    tests: int,
) -> Verdict:
    sign = _better(name, result.settings["expect"].get(name, {}))
    missing = _missing(name, result, figures[name])
    first = dict(zip(baseline.seeds, baseline.figures[name]))
    second = dict(zip((h.seed for h in result.histories), figures[name]))
    before, now = (list(first.values()), []) if missing else comparable(first, second)
    was = f"{statistics.fmean(before):.4g}"
    if len(before) > 1:
        was += f" ± {statistics.stdev(before):.2g}"
    expected = f"{ {1: 'no lower than', -1: 'no higher than', 0: 'as'}[sign] } {was}"
    if missing:
        return Verdict(
            expectation=f"{name}, baseline", expected=expected, passed=False, note=missing
        )
    step = _step(name, result, baseline)
    if len(before) > 1 and len(now) > 1:
        compared = welch(before, now, resolution=step.size)
        difference = compared.difference
        chance = {1: compared.p_lower, -1: compared.p_higher, 0: compared.p}[sign]
        is_worse = chance < FALSE_ALARMS / tests
        is_better = sign != 0 and 1 - chance < FALSE_ALARMS / tests
        certainty = f"p {chance:.2g}"
    else:
        difference = statistics.fmean(now) - statistics.fmean(before)
        worse = abs(difference) if sign == 0 else -sign * difference
        tolerance = _tolerance(name, statistics.fmean(before), step)
        is_worse, is_better = worse > tolerance, sign != 0 and -worse > tolerance
        certainty = f"tolerance {tolerance:.2g}"
    summary = summarize(now)
    return Verdict(
        expectation=f"{name}, baseline",
        expected=f"{expected} ({certainty})",
        measured=summary.mean,
        spread=summary.deviation,
        low=summary.low,
        high=summary.high,
        margin=-abs(difference) if sign == 0 else sign * difference,
        passed=not is_worse,
        note="better than the baseline" if is_better else "",
    )


def _missing(name: str, result: Result, figures: Sequence[float]) -> str:
    """Why a figure that a baseline has cannot be judged now; empty where it can."""
    if any(history.test_examples < 1 for history in result.histories):
        return "no test examples"
    if len(figures) != len(result.histories):
        notes = [v.note for v in result.verdicts if v.expectation == name and v.note]
        return notes[0] if notes else "not measured in every seed"
    return "" if all(map(is_usable, figures)) else "not finite"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _better(name: str, bounds: dict[str, Any]) -> int:
    """1 where higher is better, -1 where lower is, 0 where the expectation has both bounds."""
    if "between" in bounds or ("at_least" in bounds and "at_most" in bounds):
        return 0
    if bounds.keys() & {"at_least", "at_most"}:
        return -1 if "at_most" in bounds else 1
    return spec_of(name).sign or 1


def _step(name: str, result: Result, baseline: Baseline) -> Step:
    """The step in which a figure comes, with the smallest test set of either side."""
    examples = min(baseline.test_examples, *(h.test_examples for h in result.histories))
    histories = [h.model_copy(update={"test_examples": examples}) for h in result.histories]
    return coarsest(spec_of(name), histories, keys_in(result, name))


def _tolerance(name: str, before: float, step: Step) -> float:
    """What a figure of one seed may differ by."""
    error = spec_of(name).values.standard_error
    if error is not None and step.examples is not None:
        return _ERRORS * error(before, step.examples)
    return max(step.size, _RELATIVE * abs(before))
