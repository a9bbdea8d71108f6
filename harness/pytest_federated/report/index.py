"""The first page of a report: what to look at, then every scenario in one row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from pytest_federated.core.text import shortened
from pytest_federated.report.comparison.page import (
    COMPARISON,
    PAPERS,
    asked_for,
    comparison_line,
    page_of,
)
from pytest_federated.report.layout import LARGEST, Page, targets
from pytest_federated.report.markup import escape, quoted, symbols, table
from pytest_federated.report.outcomes import (
    NOT_RUN,
    TITLE,
    better,
    headline_legend,
    is_bad,
    is_undecided,
    not_run_rows,
    provenance,
    verdict_counts,
    why_bad,
    why_undecided,
)
from pytest_federated.report.pictures import PLOTS
from pytest_federated.report.plots.plot import draw_overviews
from pytest_federated.report.scenario_table import NAME, linked, marked, scenario_table
from pytest_federated.results.record import Result

_ROWS = (100, 40, 10, 0)  # of a folder's table: the first of these with which the page fits
_LISTED = 40  # rows of any other table
_FOLDERS = 150
_PICTURES = 40
_PAGES = 10  # of a folder that are named
_ROW = 100  # characters of a row of what to look at
_REASON = 300  # characters of why a scenario did not run
_SIGNS = (
    "✓ passed. ≈ undecided: passed, but the seeds cannot tell whether the mean is beyond the "
    "threshold. ○ nothing was judged."
)

_TO_LOOK_AT: Sequence[tuple[str, Callable[[Result], object], Callable[[Result], str]]] = (
    ("Failed", is_bad, why_bad),
    ("Undecided", is_undecided, why_undecided),
    ("Better than the baseline", better, better),
)


def index(results: Sequence[Result], pages: Sequence[Page]) -> str:
    """Returns the first page as Markdown; with many scenarios, a few rows for each folder."""
    links = targets(pages)
    shown = [result for page in pages for result in page.results]
    above, below = _to_look_at(results, links) + _comparisons(results), _pictures(shown, pages)
    if versions := provenance(shown):
        below += ["## Provenance", versions]
    sizes = Counter(page.folder for page in pages for _ in page.results)
    text, largest = "", max(sizes.values(), default=0)
    for rows in dict.fromkeys(min(rows, largest) for rows in _ROWS):
        text = "\n\n".join([*above, *_folders(pages, links, rows), *below]) + "\n"
        if len(text.encode()) <= LARGEST:
            break
    return text


def _to_look_at(results: Sequence[Result], links: Mapping[str, str]) -> list[str]:
    """Returns the title, the verdict, and what somebody should look at."""
    blocks = [f"# {TITLE}", f"**{verdict_counts(results)}**"]
    for heading, is_one, why in _TO_LOOK_AT:
        if of_kind := [result for result in results if is_one(result)]:
            cells = [[marked(r), linked(r, links), _short(why(r), r)] for r in of_kind[:_LISTED]]
            blocks += [f"## {heading}", table(cells, ["", "scenario", "why"])]
            blocks += _more(of_kind, _LISTED)
    if not_run := not_run_rows(results):
        cells = [[escape(shortened(c, _REASON)) for c in row] for row in not_run[:_LISTED]]
        blocks += [f"## {NOT_RUN}", table(cells, ["scenario", "reason"]), *_more(not_run, _LISTED)]
    return blocks


def _comparisons(results: Sequence[Result]) -> list[str]:
    """Returns what was found where the variants of a matrix are compared, papers apart."""
    blocks: list[str] = []
    asked = asked_for(results)
    for page, heading in ((COMPARISON, "Comparisons"), (PAPERS, "Results of papers")):
        if of_page := [study for study in asked if page_of(study) == page]:
            lines = [comparison_line(study, of_page) for study in of_page[:_LISTED]]
            blocks += [f"## {heading}", "\n".join(lines), *_more(of_page, _LISTED)]
    return blocks


def _folders(pages: Sequence[Page], links: Mapping[str, str], rows: int) -> list[str]:
    """Returns the tables of folders, or without any rows a table of the folders."""
    folders = [list(of) for _, of in groupby(pages, lambda page: page.folder)]
    if rows or not folders:
        return [block for of_folder in folders for block in _folder(of_folder, links, rows)]
    cells = [[_names(of), _counts(of)] for of in folders[:_FOLDERS]]
    return [table(cells, ["folder", "scenarios"]), *_more(folders, _FOLDERS)]


def _short(why: str, result: Result) -> str:
    """Returns a reason in what the scenario's name leaves of a row."""
    return symbols(escape(shortened(why, _ROW - min(len(result.id), NAME))))


def _folder(pages: Sequence[Page], links: Mapping[str, str], rows: int) -> list[str]:
    """Returns the part of a folder."""
    results = [result for page in pages for result in page.results]
    details = f"Details: {_names(pages)}" if len(pages) > 1 else _link(pages[0], "Details")
    return [
        f"## {escape(shortened(pages[0].folder or pages[0].title, NAME))}",
        f"{_counts(pages)}. {details}",
        scenario_table(results[:rows], links),
        *_more(results, rows),
    ]


def _names(pages: Sequence[Page]) -> str:
    """Returns links to the pages of a folder, named by what they hold."""
    links = [_link(page, _name(page)) for page in pages[:_PAGES]]
    return ", ".join([*links, *_more(pages, _PAGES)])


def _link(page: Page, text: str) -> str:
    return f"[{escape(shortened(text, NAME))}]({quoted(page.path)})"


def _name(page: Page) -> str:
    """Returns the folder, or the part of it that a page holds."""
    inside = page.title.removeprefix(page.folder).strip("/, ")
    return inside or page.folder


def _counts(pages: Sequence[Page]) -> str:
    return verdict_counts([result for page in pages for result in page.results])


def _pictures(results: Sequence[Result], pages: Sequence[Page]) -> list[str]:
    """Returns a legend, the curves of each page, and the pictures of all scenarios together."""
    if not results:
        return []
    curves = {page.picture_path: page for page in pages if page.picture}
    blocks = [f"{headline_legend(results)} {_SIGNS}", *(["## Curves"] if curves else [])]
    for path, page in list(curves.items())[:_PICTURES]:
        assert page.picture
        alt = escape(f"{page.title}: {page.picture.alt}")
        blocks += [f"{_names([page])}", f"![{alt}]({quoted(path)})"]
    overviews = draw_overviews(results)
    blocks += [*_more(list(curves), _PICTURES)]
    blocks += ["## All scenarios together"] if overviews else []
    images = (f"![{escape(p.alt)}]({PLOTS}/{quoted(name)})" for name, p in overviews.items())
    return [*blocks, *images]


def _more(listed: Sequence[object], shown: int) -> list[str]:
    """Returns how many are not shown, if any."""
    more = len(listed) - shown
    return [f"... and {more:,} more"] if more > 0 else []
