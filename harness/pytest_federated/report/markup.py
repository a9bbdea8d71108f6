"""Text in Markdown, or in a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from tabulate import tabulate


def escape(text: str) -> str:
    """Returns text that Markdown shows literally in a table cell or a paragraph."""
    for character in "\\|<>*_`[]~#&":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def symbols(escaped: str) -> str:
    """Returns escaped text with ≥ and ≤ in place of two characters each."""
    return escaped.replace("\\>=", "≥").replace("\\<=", "≤")


def paragraph(text: str) -> str:
    """Returns text that is a paragraph, not a list, a rule or a numbered item."""
    return re.sub(r"^(\d*)([-+.)=])", r"\1\\\2", escape(text))


def anchor(heading: str) -> str:
    """Returns the fragment that GitHub gives a heading."""
    letters = (c for c in heading.lower() if c.isalnum() or c in " -_")
    return "".join(letters).replace(" ", "-")


def anchors(headings: Sequence[str]) -> dict[str, str]:
    """Returns each heading's fragment: GitHub numbers those that would be the same."""
    fragments: dict[str, str] = {}
    for heading in headings:
        plain, number = anchor(heading), 0
        while (unique := f"{plain}-{number}" if number else plain) in fragments.values():
            number += 1
        fragments[heading] = unique
    return fragments


def quoted(name: str) -> str:
    """Returns a file name as the target of a link."""
    return name.replace("=", "%3D").replace(",", "%2C")


def table(rows: Sequence[Sequence[str]], headers: Sequence[str], align: Sequence[str] = ()) -> str:
    """Returns a Markdown table; `align` is left or right for each column, left by default."""
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
    """The functions that write the parts of a page.

    Attributes:
        escape: makes text that is shown literally.
        strong: makes escaped text stand out.
        lead: makes an escaped sentence stand out that a section begins with.
        heading: writes a heading of a level, from 1.
        table: writes a table of escaped cells.

    """

    escape: Callable[[str], str]
    strong: Callable[[str], str]
    lead: Callable[[str], str]
    heading: Callable[[str, int], str]
    table: Callable[..., str]


MARKDOWN = Markup(
    escape,
    lambda text: f"**{text}**",
    lambda text: f"**{text}**",
    lambda text, level: f"{'#' * level} {escape(text)}",
    table,
)
TERMINAL = Markup(
    lambda text: " ".join(text.split()),
    lambda text: f"{text} *",
    lambda text: text,
    lambda text, level: f"{text}\n{'=-'[min(level, 2) - 1] * len(text)}",
    _plain_table,
)
