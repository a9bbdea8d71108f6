"""The page of a comparison: for each study what was found, its picture and its tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from pytest_federated.core.text import shortened
from pytest_federated.report.comparison.findings import findings, verdict
from pytest_federated.report.comparison.published import (
    FAILS,
    HOLDS,
    OPEN,
    SEEMS,
    exceptions,
    outcome,
    pairs,
)
from pytest_federated.report.comparison.study import Study, Values, is_number, name_of, studies
from pytest_federated.report.comparison.tables import implied_text, results_table, targets_table
from pytest_federated.report.comparison.tasks import OverTasks, over_tasks
from pytest_federated.report.layout import INDEX, LARGEST, MARK
from pytest_federated.report.markup import HTML, MARKDOWN, Markup, anchors, escape
from pytest_federated.report.plots.heat_map import MOST, Side, heat_map
from pytest_federated.report.plots.learning import learning_curves
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.scenario_table import NAME
from pytest_federated.report.variants import best_of
from pytest_federated.results.record import Result
from pytest_federated.results.store import file_name

# A report's pages of comparisons; each has a folder of pictures with its name.
COMPARISON, PAPERS = "comparison.md", "papers.md"
_TITLES = {COMPARISON: "Comparison", PAPERS: "The results of papers"}
COMPARISON_PAGES = tuple(_TITLES)
_DESCRIPTION = 1000  # characters
_STUDIES = LARGEST * 3 // 4  # bytes of the studies of a page; the rest is for what follows them


@dataclass(frozen=True)
class ComparisonPage:
    """A page.

    Attributes:
        text: of the page.
        pictures: those that it shows, by file name.

    """

    text: str
    pictures: Mapping[str, Picture] = field(default_factory=dict)


def asked_for(results: Sequence[Result]) -> list[Study]:
    """Returns the studies of the matrices whose scenario has a ``comparison``."""
    return studies([r for r in results if r.settings.get("comparison") is not None])


def page_of(study: Study) -> str:
    """Returns the report's page that shows a study."""
    return PAPERS if study.published else COMPARISON


def pictures_of(page: str) -> str:
    """Returns the folder of the pictures of one of these pages."""
    return page.removesuffix(".md")


def report_comparisons(results: Sequence[Result]) -> dict[str, ComparisonPage]:
    """Returns the pages of a report with the comparisons that its scenarios ask for, by name."""
    asked = asked_for(results)
    pages: dict[str, ComparisonPage] = {}
    for name, title in _TITLES.items():
        if shown := [study for study in asked if page_of(study) == name]:
            head = [MARK, f"# {title}", f"[All scenarios]({INDEX})"]
            head += papers_verdict(shown) if name == PAPERS else []
            pages[name] = comparison_page(shown, MARKDOWN, head, pictures_of(name))
    return pages


def comparison_line(study: Study, shown: Sequence[Study], *, is_same_page: bool = False) -> str:
    """Returns a line with a link to one of the studies that a page shows, and what was found."""
    page = page_of(study)
    anchor = anchors([_TITLES[page], *(one.title for one in shown)])[study.title]
    target = f"#{anchor}" if is_same_page else f"{page}#{anchor}"
    found = outcome(study) if study.published else verdict(study)
    return f"- [{escape(shortened(study.title, NAME))}]({target}) {escape(found)}"


def papers_verdict(shown: Sequence[Study]) -> list[str]:
    """Returns what of the papers holds in these runs, as blocks of Markdown."""
    whole = [pair.outcome for study in shown for pair in pairs(study)]
    lines = [comparison_line(study, shown, is_same_page=True) for study in shown]
    counts = [whole.count(kind) for kind in (HOLDS, SEEMS, OPEN, FAILS)]
    lead = (
        f"Papers order {len(whole)} pair(s) of variants in {len(shown)} experiment(s): {counts[0]} "
        f"hold here, {counts[1]} in the means alone, {counts[2]} cannot be told, {counts[3]} not."
    )
    return [f"**{lead}**", "\n".join(lines)]


def html_comparison(results: Sequence[Result]) -> str:
    """Returns the same as a part of an HTML page, with its pictures; empty if none do."""
    if not (asked := asked_for(results)):
        return ""
    return comparison_page(
        asked, HTML, [HTML.heading("Comparison", 1)], pictures_of(COMPARISON)
    ).text


def comparison_page(
    compared: Sequence[Study], markup: Markup, head: Sequence[str] = (), pictures: str = ""
) -> ComparisonPage:
    """Returns the page of studies.

    Args:
        compared: what to show.
        markup: Markdown, HTML, or text for the terminal.
        head: blocks at its beginning.
        pictures: the folder of its pictures as its links name it; without it there are none.

    """
    blocks = list(head)
    shown: list[Study] = []
    drawn: dict[str, Picture] = {}

    def show(stem: str, picture: Picture) -> str:
        name = f"{file_name(stem).removesuffix('.json')}.svg"
        drawn[name] = picture
        return markup.image(picture, f"{pictures}/{name}")

    for study in compared:
        before = set(drawn)
        curves = _curves(study) if pictures else None
        heat = _heat(study) if pictures else None
        of_study = [
            *_found(study, markup),
            *([show(f"{study.title}.curves", curves)] if curves else []),
            results_table(study, markup),
            targets_table(study, markup),
            implied_text(study, markup),
            *([show(f"{study.title}.heat", heat)] if heat else []),
        ]
        whole = [*blocks, *(block for block in of_study if block)]
        if shown and len("".join(whole).encode()) > _STUDIES:
            drawn = {name: picture for name, picture in drawn.items() if name in before}
            break
        blocks = whole
        shown.append(study)
    if more := len(compared) - len(shown):
        others = f"... and {more} more; `pytest-federated compare` with --only shows any"
        blocks.append(markup.paragraph(others))
    # Experiments of papers, each in a setting of its own, are no tasks of one benchmark.
    several = over_tasks([study for study in compared if not study.published])
    for place, one in enumerate(several):
        blocks += _over_tasks(one, markup, several)
        if pictures and (profiles := one.picture()):
            blocks.append(show(f"tasks-{place + 1}" if len(several) > 1 else "tasks", profiles))
    blocks += _legend(shown, several, markup)
    return ComparisonPage("\n\n".join(blocks) + "\n", drawn)


def _found(study: Study, markup: Markup) -> list[str]:
    """Returns the heading of a study, what it is about, and what was found."""
    about = shortened(study.description, _DESCRIPTION)
    sentences = [markup.escape(sentence) for sentence in findings(study)]
    blocks = [
        markup.heading(study.title, 2),
        markup.paragraph(markup.escape(about)) if about else "",
        *_published(study, markup),
        markup.lead(markup.escape(verdict(study))),
        markup.items(sentences) if sentences else "",
    ]
    return [block for block in blocks if block]


def _published(study: Study, markup: Markup) -> list[str]:
    """Returns what a paper says, and where its order does not hold here."""
    if not study.published:
        return []
    says = f": {said}" if (said := study.published.get("says")) else ""
    lines = [markup.escape(text) for text in exceptions(study)]
    return [
        markup.paragraph(markup.escape(f"{study.published.get('source', '')}{says}")),
        markup.lead(markup.escape(outcome(study))),
        markup.items(lines) if lines else "",
    ]


def _curves(study: Study) -> Optional[Picture]:
    panels = {
        name_of(task): {name_of(variant): result for variant, result in study.of_task(task).items()}
        for task in study.tasks
    }
    return learning_curves(study.title, panels, study.measure, study.targets)


def _heat(study: Study) -> Optional[Picture]:
    """Returns the metric over two keys, where the variants have two and both are numbers."""
    measure = study.measure
    results = {(*task, *variant): result for (task, variant), result in study.cells.items()}
    if any(len(p) != 2 or not all(is_number(v) for _, v in p) for p in results):
        return None
    keys = [label for label, _ in next(iter(results))]
    texts = [sorted({p[side][1] for p in results}, key=float) for side in (0, 1)]
    if not all(2 <= len(of_key) <= MOST for of_key in texts):
        return None
    first, second = sorted((0, 1), key=lambda side: len(texts[side]))  # the longer goes across

    def cell(place: Values) -> tuple[int, int]:
        return texts[first].index(place[first][1]), texts[second].index(place[second][1])

    values: dict[tuple[int, int], Optional[float]] = {}
    for place, result in results.items():
        figures = measure.by_seed(result)
        is_known = figures and all(map(math.isfinite, figures))
        values[cell(place)] = statistics.fmean(figures) if is_known else None
    best = best_of(results, measure, study.confidence)
    told = f", the best at {name_of(best)}" if best else ""
    alt = f"Mean {measure.title} of {study.title} over {keys[0]} and {keys[1]}{told}."
    down, across = (Side(keys[side], texts[side]) for side in (first, second))
    framed = cell(best) if best else None
    return heat_map(alt, down, across, values, framed, sign=measure.sign)


def _over_tasks(one: OverTasks, markup: Markup, several: Sequence[OverTasks]) -> list[str]:
    name = "Over all tasks" if len(several) == 1 else f"Over all tasks, {one.study.variant_key}"
    return [
        markup.heading(name, 2),
        markup.paragraph(markup.escape(one.sentence())),
        one.table(markup),
    ]


def _legend(shown: Sequence[Study], several: Sequence[OverTasks], markup: Markup) -> list[str]:
    """Says how everything was computed, and after whom."""
    if not shown:
        return []
    confidence = 100 * shown[0].confidence
    by_chance = round(1 / (1 - shown[0].confidence))
    least = dict.fromkeys(f"{s.measure.title}: {s.measure.spec.least}" for s in shown)
    texts = [
        "Results are means over seeds ± half of their 95 % interval (Student's t). A difference is "
        f"that from the reference, with its {confidence:g} % interval from the pairs of trainings "
        "with the same seed. It is better or worse if the interval excludes zero and it is more "
        f"than what matters ({', '.join(least)}), the same if the interval lies within that, and "
        f"undecided otherwise. Of {by_chance} differences that are none, about one is marked by "
        f"chance. {markup.strong('Best')} of its task: better than every other variant, each by an "
        "interval that excludes zero."
    ]
    if any(study.targets for study in shown):
        texts.append(
            "Rounds to a target are those after which the best value so far crosses it, with "
            "linear interpolation between evaluated rounds (McMahan et al., AISTATS 2017); MB are "
            "what server and clients send until then. Times faster is the geometric mean over "
            "pairs of the reference's rounds divided by the variant's, with its "
            f"{confidence:g} % interval "
            "(paired t test of the logarithms); it needs all seeds to get there. ≤ means that a "
            "seed was there when it was first evaluated."
        )
    if any(study.published for study in shown):
        texts.append(
            "A paper's order of two variants holds if the interval from the pairs of trainings "
            "excludes that they are alike; by rounds to the hardest target, where there is one, it "
            "also holds if every seed of one gets there and none of the other, of as many seeds "
            "as make that certain (Fisher's exact test). It holds in the means alone if the means "
            "are in order and the seeds cannot tell, and cannot be told if the means are not in "
            "order and the seeds cannot tell. A paper's figures order two variants where they "
            "differ by what matters, or rounds by 5 %."
        )
    if several:
        texts.append(
            "The average rank is that of the means over seeds. Only if Friedman's test rejects "
            "that all variants are equal do ranks differ, where they are apart by the critical "
            "difference (Nemenyi's test; both in Demsar, JMLR 7, 2006). The probability is "
            "that of improvement (Agarwal et al., NeurIPS 2021): the share of pairs of trainings "
            "in which a variant is better, mean over tasks, with the interval of a stratified "
            "bootstrap. The profile shows the share of trainings above each value, all tasks "
            "counting the same."
        )
    return [markup.heading("How this was computed", 2), *map(markup.paragraph, texts)]
