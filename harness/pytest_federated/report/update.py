"""Blocks of a documentation page that show parts of a report, kept current between comments."""

from __future__ import annotations

import difflib
import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from markdown_it import MarkdownIt

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.files import read_bytes
from pytest_federated.core.suggestions import suggest
from pytest_federated.metrics.measure import expected_measure, headline, known_names
from pytest_federated.report.layout import pages_of, targets
from pytest_federated.report.markup import MARKDOWN, escape, quoted
from pytest_federated.report.pictures import PLOTS, plot_name, plots
from pytest_federated.report.plots.plot import plot_kinds
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.scenario_table import scenario_table
from pytest_federated.report.variants import of_matrices, pivot_table
from pytest_federated.results.record import Result
from pytest_federated.results.select import select

END = "<!-- /pytest-federated -->"
_LARGEST = 10_000_000  # bytes of a page, far above real use
_BEGIN_LINE = re.compile(r"([ \t]*)<!--\s*pytest-federated:\s*((?:(?!-->).)*?)\s*-->\s*")
_END_LINE = re.compile(r"[ \t]*<!--\s*/pytest-federated\s*-->\s*")
_COMMENT = re.compile(r"<!--[\s/]*([\w-]*)")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")  # where Markdown ends a line
_HOW = f"put <!-- pytest-federated: summary --> and {END} there, each on a line of its own"


@dataclass(frozen=True)
class Source:
    """The source of what a block shows.

    Attributes:
        results: the report's results.
        folder: the report's folder as the page's links name it, empty or with a slash at its end.
        pictures: the pictures that blocks show, by path in the report's folder; blocks add theirs.

    """

    results: Sequence[Result]
    folder: str
    pictures: dict[str, Picture] = field(default_factory=dict)

    @cached_property
    def targets(self) -> dict[str, str]:
        """The target of the link to each scenario's section, in the report's folder."""
        return targets(pages_of(self.results))


def _summary(source: Source, words: Sequence[str]) -> str:
    """Returns the table of scenarios, all or those that match one of the patterns."""
    results = [r for r in select(source.results, words) if r.is_shown]
    links = {name: f"{source.folder}{target}" for name, target in source.targets.items()}
    return scenario_table(results, links, with_settings=True)


def _matrix(source: Source, words: Sequence[str]) -> str:
    """Returns a matrix as a table, of the first metric of reports or of one that is named last."""
    is_named = len(words) == 2 and words[1] in known_names(source.results)
    measure = expected_measure(words[1]) if is_named else headline(source.results)
    matrices = {pivot.title: pivot for pivot in of_matrices(source.results)}
    if not words or words[0] not in matrices:
        raise FederatedError(f"no such matrix; {suggest(' '.join(words[:1]), matrices)}")
    rows, columns = pivot_table(matrices[words[0]], measure, MARKDOWN)
    return MARKDOWN.table(rows, columns, ["left", *["right"] * (len(columns) - 1)])


def _plot(source: Source, words: Sequence[str]) -> str:
    """Returns a link to a scenario's plot; the words are its id and the kind of the plot."""
    by_id = {r.id: r for r in source.results}
    if len(words) != 2 or words[1] not in plot_kinds():
        raise FederatedError(f"needs a scenario and one of: {', '.join(plot_kinds())}")
    if words[0] not in by_id:
        raise FederatedError(f"{words[0]}: no such scenario; {suggest(words[0], by_id)}")
    name = plot_name(by_id[words[0]], words[1])
    picture = plots([by_id[words[0]]]).get(name)
    if picture is None:
        raise FederatedError(f"the record of {words[0]} has nothing to plot of that")
    source.pictures[f"{PLOTS}/{name}"] = picture
    return f"![{escape(picture.alt)}]({source.folder}{PLOTS}/{quoted(name)})"


BLOCKS: dict[str, Callable[[Source, Sequence[str]], str]] = {
    "summary": _summary,
    "matrix": _matrix,
    "plot": _plot,
}


class Updated(NamedTuple):
    """A page with all its blocks updated.

    Attributes:
        text: of the page.
        pictures: those that it shows, by path in the report's folder.

    """

    text: str
    pictures: Mapping[str, Picture]


def updated(page: Path, results: Sequence[Result], folder: Path) -> Updated:
    """Returns a page with all its blocks updated.

    A block begins with ``<!-- pytest-federated: summary digits-* -->`` and ends with
    ``<!-- /pytest-federated -->``, each on a line of its own; in code they are left alone. Whatever
    is outside of blocks stays the same, byte by byte.

    Args:
        page: a Markdown file.
        results: what the blocks show.
        folder: the report's folder, for links.

    Raises:
        FederatedError: the page cannot be read or has no block, a block is not understood, or it
            is unclear where a block begins or ends.

    """
    try:
        text = read_bytes(page, _LARGEST).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FederatedError(f"{page}: cannot be read: {error}") from error
    relative = Path(os.path.relpath(folder, page.parent)).as_posix()
    source = Source(results, "" if relative == "." else f"{relative}/")
    lines = _LINE.findall(text)
    out: list[str] = []
    copied = 0  # lines that are in `out`, or replaced in it
    for begin, end in _blocks(lines, page):
        marker = _BEGIN_LINE.fullmatch(lines[begin])
        assert marker
        block = textwrap.indent(_block(f"{page}:{begin + 1}", marker[2], source), marker[1])
        newline = lines[begin][len(lines[begin].rstrip("\r\n")) :]
        out += lines[copied : begin + 1]
        out.append(f"\n{block}\n\n".replace("\n", newline))
        copied = end
    if not copied:
        raise FederatedError(f"{page}: nothing to update; {_HOW}")
    return Updated("".join([*out, *lines[copied:]]), source.pictures)


def _blocks(lines: Sequence[str], page: Path) -> Iterator[tuple[int, int]]:
    """Yields the indices in `lines` of the first and the last line of each block.

    Raises:
        FederatedError: a comment of ours is misspelled or misplaced, or a block does not end.

    """
    begun: Optional[int] = None
    for place, comment in _comments(lines, page):
        where = f"{page}:{place + 1}"
        if _END_LINE.fullmatch(comment):
            if begun is None:
                raise FederatedError(f"{where}: the end of a block that does not begin; {_HOW}")
            yield begun, place
            begun = None
        elif begun is not None:  # no block contains a comment
            raise FederatedError(
                f"{page}:{begun + 1}: a block without its end, {END}; line {place + 1} has "
                f"{comment.strip()}"
            )
        elif _BEGIN_LINE.fullmatch(comment):
            begun = place
        elif any(_is_like_ours(word) for word in _COMMENT.findall(comment)):
            raise FederatedError(f"{where}: got {comment.strip()}; {_HOW}")
    if begun is not None:
        raise FederatedError(f"{page}:{begun + 1}: a block without its end, {END}")


def _comments(lines: Sequence[str], page: Path) -> Iterator[tuple[int, str]]:
    """Yields index and text of the lines with comments that are not in code.

    A comment within text has dots around it, so it does not match as a line of its own.
    """
    text = "".join(lines).removeprefix("\ufeff")
    for token in MarkdownIt("commonmark").parse(text):
        begin, end = token.map or (0, 0)
        commented = [n for n in range(begin, end) if "<!--" in lines[n]]
        if token.type == "html_block":
            yield from ((n, lines[n]) for n in commented)
        elif (
            token.type == "fence"
            and any(_BEGIN_LINE.fullmatch(lines[n]) for n in commented)
            and not lines[end - 1].strip().startswith(token.markup)
        ):
            raise FederatedError(
                f"{page}:{begin + 1}: code without its end, {token.markup}, hides a block"
            )
        for child in token.children or ():
            if child.type == "html_inline" and child.content.startswith("<!--"):
                first = child.content.splitlines()[0]
                place = next((n for n in commented if first in lines[n]), begin)
                yield place, f"... {child.content} ..."


def _is_like_ours(word: str) -> bool:
    return bool(difflib.get_close_matches(word.lower(), ["pytest-federated"], cutoff=0.7))


def _block(place: str, text: str, source: Source) -> str:
    kind, *words = text.split() or [""]
    if kind not in BLOCKS:
        raise FederatedError(f"{place}: got {kind!r}; no such block; {suggest(kind, BLOCKS)}")
    try:
        return BLOCKS[kind](source, words)
    except FederatedError as error:
        raise FederatedError(f"{place}: {kind}: {error}") from None
