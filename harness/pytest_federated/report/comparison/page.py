"""The page of a comparison: for each study what was found, its picture and its tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from pytest_federated.core.text import shortened
from pytest_federated.report.comparison.findings import findings, verdict
from pytest_federated.report.comparison.study import Study, Values, is_number, name_of, studies
from pytest_federated.report.comparison.tables import results_table, targets_table
from pytest_federated.report.comparison.tasks import OverTasks, over_tasks
from pytest_federated.report.layout import INDEX, LARGEST, MARK
from pytest_federated.report.markup import HTML, MARKDOWN, Markup
from pytest_federated.report.plots.heat_map import MOST, Side, heat_map
from pytest_federated.report.plots.learning import learning_curves
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.variants import best_of
from pytest_federated.results.record import Result
from pytest_federated.results.store import file_name

COMPARISON, COMPARISONS = "comparison.md", "comparison"  # a report's page, and its pictures
_DESCRIPTION = 1000  # characters


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


def report_comparison(results: Sequence[Result]) -> Optional[ComparisonPage]:
    """Returns the page of a report with the comparisons that its scenarios ask for, if any do."""
    if not (asked := asked_for(results)):
        return None
    head = [MARK, "# Comparison", f"[All scenarios]({INDEX})"]
    return comparison_page(asked, MARKDOWN, head, COMPARISONS)


def html_comparison(results: Sequence[Result]) -> str:
    """Returns the same as a part of an HTML page, with its pictures; empty if none do."""
    if not (asked := asked_for(results)):
        return ""
    return comparison_page(asked, HTML, [HTML.heading("Comparison", 1)], COMPARISONS).text


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
        curves = _curves(study) if pictures else None
        heat = _heat(study) if pictures else None
        of_study = [
            *_found(study, markup),
            *([show(f"{study.title}.curves", curves)] if curves else []),
            results_table(study, markup),
            targets_table(study, markup),
            *([show(f"{study.title}.heat", heat)] if heat else []),
        ]
        blocks += [block for block in of_study if block]
        shown.append(study)
        if len("".join(blocks).encode()) > LARGEST // 2:
            break
    if more := len(compared) - len(shown):
        others = f"... and {more} more; `pytest-federated compare` with --only shows any"
        blocks.append(markup.paragraph(others))
    several = over_tasks(compared)
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
        markup.lead(markup.escape(verdict(study))),
        markup.items(sentences) if sentences else "",
    ]
    return [block for block in blocks if block]


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
