"""The pages of a report: one for each folder of scenarios, or for a part of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Optional

from pytest_federated.core.ordering import natural
from pytest_federated.core.text import shortened
from pytest_federated.report.markup import anchors, escape, quoted, table
from pytest_federated.report.outcomes import verdict_counts
from pytest_federated.report.plots.curves import curves
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.scenario_table import scenario_table
from pytest_federated.report.section import Section, markdown, section_of, shared_settings
from pytest_federated.results.record import Result
from pytest_federated.results.store import file_name

PAGES, INDEX = "pages", "index.md"
LARGEST = 100_000  # bytes of a page: GitHub shows no file and no difference of more than 500,000
MARK = "<!-- Written by pytest-federated; changes are lost. -->"
_HEADING = 200  # characters
_WITHOUT_FOLDER = "Scenarios"

Sections = tuple[tuple[Result, Section], ...]


@dataclass(frozen=True)
class Page:
    """A page with the sections of some scenarios.

    Attributes:
        stem: the name of its file, without the ending.
        title: the folder or file of its scenarios.
        folder: the folder; empty where it is not known.
        sections: by scenario, in order.

    """

    stem: str
    title: str
    folder: str
    sections: Sections

    @property
    def results(self) -> list[Result]:
        """Its scenarios."""
        return [result for result, _ in self.sections]

    @property
    def path(self) -> str:
        """The path of its file in the report's folder."""
        return f"{PAGES}/{self.stem}.md"

    @property
    def picture_path(self) -> str:
        """The path of its picture in the report's folder."""
        return f"{PAGES}/{self.stem}.svg"

    @cached_property
    def picture(self) -> Optional[Picture]:
        """The curves of its scenarios; None where there are none."""
        return curves(self.results)

    @cached_property
    def headings(self) -> dict[str, str]:
        """The headings of its sections by scenario, no two of them the same."""
        headings: dict[str, str] = {}
        for result in self.results:
            heading = short = shortened(result.id, _HEADING)
            number = 1
            while heading in headings.values():
                number += 1
                heading = f"{short} ({number})"
            headings[result.id] = heading
        return headings

    @cached_property
    def fragments(self) -> dict[str, str]:
        """The fragments of the links to its sections, by scenario."""
        by_heading = anchors([self.title, *self.headings.values()])
        return {name: by_heading[heading] for name, heading in self.headings.items()}

    @cached_property
    def text(self) -> str:
        """The page as Markdown."""
        shared = shared_settings([section for _, section in self.sections])
        blocks = [MARK, f"# {escape(self.title)}", f"[All scenarios](../{INDEX})"]
        if len(self.sections) > 1:
            links = {name: f"#{fragment}" for name, fragment in self.fragments.items()}
            blocks += [
                f"**{verdict_counts(self.results)}**",
                scenario_table(self.results, links),
            ]
        if self.picture:
            blocks.append(f"![{escape(self.picture.alt)}]({quoted(f'{self.stem}.svg')})")
        if shared:
            rows = [[name, escape(value)] for name, value in shared.items()]
            head = ["setting", "value, unless a section says otherwise"]
            blocks.append(table(rows, head if len(self.sections) > 1 else ["setting", "value"]))
        blocks += [
            markdown(section, self.headings[result.id], shared) for result, section in self.sections
        ]
        return "\n\n".join(blocks) + "\n"


def pages_of(results: Sequence[Result]) -> list[Page]:
    """Returns the pages of a report, in the order of their folders.

    A folder whose page would be too large has a page for each file, and a file whose page would be
    too large has several pages of consecutive scenarios.
    """
    shown = sorted((r for r in results if r.is_shown), key=lambda r: natural(r.id))
    sections = tuple((result, section_of(result)) for result in shown)
    pages: list[Page] = []
    for folder, of_folder in sorted(_grouped(sections, _folder), key=lambda g: natural(g[0])):
        stem = folder.replace("/", "-") or _WITHOUT_FOLDER.lower()
        pages += _fitting(Page(stem, folder or _WITHOUT_FOLDER, folder, of_folder))
    return _with_names_of_files(pages)


def targets(pages: Sequence[Page]) -> dict[str, str]:
    """Returns the target of the link to each scenario's section, in the report's folder."""
    return {
        name: f"{quoted(page.path)}#{fragment}"
        for page in pages
        for name, fragment in page.fragments.items()
    }


def _folder(result: Result) -> str:
    folder = PurePosixPath(result.file).parent.as_posix() if result.file else ""
    return "" if folder == "." else folder


def _grouped(sections: Sections, key: Callable[[Result], str]) -> Iterator[tuple[str, Sections]]:
    """Yields the sections by a key, in order of their first."""
    groups: dict[str, list[tuple[Result, Section]]] = {}
    for result, section in sections:
        groups.setdefault(key(result), []).append((result, section))
    for name, group in groups.items():
        yield name, tuple(group)


def _fitting(page: Page) -> list[Page]:
    """Returns a page, or the pages that it has to be split into."""
    if _size(page) <= LARGEST or len(page.sections) == 1:
        return [page]
    by_file = sorted(_grouped(page.sections, lambda r: r.file), key=lambda g: natural(g[0]))
    if len(by_file) == 1:
        return _parts(page)
    pages: list[Page] = []
    for file, sections in by_file:
        name = PurePosixPath(file)
        one = Page(f"{page.stem}-{name.stem}", file, page.folder, sections)
        pages += _fitting(one)
    return pages


def _parts(page: Page) -> list[Page]:
    """Returns the pages that show the scenarios of a page in parts, as few as are small enough."""
    count = -(-_size(page) // LARGEST)
    while True:
        of_each = -(-len(page.sections) // count)
        starts = range(0, len(page.sections), of_each)
        parts = [
            Page(
                f"{page.stem}-{number}",
                f"{page.title}, part {number} of {len(starts)}",
                page.folder,
                page.sections[start : start + of_each],
            )
            for number, start in enumerate(starts, start=1)
        ]
        if of_each == 1 or all(_size(part) <= LARGEST for part in parts):
            return parts
        count += 1


def _size(page: Page) -> int:
    return len(page.text.encode())


def _with_names_of_files(pages: Sequence[Page]) -> list[Page]:
    """Returns the pages with stems that any file system takes, no two of them the same."""
    stems: set[str] = set()
    named: list[Page] = []
    for page in pages:
        plain, number = file_name(page.stem).removesuffix(".json"), 1
        stem = plain
        while stem.casefold() in stems:
            number += 1
            stem = f"{plain}-{number}"
        stems.add(stem.casefold())
        named.append(page if stem == page.stem else replace(page, stem=stem))
    return named
