"""Names of others in a bounded place: a table, a plot, a message."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from pytest_federated.core.errors import printable

NAME = 32  # columns that a name has in a table or a message


def shortened(text: str, width: int = NAME) -> str:
    """Returns a text on one line, in at most `width` columns of a terminal.

    White space is one space each, and what a terminal would not show is an escape. Of a longer text
    the beginning and the end are kept, as names often differ there: ``hospital of th…th, ward 3``.
    """
    line = printable(" ".join(text.split()))
    if cell_len(line) <= width:
        return line
    head, tail = _first(line, (width - 1) - (width - 1) // 2), _first(line[::-1], (width - 1) // 2)
    return f"{head}…{tail[::-1]}"


def counted(names: Sequence[str], count: int, width: int) -> str:
    """Returns a count and as many of its first names as fit: ``13: alcohol, ash, hue, ...``."""
    text = f"{count}: " if count > 1 else ""
    for place, name in enumerate(names):
        following = f"{', ' if place else ''}{shortened(name)}"
        more = ", ..." if place + 1 < count else ""
        if place and cell_len(text + following + more) > width:
            return f"{text}, ..."
        text += following
    return text if len(names) == count else f"{text}, ..."


def _first(text: str, width: int) -> str:
    """Returns as many of the first characters as fit into these columns."""
    used = 0
    for place, character in enumerate(text):
        used += cell_len(character)
        if used > width:
            return text[:place]
    return text
