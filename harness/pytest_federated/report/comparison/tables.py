"""The tables of a study: results with differences, and how soon targets are reached."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Optional

from pytest_federated.core.text import distinct
from pytest_federated.metrics.statistics import summarize
from pytest_federated.metrics.targets import Speedup
from pytest_federated.report.compare import difference_text, mark
from pytest_federated.report.comparison.published import paper_figure
from pytest_federated.report.comparison.study import Study, Values, text_of
from pytest_federated.report.markup import Markup
from pytest_federated.report.tables.cells import figure, result_interval
from pytest_federated.report.variants import best_of

ROWS = 100
_PAPER = "the paper's"
_IMPLIED = 24  # variants of which it is said what goes with them
_VALUE = 24  # characters of a value
_CHOICE = re.compile(r"(?P<kind>\w+)\((?P<keys>[^()]+)\)")  # nested choices stay whole


def results_table(study: Study, markup: Markup) -> str:
    """Returns a row for each variant: its mark, its figure, the difference from the reference.

    Then, where a paper gives no figures, those of other metrics, such as that of the worst tenth of
    the clients. The best of a task stands out if the seeds tell it from every other variant.
    """
    figures = study.published.get("figures")
    has_published = bool(figures and not study.targets)
    measures = [study.measure, *([] if figures else study.beside)]
    places = _places(study)[:ROWS]
    best = {
        (task, measure.name): best_of(study.of_task(task), measure, study.confidence)
        for task in dict.fromkeys(task for task, _ in places)
        for measure in measures
    }
    rows: list[list[str]] = []
    for task, variant in places:
        result = study.cells[task, variant]
        cells = [markup.escape(result_interval(result, measure)) for measure in measures]
        for column, measure in enumerate(measures):
            if best[task, measure.name] == variant:
                cells[column] = markup.strong(cells[column])
        compared = study.differences.get((task, variant))
        is_reference = variant == study.reference
        cells.insert(1, "–" if is_reference or not compared else difference_text(compared))
        if has_published:
            cells.insert(1, figure(paper_figure(study, variant, task)))
        rows.append(["reference" if is_reference else mark(compared), *cells])
    columns = [study.measure.title, "difference", *(m.title for m in measures[1:])]
    if has_published:
        columns.insert(1, _PAPER)
    return _table(study, rows, ["", *columns], markup)


def targets_table(study: Study, markup: Markup) -> str:
    """Returns a table for each target: rounds, times faster, and MB of each variant."""
    blocks: list[str] = []
    for target in study.targets:
        rows: list[list[str]] = []
        has_published = bool(study.published.get("figures"))
        for task, variant in _places(study)[:ROWS]:
            rounds = study.rounds(task, variant, target)
            is_reference = variant == study.reference
            times = None if is_reference else study.times_faster(task, variant, target)
            is_at_most = study.is_at_most(task, variant, target)
            sent = study.megabytes(task, variant, target)
            megabytes = figure(sent, 3)
            if is_at_most and sent is not None:
                megabytes = f"≤ {megabytes}"
            cells = [_rounds(rounds, is_at_most=is_at_most), _times(times), megabytes]
            if has_published:
                cells.insert(1, figure(paper_figure(study, variant, task)))
            rows.append(cells)
        columns = [f"rounds to {target:g}", "times faster", "MB"]
        if has_published:
            columns.insert(1, _PAPER)
        blocks.append(_table(study, rows, columns, markup, before=0))
    return "\n\n".join(blocks)


def implied_text(study: Study, markup: Markup) -> str:
    """Returns the values of the keys that the tables leave out; empty if they leave out none."""
    lines: list[str] = []
    order = {values: place for place, values in enumerate([*study.tasks, *study.variants])}
    for decided in study.implied:
        named, rest = next(iter(decided.items()))
        in_order = sorted(decided, key=lambda one: order.get(one, 0))
        pairs = [f"{text_of(one)} → {text_of(decided[one])}" for one in in_order]
        more = f"; and {len(pairs) - _IMPLIED} more" if len(pairs) > _IMPLIED else ""
        keys = (", ".join(label for label, _ in of) for of in (named, rest))
        goes = "goes" if len(rest) == 1 else "go"
        lines.append(f"With {f' {goes} '.join(keys)}: {'; '.join(pairs[:_IMPLIED])}{more}.")
    return markup.paragraph(markup.escape(" ".join(lines))) if lines else ""


def _places(study: Study) -> list[tuple[Values, Values]]:
    places = ((task, variant) for task in study.tasks for variant in study.variants)
    return [place for place in places if place in study.cells]


def _table(
    study: Study, rows: Sequence[list[str]], columns: Sequence[str], markup: Markup, before: int = 1
) -> str:
    """Returns the first rows, with the task and the variant put in behind the first cells."""
    places = _places(study)
    tasks, variants = short_texts(study.tasks), short_texts(study.variants)
    has_tasks = bool(study.task_key)
    full: list[list[str]] = []
    for (task, variant), row in zip(places, rows):
        names = [*([tasks[task]] if has_tasks else []), variants[variant]]
        full.append([*row[:before], *map(markup.escape, names), *row[before:]])
    keys = [*([study.task_key] if has_tasks else []), study.variant_key]
    keys = [markup.escape(key) for key in distinct(keys, _VALUE)]
    head = [*columns[:before], *keys, *map(markup.escape, columns[before:])]
    align = ["left"] * (before + len(keys)) + ["right"] * (len(columns) - before)
    more = len(places) - ROWS
    text = markup.table(full, head, align)
    return f"{text}\n\n... and {more:,} more" if more > 0 else text


def short_texts(values: Sequence[Values]) -> dict[Values, str]:
    """Returns texts that are short, and different for different values."""
    places = range(len(values[0]))
    width = max(8, _VALUE // max(1, len(places)))
    short = [
        distinct(_differing([one[place][1] for one in values], width), width) for place in places
    ]
    return {one: ", ".join(of[n] for of in short) for n, one in enumerate(values)}


def _differing(texts: Sequence[str], width: int) -> list[str]:
    """Returns choices without the keys that all of them have in common: alie(share=0.3) is alie.

    Of choices of one kind that are wider than `width` only the keys are left: ``alpha=1,beta=1``.
    """
    parsed = [match for text in texts if (match := _CHOICE.fullmatch(text))]
    if len(parsed) < len(texts) or len(set(texts)) == 1:
        return list(texts)
    keys = [match["keys"].split(",") for match in parsed]
    common = set.intersection(*map(set, keys))
    own = [[key for key in of_one if key not in common] for of_one in keys]
    short = [
        match["kind"] + (f"({','.join(of_one)})" if of_one else "")
        for match, of_one in zip(parsed, own)
    ]
    if len({match["kind"] for match in parsed}) == 1 and max(map(len, short)) > width and all(own):
        short = [",".join(of_one) for of_one in own]
    return short if len(set(short)) == len(set(texts)) else list(texts)


def _rounds(rounds: Mapping[int, Optional[float]], *, is_at_most: bool) -> str:
    """Returns the mean of the rounds to a target, or how many of the seeds get there."""
    known = [number for number in rounds.values() if number is not None]
    if not known:
        return "not reached" if rounds else "–"
    if len(known) < len(rounds):
        return f"{len(known)} of {len(rounds)} seeds"
    whole = summarize(known)
    if is_at_most:
        return f"≤ {whole.mean:.1f}"
    if whole.high is None:
        return f"{whole.mean:.1f}"
    return f"{whole.mean:.1f} ± {whole.high - whole.mean:.1f}"


def _times(compared: Optional[Speedup]) -> str:
    if compared is None:
        return "–"
    if compared.low is None or compared.high is None:
        return f"{compared.times:.2f}"
    return f"{compared.times:.2f} ({compared.low:.2f} to {compared.high:.2f})"
