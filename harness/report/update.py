"""What a page of documentation shows of a report, kept current between two comments."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from harness.errors import HarnessError
from harness.registry import suggest
from harness.report.figures import FIGURES
from harness.report.markdown import PLOTS, REPORT, headings_of, plot_names, plots, summary
from harness.report.markup import MARKDOWN, anchors, escape, quoted
from harness.report.plots import SCENARIO_PLOTS
from harness.report.variants import of_matrices, pivot_table
from harness.results import Result
from harness.results.select import select

BEGIN = re.compile(r"<!-- fedharness: *([^\n]*?) *-->")
END = "<!-- /fedharness -->"
_FENCE = re.compile(r" {0,3}(```+|~~~+)")


@dataclass(frozen=True)
class Source:
    """Where a block takes what it shows from.

    Attributes:
        results: of the report.
        folder: the report's folder as the page's links name it, empty or with a slash at its end.

    """

    results: Sequence[Result]
    folder: str


def _summary(source: Source, words: Sequence[str]) -> str:
    """The table of scenarios, all or those that match one of the patterns."""
    results = [r for r in select(source.results, words) if r.is_shown]
    names = anchors(headings_of(source.results))
    return summary(results, {n: f"{source.folder}{REPORT}#{a}" for n, a in names.items()})


def _matrix(source: Source, words: Sequence[str]) -> str:
    """A matrix as a table; by accuracy, or by another figure that is named last."""
    figure = FIGURES[words[1]] if len(words) == 2 and words[1] in FIGURES else FIGURES["accuracy"]
    found = {pivot.title: pivot for pivot in of_matrices(source.results)}
    if not words or words[0] not in found:
        raise HarnessError(f"no such matrix; {suggest(' '.join(words[:1]), found)}")
    rows, columns = pivot_table(found[words[0]], figure, MARKDOWN)
    return MARKDOWN.table(rows, columns, ["left", *["right"] * (len(columns) - 1)])


def _plot(source: Source, words: Sequence[str]) -> str:
    """A plot of a scenario: its id, and which of its plots."""
    by_id = {r.id: r for r in source.results}
    if len(words) != 2 or words[1] not in SCENARIO_PLOTS:
        raise HarnessError(f"needs a scenario and one of: {', '.join(SCENARIO_PLOTS)}")
    if words[0] not in by_id:
        raise HarnessError(f"{words[0]}: no such scenario; {suggest(words[0], by_id)}")
    names = dict(zip(SCENARIO_PLOTS, plot_names(by_id[words[0]])))
    picture = plots([by_id[words[0]]]).get(names[words[1]])
    if picture is None:
        raise HarnessError(f"the record of {words[0]} has nothing to plot of that")
    return f"![{escape(picture.alt)}]({source.folder}{PLOTS}/{quoted(names[words[1]])})"


BLOCKS: dict[str, Callable[[Source, Sequence[str]], str]] = {
    "summary": _summary,
    "matrix": _matrix,
    "plot": _plot,
}


def updated(page: Path, results: Sequence[Result], folder: Path) -> str:
    """The text of a page with all its blocks made anew.

    A block begins with ``<!-- fedharness: summary digits-* -->`` and ends with
    ``<!-- /fedharness -->``, each on a line of its own; inside of code it is left alone.

    Args:
        page: a Markdown file.
        results: what the blocks show.
        folder: the report's, for links.

    Raises:
        HarnessError: the page cannot be read or has no block, or a block is not understood.

    """
    try:
        lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as bad:
        raise HarnessError(f"{page}: cannot be read: {bad}") from bad
    relative = Path(os.path.relpath(folder, page.parent)).as_posix()
    source = Source(results, "" if relative == "." else f"{relative}/")
    out: list[str] = []
    begun, fence, blocks = 0, "", 0
    for number, line in enumerate(lines, start=1):
        if begun:
            if line.strip() == END:
                out.append(line)
                begun = 0
            continue
        out.append(line)
        if found := _FENCE.match(line):
            mark = found[1]
            if not fence:
                fence = mark
            elif mark.startswith(fence):
                fence = ""
        if not fence and (marker := BEGIN.fullmatch(line.strip())):
            begun, blocks = number, blocks + 1
            out.append(f"\n{_block(f'{page}:{number}', marker[1], source)}\n\n")
    if begun:
        raise HarnessError(f"{page}:{begun}: a block without its end, {END}")
    if not blocks:
        raise HarnessError(
            f"{page}: nothing to update; put <!-- fedharness: summary --> and {END} there"
        )
    return "".join(out)


def _block(place: str, text: str, source: Source) -> str:
    kind, *words = text.split() or [""]
    if kind not in BLOCKS:
        raise HarnessError(f"{place}: got {kind!r}; no such block; {suggest(kind, BLOCKS)}")
    try:
        return BLOCKS[kind](source, words)
    except HarnessError as bad:
        raise HarnessError(f"{place}: {kind}: {bad}") from None
