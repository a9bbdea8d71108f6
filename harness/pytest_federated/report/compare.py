"""Runs side by side: what got better, what got worse, and what is noise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.text import distinct, shortened
from pytest_federated.metrics.difference import Difference, can_be_compared
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.statistics import CONFIDENCE
from pytest_federated.report.markup import Markup
from pytest_federated.report.tables.cells import result_interval
from pytest_federated.results.flat import flat
from pytest_federated.results.record import Result
from pytest_federated.results.runs import Run
from pytest_federated.scenario.fields import with_defaults

BETTER, WORSE, DIFFERS, UNDECIDED = "▲ better", "▼ worse", "differs", "≈ undecided"
SAME, NOT_COMPARABLE, NO_FIGURE = "the same", "not comparable", "–"
_NO_LONGER = ("failed", "diverged", "errored", "not reached")
_IN_ORDER = (WORSE, BETTER, DIFFERS, UNDECIDED, "", NOT_COMPARABLE, NO_FIGURE, SAME)
_TEXTS = ("description", "tags", "comparison")  # settings that explain no difference
_NAME, _RUN, _KEY, _VALUE = 44, 16, 40, 18  # characters that are shown


def comparison(
    runs: Sequence[Run],
    measure: Measure,
    markup: Markup,
    *,
    confidence: float = CONFIDENCE,
) -> str:
    """Returns two or more runs by scenario, each against the first.

    Args:
        runs: what to compare.
        measure: the metric to compare.
        markup: Markdown, or text for the terminal.
        confidence: of the intervals of the differences.

    """
    blocks = [markup.heading("Comparison", 1)]
    shared = [name for name in runs[0].results if all(name in run.results for run in runs)]
    first, *others = runs
    for other in others:
        blocks += _against(first, other, shared, measure, markup, confidence)
    if len(blocks) > 1 + len(others):  # there is a table
        blocks.append(
            f"Mean {measure.title} over seeds ± half of its 95 % interval (Student's t). "
            f"A difference is followed by its {100 * confidence:g} % interval, of the pairs of "
            "trainings that have a seed in common, or by Welch's t where no two seeds are. It is "
            f"better or worse where that leaves out zero and it is more than what matters "
            f"({measure.spec.least}), the same where the interval lies within that, and undecided "
            f"otherwise. Of {round(1 / (1 - confidence))} scenarios that did not change, about one "
            "is marked by chance. One seed has no interval, and its difference no mark."
            + _on_other_seeds(runs, shared, measure)
        )
    blocks += _only_in_some(runs, markup)
    blocks += _changes(runs, shared, markup)
    return "\n\n".join(blocks) + "\n"


def mark(compared: Optional[Difference]) -> str:
    """Returns what a difference means; empty where nothing can be said."""
    if compared is None or (compared.pairs == 1 and compared.change == "undecided"):
        return ""
    return _MARKS[compared.change]


_MARKS = {
    "better": BETTER,
    "worse": WORSE,
    "differs": DIFFERS,
    "same": SAME,
    "undecided": UNDECIDED,
}


def outcome(first: Result, second: Result, measure: Measure, confidence: float = CONFIDENCE) -> str:
    """Returns how the second result compares with the first: a mark, or why there is none.

    Empty where both have the figure and there is no spread to judge the difference by. A single
    seed is not comparable with other seeds. A figure that is no longer finite is worse.
    """
    one, two = measure.of_seeds(first), measure.of_seeds(second)
    if not one or not two:
        return NO_FIGURE
    if not can_be_compared(one, two):
        return NOT_COMPARABLE
    if _are_finite(one) and not _are_finite(two):
        return WORSE
    return mark(measure.compare(first, second, confidence))


def _are_finite(figures: Mapping[int, float]) -> bool:
    return all(map(math.isfinite, figures.values()))


def worse(runs: Sequence[Run], measure: Measure, confidence: float = CONFIDENCE) -> list[str]:
    """Returns the scenarios that are worse, or no longer pass, in a later run.

    A scenario that stopped with an error, or was not reached, does not pass. The chance that any
    scenario of a later run is called worse though nothing has changed is at most 1 - `confidence`,
    all of them together (S. Holm, Scand. J. Statist. 6, 1979).
    """
    first, *others = runs
    names: set[str] = set()
    for other in others:
        shared = [name for name in first.results if name in other.results]
        pairs = {name: (first.results[name], other.results[name]) for name in shared}
        for name, (before, now) in pairs.items():
            is_lost = before.status in ("passed", "reported") and now.status in _NO_LONGER
            one, two = measure.of_seeds(before), measure.of_seeds(now)
            if is_lost or (one and two and _are_finite(one) and not _are_finite(two)):
                names.add(name)
        compared = {n: measure.compare(*pair, confidence) for n, pair in pairs.items()}
        names |= _significantly_worse(compared, 1 - confidence)
    return [name for name in first.results if name in names]


def _significantly_worse(compared: Mapping[str, Optional[Difference]], level: float) -> set[str]:
    """Returns what is worse by more than matters, by Holm's procedure at this level."""
    tested = [
        (d.chance, n, abs(d.difference) > d.margin)
        for n, d in compared.items()
        if d is not None and d.chance is not None
    ]
    names: set[str] = set()
    for rejected, (chance, name, is_large) in enumerate(sorted(tested)):
        if chance >= level / (len(tested) - rejected):
            break
        if is_large:
            names.add(name)
    return names


def require_comparable(runs: Sequence[Run], measure: Measure) -> None:
    """Checks that the runs can be compared at all.

    Raises:
        FederatedError: there is only one run, or nothing in a later one can be compared with the
            first.

    """
    first, *others = runs
    if not others:
        raise FederatedError(f"nothing to compare {first.name} with; give a second run")
    for other in others:
        shared = [name for name in first.results if name in other.results]
        if not shared:
            raise FederatedError(f"{first.name} and {other.name}: no scenario in common")
        outcomes = {outcome(first.results[n], other.results[n], measure) for n in shared}
        if outcomes <= {NOT_COMPARABLE, NO_FIGURE}:
            other_seeds = NOT_COMPARABLE in outcomes
            why = (
                "one seed against other seeds" if other_seeds else f"{measure.title} is not in both"
            )
            raise FederatedError(
                f"{first.name} and {other.name}: nothing can be compared of the "
                f"{len(shared)} scenario(s) in common ({why})"
            )


def _against(
    first: Run,
    other: Run,
    shared: Sequence[str],
    measure: Measure,
    markup: Markup,
    confidence: float,
) -> list[str]:
    """Returns how a run differs from the first one: in short, and a table of what differs."""
    outcomes = {n: outcome(first.results[n], other.results[n], measure, confidence) for n in shared}
    differing = [n for n in shared if not _are_equal(first.results[n], other.results[n], measure)]
    blocks = [markup.lead(markup.escape(_counts(first, other, outcomes, differing, measure)))]
    if not differing:
        return blocks
    differing.sort(key=lambda n: _IN_ORDER.index(outcomes[n]))
    labels = dict(zip(differing, distinct(differing, _NAME)))
    rows: list[list[str]] = []
    for name in differing:
        pair = first.results[name], other.results[name]
        difference = _difference(*pair, measure, confidence)
        cells = [labels[name], *(result_interval(result, measure) for result in pair), difference]
        states = dict.fromkeys(result.status for result in pair)
        rows.append([outcomes[name], *map(markup.escape, cells), " → ".join(states)])
    columns = ["", "scenario", *distinct([first.name, other.name], _RUN), "difference", "verdict"]
    if all(row[-1] == "passed" for row in rows):
        rows, columns = [row[:-1] for row in rows], columns[:-1]
    align = ["left", "left", "right", "right", "right", "left"][: len(columns)]
    return [*blocks, markup.table(rows, list(map(markup.escape, columns)), align)]


def _are_equal(first: Result, second: Result, measure: Measure) -> bool:
    """Returns whether two results have the same figures, seed by seed, and the same outcome."""
    one, two = measure.of_seeds(first), measure.of_seeds(second)
    return first.status == second.status and one == two and _are_finite(one)


def _counts(
    first: Run,
    other: Run,
    outcomes: Mapping[str, str],
    differing: Sequence[str],
    measure: Measure,
) -> str:
    counts = Counter(outcomes.values())
    texts = [f"{counts[BETTER]} better", f"{counts[WORSE]} worse", f"{counts[SAME]} the same"]
    more = {"differ": DIFFERS, "undecided": UNDECIDED, "not comparable": NOT_COMPARABLE}
    texts += [f"{counts[kind]} {text}" for text, kind in more.items() if counts[kind]]
    if lost := sum(not other.results[n].histories for n in outcomes):
        texts.append(f"{lost} without a result")
    elif missing := counts[NO_FIGURE]:
        texts.append(f"{missing} without {measure.title}")
    text = f"{other.name} against {first.name}: {len(outcomes)} scenario(s), {', '.join(texts)}"
    if equal := len(outcomes) - len(differing):
        text += f"; {equal} with equal figures are not listed" if differing else ""
        text += "" if differing else "; all figures are equal"
    return text


def _difference(first: Result, second: Result, measure: Measure, confidence: float) -> str:
    one, two = measure.of_seeds(first), measure.of_seeds(second)
    if not can_be_compared(one, two):
        return NO_FIGURE
    compared = measure.compare(first, second, confidence)
    return "not finite" if compared is None else difference_text(compared)


def difference_text(compared: Difference) -> str:
    """Returns a difference with its interval: ``+0.082 (+0.005 to +0.159)``."""
    if compared.low is None or compared.high is None:
        return f"{compared.difference:+.3f}"
    return f"{compared.difference:+.3f} ({compared.low:+.3f} to {compared.high:+.3f})"


def _on_other_seeds(runs: Sequence[Run], shared: Sequence[str], measure: Measure) -> str:
    """Returns a remark if a scenario has a single seed beside other seeds; empty otherwise."""
    first, *others = runs
    pairs = [
        (measure.of_seeds(first.results[n]), measure.of_seeds(other.results[n]))
        for other in others
        for n in shared
    ]
    if all(one.keys() == two.keys() or min(len(one), len(two)) != 1 for one, two in pairs):
        return ""
    return (
        " With one seed on a side the difference is that of the seeds that both have; where they "
        "have none in common, nothing can be compared."
    )


def _only_in_some(runs: Sequence[Run], markup: Markup) -> list[str]:
    """Returns the scenarios that not every run has."""
    names = list(dict.fromkeys(name for run in runs for name in run.results))
    rows = [
        [markup.escape(name), markup.escape(", ".join(r.name for r in runs if name in r.results))]
        for name in names
        if not all(name in run.results for run in runs)
    ]
    if not rows:
        return []
    return [markup.heading("Not in every run", 2), markup.table(rows, ["scenario", "only in"])]


def _changes(runs: Sequence[Run], shared: Sequence[str], markup: Markup) -> list[str]:
    """Returns settings and versions that differ, which may explain the differences.

    A key that only some runs know is a difference if it has another value than its default.
    """
    scenarios: dict[tuple[str, ...], list[str]] = {}  # by key and the value in each run
    for name in shared:
        settings: list[Mapping[str, Any]] = [
            {key: value for key, value in run.results[name].settings.items() if key not in _TEXTS}
            for run in runs
        ]
        for other in settings:
            settings = [with_defaults(of_run, other) for of_run in settings]
        by_run = [dict(flat(of_run)) for of_run in settings]
        for key in dict.fromkeys(k for of_run in by_run for k in of_run):
            values = [of_run.get(key, "–") for of_run in by_run]
            if any(value != values[0] for value in values):
                row = (shortened(key, _KEY), *(shortened(str(v), _VALUE) for v in values))
                scenarios.setdefault(row, []).append(name)
    rows = [[_names(names, shared), *row] for row, names in scenarios.items()]
    used = [[run.results[name].versions for name in shared] for run in runs]
    for package in dict.fromkeys(p for of_run in used for versions in of_run for p in versions):
        values = [
            ", ".join(sorted({versions.get(package, "–") for versions in of_run}))
            for of_run in used
        ]
        if len(set(values)) > 1:
            rows.append(["all", package, *values])
    if not rows:
        return []
    columns = ["scenario", "setting", *distinct([run.name for run in runs], _RUN)]
    cells = [[markup.escape(c) for c in row] for row in rows]
    return [
        markup.heading("What else is different", 2),
        markup.table(cells, [markup.escape(c) for c in columns]),
    ]


def _names(names: Sequence[str], shared: Sequence[str]) -> str:
    """Returns which scenarios differ in the same setting, in short."""
    if 1 < len(names) == len(shared):
        return f"all {len(names)}"
    short = shortened(names[0], _NAME - 12)
    return short if len(names) == 1 else f"{short} and {len(names) - 1} more"
