"""Runs side by side: what got better, what got worse, and what is noise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from pytest_federated.core.errors import FederatedError
from pytest_federated.metrics.difference import Difference, can_be_compared
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.statistics import CONFIDENCE
from pytest_federated.report.markup import Markup
from pytest_federated.report.tables.cells import interval
from pytest_federated.report.variants import Pivot, of_matrices, pivot_table
from pytest_federated.results.flat import flat
from pytest_federated.results.record import Result
from pytest_federated.results.runs import Run

BETTER, WORSE, DIFFERS, UNDECIDED = "▲ better", "▼ worse", "differs", "≈ undecided"
SAME, NOT_COMPARABLE, NO_FIGURE = "the same", "not comparable", "–"
_NO_LONGER = ("failed", "diverged", "errored", "not reached")
_SHOWN = 40  # characters of a setting's value


def comparison(
    runs: Sequence[Run],
    measure: Measure,
    markup: Markup,
    *,
    confidence: float = CONFIDENCE,
    pivot: Optional[Pivot] = None,
) -> str:
    """Returns two or more runs by scenario, each against the first; or the matrices of one run.

    Args:
        runs: what to compare.
        measure: the metric to compare.
        markup: Markdown, or text for the terminal.
        confidence: of the intervals of the differences.
        pivot: shown instead of the matrices, if there is one run.

    """
    blocks = [markup.heading("Comparison", 1)]
    if len(runs) == 1:
        blocks += _pivots(
            [pivot] if pivot else of_matrices(list(runs[0].results.values())), measure, markup
        )
        return "\n\n".join(blocks) + "\n"
    shared = [name for name in runs[0].results if all(name in run.results for run in runs)]
    rows, columns = _rows(runs, shared, measure, markup, confidence)
    blocks.append(_counts(runs, shared, measure, confidence, markup))
    if shared:
        blocks.append(
            markup.table(rows, columns, ["left", *["right"] * (len(columns) - 2), "left"])
        )
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
    blocks += _pivots(_by_run(runs), measure, markup)
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
    return mark(_compared(first, second, measure, confidence))


def _are_finite(figures: Mapping[int, float]) -> bool:
    return all(map(math.isfinite, figures.values()))


def _compared(
    first: Result, second: Result, measure: Measure, confidence: float
) -> Optional[Difference]:
    return measure.compare(first, second, confidence, level=(1 - confidence) / 2)


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
        compared = {n: _compared(*pair, measure, confidence) for n, pair in pairs.items()}
        names |= _significantly_worse(compared, 1 - confidence)
    return [name for name in first.results if name in names]


def _significantly_worse(compared: Mapping[str, Optional[Difference]], level: float) -> set[str]:
    """Returns what is worse by more than matters, by Holm's procedure at this level."""
    tested = {n: d for n, d in compared.items() if d is not None and d.chance is not None}
    names: set[str] = set()
    for left, name in zip(
        range(len(tested), 0, -1), sorted(tested, key=lambda n: tested[n].chance or 0.0)
    ):
        found = tested[name]
        if (found.chance or 0.0) >= level / left:
            break
        if abs(found.difference) > found.margin:
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


def _counts(
    runs: Sequence[Run],
    shared: Sequence[str],
    measure: Measure,
    confidence: float,
    markup: Markup,
) -> str:
    first, *others = runs
    sentences: list[str] = []
    for other in others:
        outcomes = Counter(
            outcome(first.results[n], other.results[n], measure, confidence) for n in shared
        )
        counts = f"{outcomes[BETTER]} better, {outcomes[WORSE]} worse, {outcomes[SAME]} the same"
        if undecided := outcomes[UNDECIDED]:
            counts += f", {undecided} undecided"
        if other_seeds := outcomes[NOT_COMPARABLE]:
            counts += f", {other_seeds} not comparable"
        if lost := sum(not other.results[n].histories for n in shared):
            counts += f", {lost} without a result"
        sentences.append(f"{other.name} against {first.name}: {len(shared)} scenario(s), {counts}")
    return markup.escape("; ".join(sentences))


def _rows(
    runs: Sequence[Run],
    shared: Sequence[str],
    measure: Measure,
    markup: Markup,
    confidence: float,
) -> tuple[list[list[str]], list[str]]:
    first, *others = runs
    columns = ["scenario", first.name]
    for other in others:
        columns += [other.name, "difference" if len(others) == 1 else f"{other.name} less first"]
    rows: list[list[str]] = []
    for name in shared:
        base = first.results[name]
        row = [
            markup.escape(name),
            markup.escape(_interval(base, measure)),
        ]
        for other in others:
            result = other.results[name]
            row.append(markup.escape(_interval(result, measure)))
            row.append(markup.escape(_difference(base, result, measure, confidence)))
        states = list(dict.fromkeys(run.results[name].status for run in runs))
        row.append(" → ".join(states))
        rows.append(row)
    return rows, [*(markup.escape(c) for c in columns), "verdict"]


def _interval(result: Result, measure: Measure) -> str:
    return interval(measure.by_seed(result), measure.spec.values)


def _difference(first: Result, second: Result, measure: Measure, confidence: float) -> str:
    verdict = outcome(first, second, measure, confidence)
    if verdict in (NO_FIGURE, NOT_COMPARABLE):
        return verdict
    compared = _compared(first, second, measure, confidence)
    if compared is None:
        return f"not finite {verdict}".rstrip()
    if compared.difference == 0 and compared.low == compared.high == 0:
        return SAME
    if compared.low is None or compared.high is None:
        return f"{compared.difference:+.3f}"
    text = f"{compared.difference:+.3f} ({compared.low:+.3f} to {compared.high:+.3f})"
    return f"{text} {verdict}".rstrip()


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
    """Returns settings and versions that differ, which may explain the differences."""
    rows: list[list[str]] = []
    for name in shared:
        by_run = [dict(flat(run.results[name].settings)) for run in runs]
        for key in dict.fromkeys(k for settings in by_run for k in settings):
            values = [_short(settings.get(key, "–")) for settings in by_run]
            if len(set(values)) > 1:
                rows.append([name, key, *values])
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
    columns = ["scenario", "setting", *(run.name for run in runs)]
    cells = [[markup.escape(c) for c in row] for row in rows]
    return [
        markup.heading("What else is different", 2),
        markup.table(cells, [markup.escape(c) for c in columns]),
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _by_run(runs: Sequence[Run]) -> list[Pivot]:
    """Returns the matrices of all runs: those of one key side by side, others one by one."""
    pivots: list[Pivot] = []
    by_run = [{p.title: p for p in of_matrices(list(run.results.values()))} for run in runs]
    for title, pivot in by_run[0].items():
        same = [(run, matrices[title]) for run, matrices in zip(runs, by_run) if title in matrices]
        if pivot.columns:
            pivots += [Pivot(f"{title}, {run.name}", p.rows, p.columns, p.cells) for run, p in same]
        else:
            cells = {
                (row, run.name): result for run, p in same for (row, _), result in p.cells.items()
            }
            pivots.append(Pivot(title, pivot.rows, "", cells))
    return pivots


def _pivots(pivots: Sequence[Pivot], measure: Measure, markup: Markup) -> list[str]:
    blocks: list[str] = []
    for pivot in pivots:
        rows, columns = pivot_table(pivot, measure, markup)
        caption = f"{measure.title[:1].upper()}{measure.title[1:]}, {pivot.rows} down"
        caption += f", {pivot.columns} across." if pivot.columns else "."
        about = {r.settings.get("description", "") for r in pivot.cells.values()}
        blocks += [
            markup.heading(pivot.title, 2),
            markup.escape(" ".join([*(about if len(about) == 1 else ()), caption]).strip()),
            markup.table(rows, columns, ["left", *["right"] * (len(columns) - 1)]),
        ]
    if pivots:
        best, close = markup.strong("best"), markup.weak("not told from it by the seeds")
        where = "of a row, or of the only column"
        blocks.append(f"Mean over seeds ± half of its 95 % interval: {best} {where}; {close}.")
    return blocks
