"""Text as it stands in Markdown, or in a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from tabulate import tabulate


def escape(text: str) -> str:
    """Text that stands in a table cell or a paragraph as it is written."""
    for character in "\\|<>*_`[]~#&":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def paragraph(text: str) -> str:
    """Text that is a paragraph: not a list, a rule or a numbered item, however it begins."""
    return re.sub(r"^(\d*)([-+.)=])", r"\1\\\2", escape(text))


def anchor(heading: str) -> str:
    """The fragment that GitHub gives a heading."""
    kept = (c for c in heading.lower() if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")


def anchors(headings: Sequence[str]) -> dict[str, str]:
    """Each heading's fragment: GitHub numbers those that would be the same."""
    found: dict[str, str] = {}
    for heading in headings:
        plain, number = anchor(heading), 0
        while (unique := f"{plain}-{number}" if number else plain) in found.values():
            number += 1
        found[heading] = unique
    return found


def quoted(name: str) -> str:
    """A file name as the target of a link."""
    return name.replace("=", "%3D").replace(",", "%2C")


def table(rows: Sequence[Sequence[str]], headers: Sequence[str], align: Sequence[str] = ()) -> str:
    """A Markdown table; to the left, unless `align` says otherwise for each column."""
    return tabulate(
        rows,
        headers,
        tablefmt="github",
        disable_numparse=True,
        colalign=align or ["left"] * len(headers),
    )


def _plain_table(
    rows: Sequence[Sequence[str]], headers: Sequence[str], align: Sequence[str] = ()
) -> str:
    return tabulate(
        rows,
        headers,
        tablefmt="simple",
        disable_numparse=True,
        colalign=align or ["left"] * len(headers),
    )


@dataclass(frozen=True)
class Markup:
    """How the parts of a page are written.

    Attributes:
        escape: text that is shown as it is.
        strong: text, escaped already, that stands out.
        weak: text, escaped already, that stands out a little.
        heading: a heading of a level, from 1.
        table: a table of escaped cells.

    """

    escape: Callable[[str], str]
    strong: Callable[[str], str]
    weak: Callable[[str], str]
    heading: Callable[[str, int], str]
    table: Callable[..., str]


MARKDOWN = Markup(
    escape,
    lambda text: f"**{text}**",
    lambda text: f"*{text}*",
    lambda text, level: f"{'#' * level} {escape(text)}",
    table,
)
TERMINAL = Markup(
    lambda text: " ".join(text.split()),
    lambda text: f"{text} *",
    lambda text: f"{text} ~",
    lambda text, level: f"{text}\n{'=-'[min(level, 2) - 1] * len(text)}",
    _plain_table,
)
