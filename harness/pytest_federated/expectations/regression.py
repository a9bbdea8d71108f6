"""Whether a run differs from its baseline, by more than matters and by more than chance does.

How often that is wrong is stated for a whole session. Each scenario has an equal share of the
chance that any is called worse though nothing changed (Bonferroni). Holm's procedure takes the same
first step, and would relax only later ones, once a scenario is worse already; and a scenario's
outcome has to be known when it ends. Within a scenario, metrics share by their weights, and the two
looks, at the seeds that a check begins with and at all of the baseline's, by `FIRST_LOOK`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Optional

from pytest_federated.expectations.baselines import (
    Baseline,
    always_measured,
    changed,
    figures_of,
    is_usable,
    task_of,
)
from pytest_federated.expectations.expectation import expectations
from pytest_federated.metrics.difference import Difference, can_be_compared, compare
from pytest_federated.metrics.measure import coarsest, keys_in
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.metrics.resolution import Step
from pytest_federated.results.record import Compared, Result

FALSE_ALARMS = 0.01  # the chance that a scenario is called worse though nothing has changed
FALSE_ALARMS_OF_ALL = 0.05  # the chance that any scenario of a session is
FIRST_LOOK = 0.2  # the share of a scenario's level that the first look has, where there are two
_RELATIVE = 0.25  # tolerance with one pair, of what is no share
_ERRORS = 3.0  # tolerance with one pair, of a share, in standard errors of a share of the test set


def level_for(scenarios: int) -> float:
    """The chance of a false alarm that each of so many scenarios may have."""
    return min(FALSE_ALARMS, FALSE_ALARMS_OF_ALL / max(1, scenarios))


def compare_with_baseline(
    result: Result,
    baseline: Baseline,
    *,
    level: float = FALSE_ALARMS,
    margins: Mapping[str, float] = {},
) -> tuple[Compared, ...]:
    """How each figure that both have differs: those of every baseline, and of expectations.

    See `difference.compare`: seed by seed where both have two seeds or more in common. Of a single
    pair, a difference is worse beyond a tolerance: for a share three standard errors of a share of
    the examples that it is measured on, for other figures 25 % of the baseline, and never less than
    the margin. What had a figure, and now has none of some seed, or one that is not finite, is
    worse. Where nothing can be compared (see `apart`), there are no verdicts.

    Higher is better, or lower, or neither, as the bound of the expectation says; where there is no
    bound, as the metric says.

    Args:
        result: the run.
        baseline: of the same scenario.
        level: the chance that the run is called worse though nothing has changed, all its metrics
            together.
        margins: the least differences that matter, by metric. They go before those of the scenario
            file, which go before those of the metrics.

    """
    if apart(result, baseline):
        return ()
    figures = figures_of(result, without=timed())
    common = [name for name in figures if name in baseline.figures]
    weights = {name: spec_of(name).weight for name in common}
    return tuple(
        _compared(
            name,
            baseline,
            result,
            figures[name],
            level * weights[name] / sum(weights.values()),
            _own_margins(result) | dict(margins),
        )
        for name in common
    )


def look_twice(
    result: Result,
    baseline: Baseline,
    on_all_seeds: Optional[Callable[[], tuple[Result, Baseline]]],
    *,
    level: float = FALSE_ALARMS,
    margins: Mapping[str, float] = {},
    decide: bool = False,
) -> tuple[Compared, ...]:
    """Compares a run with its baseline, and where it may be worse once more on more seeds.

    Args:
        result: the run, on the seeds that a check begins with.
        baseline: what it is compared with.
        on_all_seeds: gives both on all seeds that the baseline has; None where the run has them
            already.
        level: as for `compare_with_baseline`, of both looks together.
        margins: as there.
        decide: whether the second look is also taken where anything is undecided.

    """
    if on_all_seeds is None:
        return compare_with_baseline(result, baseline, level=level, margins=margins)
    first = compare_with_baseline(result, baseline, level=FIRST_LOOK * level, margins=margins)
    is_open = decide and any(c.change == "undecided" for c in first)
    if not (is_open or leans_to_worse(first)):
        return first
    result, baseline = on_all_seeds()
    if result.status == "diverged":
        return (Compared(metric="baseline", change="worse", passed=False, note=result.reason),)
    level *= 1 - FIRST_LOOK
    return compare_with_baseline(result, baseline, level=level, margins=margins)


def leans_to_worse(compared: Sequence[Compared]) -> bool:
    """Whether more seeds might show a run to be worse, or are to confirm that it is."""
    return any(
        c.change == "worse" or (c.change == "undecided" and (c.worsening or 0) > 0)
        for c in compared
    )


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
    one, two = (dict.fromkeys(seeds, 0.0) for seeds in (baseline.seeds, result.seeds))
    if can_be_compared(one, two):
        return ""
    return (
        f"the baseline has {_seeds(baseline.seeds)}, this run {_seeds(result.seeds)}: a single "
        "seed is compared with the same seed only"
    )


def unmeasured(result: Result, baseline: Baseline) -> list[str]:
    """Figures of a baseline that nothing of the result can be compared with, each with the reason.

    They are of expectations that are gone, or that have other keys now, of no expectation at all,
    or no such figures.
    """
    always = always_measured(task_of(result))
    now = {*always, *(v.expectation for v in result.verdicts)} - {*timed()}
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


def _compared(
    name: str,
    baseline: Baseline,
    result: Result,
    figures: Sequence[float],
    level: float,
    margins: Mapping[str, float],
) -> Compared:
    before = dict(zip(baseline.seeds, baseline.figures[name]))
    mean = statistics.fmean(before.values())
    step = _step(name, result, baseline)
    margin = max(margins.get(name, spec_of(name).least.of(mean)), step.size)
    if missing := _missing(name, result, figures):
        return Compared(
            metric=name, before=mean, margin=margin, change="worse", passed=False, note=missing
        )
    sign = _better(name, result.settings["expect"].get(name, {}))
    now = dict(zip(result.seeds, figures))
    greatest = spec_of(name).values.width
    found = compare(
        before, now, sign=sign, margin=margin, step=step.size, greatest=greatest, level=level
    )
    worsening = -sign * found.difference if sign else abs(found.difference)
    change = "worse" if found.change == "differs" else found.change
    if change == "undecided" and found.pairs == 1:
        change = _of_one_pair(name, found, worsening, step)
    return Compared(
        metric=name,
        before=found.before,
        now=found.now,
        low=found.low,
        high=found.high,
        worsening=worsening,
        margin=margin,
        pairs=found.pairs,
        change=change,
        passed=change != "worse",
        more_seeds=found.more_seeds,
    )


def _own_margins(result: Result) -> dict[str, float]:
    """The margins that the scenario file states."""
    stated: Mapping[str, Mapping[str, float]] = result.settings.get("baseline") or {}
    return {name: keys["margin"] for name, keys in stated.items()}


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


def _of_one_pair(
    name: str, found: Difference, worsening: float, step: Step
) -> Literal["worse", "undecided"]:
    """What a single pair says: worse beyond what a figure of one seed may differ by."""
    error = spec_of(name).values.standard_error
    if error is not None and step.examples is not None:
        tolerance = _ERRORS * error(found.before, step.examples)
    else:
        tolerance = _RELATIVE * abs(found.before)
    return "worse" if worsening > max(tolerance, found.margin) else "undecided"
