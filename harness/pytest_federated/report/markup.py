"""Text in Markdown, in HTML, or in a terminal."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from tabulate import tabulate

from pytest_federated.report.plots.style import Picture


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
        paragraph: makes escaped text a block of its own.
        items: writes a list of escaped sentences.
        image: shows a picture, which is a file with this path unless the page holds it itself.

    """

    escape: Callable[[str], str]
    strong: Callable[[str], str]
    lead: Callable[[str], str]
    heading: Callable[[str, int], str]
    table: Callable[..., str]
    paragraph: Callable[[str], str]
    items: Callable[[Sequence[str]], str]
    image: Callable[[Picture, str], str]


def _dashed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _html_escape(text: str) -> str:
    return html.escape(" ".join(text.split()))


def _html_table(
    rows: Sequence[Sequence[str]], headers: Sequence[str], align: Sequence[str] = ()
) -> str:
    classes = ["number" if side == "right" else "text" for side in align] or ["text"] * len(headers)
    head = "".join(f'<th class="{kind}">{name}</th>' for kind, name in zip(classes, headers))
    body = "\n".join(
        "<tr>" + "".join(f'<td class="{k}">{cell}</td>' for k, cell in zip(classes, row)) + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    return f'<div class="wide" tabindex="0">{table}</div>'


def _html_image(picture: Picture, path: str) -> str:
    """Returns the picture itself, as a page in HTML needs no other file."""
    source = base64.b64encode(picture.svg().encode()).decode()
    alt = html.escape(picture.alt)
    return f'<figure><img alt="{alt}" src="data:image/svg+xml;base64,{source}"></figure>'


MARKDOWN = Markup(
    escape,
    lambda text: f"**{text}**",
    lambda text: f"**{text}**",
    lambda text, level: f"{'#' * level} {escape(text)}",
    table,
    lambda text: text,
    _dashed,
    lambda picture, path: f"![{escape(picture.alt)}]({quoted(path)})",
)
# Below a page's own title, so headings are a level lower.
HTML = Markup(
    _html_escape,
    lambda text: f"<strong>{text}</strong>",
    lambda text: f"<p><strong>{text}</strong></p>",
    lambda text, level: f"<h{level + 1}>{_html_escape(text)}</h{level + 1}>",
    _html_table,
    lambda text: f"<p>{text}</p>",
    lambda sentences: "<ul>" + "".join(f"<li>{sentence}</li>" for sentence in sentences) + "</ul>",
    _html_image,
)
TERMINAL = Markup(
    lambda text: " ".join(text.split()),
    lambda text: f"{text} *",
    lambda text: text,
    lambda text, level: f"{text}\n{'=-'[min(level, 2) - 1] * len(text)}",
    _plain_table,
    lambda text: text,
    _dashed,
    lambda picture, path: picture.alt,
)
