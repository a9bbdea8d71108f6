"""Names of others in a bounded place: a table, a plot, a message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich.cells import cell_len

from pytest_federated.core.errors import printable

NAME = 32  # columns that a name has in a table or a message


def significant(value: float, digits: int, sign: str = "") -> str:
    """Returns a number with so many significant digits; a large one as 2070, not as 2.07e+03."""
    text = f"{value:{sign}.{digits}g}"
    return f"{float(text):{sign}.0f}" if "e+" in text and abs(value) < 1e9 else text


def one_line(text: str) -> str:
    """Returns a text with one space for white space, and escapes for what a terminal hides."""
    return printable(" ".join(text.split()))


def shortened(text: str, width: int = NAME) -> str:
    """Returns a text on one line, in at most `width` columns of a terminal.

    White space is one space each, and what a terminal would not show is an escape. Of a longer text
    the beginning and the end are kept, as names often differ there: ``hospital of th…th, ward 3``.
    """
    return _cut(one_line(text), width - 1 - (width - 1) // 2, width)


def distinct(names: Sequence[str], width: int) -> list[str]:
    """Returns each name in at most `width` columns, as `shortened`, but never two names alike.

    Names that have the same beginning and end are cut elsewhere: such as at the beginning, where
    only the ends differ. Those that look alike wherever they are cut stay whole, in more columns.
    """
    labels = {line: shortened(line, width) for line in map(one_line, names)}
    alike: dict[str, list[str]] = defaultdict(list)
    for line, label in labels.items():
        alike[label].append(line)
    used = {label for label, lines in alike.items() if len(lines) == 1}
    heads = sorted(range(width), key=lambda head: abs(2 * head - width + 1))  # the middle first
    for lines in alike.values():
        if len(lines) == 1:
            continue
        tries = ([_cut(line, head, width) for line in lines] for head in heads)
        clear = (cut for cut in tries if len(set(cut)) == len(cut) and used.isdisjoint(cut))
        cut = next(clear, lines)
        labels.update(zip(lines, cut))
        used.update(cut)
    return [labels[one_line(name)] for name in names]


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


def _cut(line: str, head: int, width: int) -> str:
    """Returns a line in at most `width` columns, `head` of them from its beginning."""
    if cell_len(line) <= width:
        return line
    return f"{_first(line, head)}…{_first(line[::-1], width - 1 - head)[::-1]}"


def _first(text: str, width: int) -> str:
    """Returns as many of the first characters as fit into these columns."""
    used = 0
    for place, character in enumerate(text):
        used += cell_len(character)
        if used > width:
            return text[:place]
    return text
