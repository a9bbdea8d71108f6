"""The table of scenarios at the end of a session, as wide as the terminal at most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from pytest_federated.core.text import counted, distinct, one_line
from pytest_federated.plugin.wrapped import write_wrapped
from pytest_federated.report.tables.summary import summary_columns, summary_row
from pytest_federated.report.tuned import tuned_text
from pytest_federated.results.record import Result

_GAP = 2  # columns between two cells
_NAME = 16  # a name is not shortened to less for the sake of the result beside it
_CELL = 40  # columns that a cell has at most, where its beginning and end tell it from others
_EMPTY = "–"
_ALWAYS = ("verdict", "scenario")  # in this order; the others by importance
_OTHERS = ("rounds to target", "seeds", "split", "algorithm", "rounds", "clients", "heterogeneity")
_COLORS: dict[str, dict[str, bool]] = {
    "passed": {"green": True},
    **{verdict: {"red": True} for verdict in ("failed", "diverged", "errored")},
    **{verdict: {"yellow": True} for verdict in ("skipped", "not judged")},
}


@dataclass(frozen=True)
class _Column:
    """A column of the table; `cells` are of its rows, on one line each."""

    title: str
    cells: list[str]

    @property
    def width(self) -> int:
        return max(map(cell_len, (self.title, *self.cells)))

    def lines(self) -> Iterator[str]:
        """Yields the title, a rule, and the cells, all of the column's width."""
        for line in (self.title, "-" * self.width, *self.cells):
            yield line + " " * (self.width - cell_len(line))


def fitting_table(
    results: Sequence[Result], width: int, *, shortens: bool = True
) -> list[tuple[str, str]]:
    """Returns the lines of the table: the cell of the verdict, and the rest of the line.

    As many columns as fit, the most important ones. Names are shortened where they must be, to
    what is of one scenario only; a name that cannot be is wider than the terminal.

    Args:
        results: of scenarios, whose names differ.
        width: of the terminal.
        shortens: whether names may be shortened; for a file, in which they are looked for, not.

    """
    verdict, name, *others = _columns(results)
    room = width - verdict.width - _GAP
    shown = [name]
    if shortens and room < name.width:
        shown = [_named(name, room)]
    for place, column in enumerate(others):
        taken = sum(one.width + _GAP for one in shown)
        is_result = place == 0
        if taken + column.width <= room or (is_result and not shortens):
            shown.append(column)
        elif is_result:  # for which names may give way
            shorter = _named(name, room - column.width - _GAP)
            if shorter.width + _GAP + column.width <= room and shorter.width >= _NAME:
                shown = [shorter, column]
    texts = zip(*(column.lines() for column in shown))
    between = " " * _GAP
    return [(v, (between + between.join(text)).rstrip()) for v, text in zip(verdict.lines(), texts)]


def _columns(results: Sequence[Result]) -> list[_Column]:
    """Returns the columns by importance, without those that are empty."""
    titles = summary_columns(results)
    rows = [dict(zip(titles, summary_row(result))) for result in results]
    result = next(title for title in titles if title not in (*_ALWAYS, *_OTHERS))
    columns = [_Column(t, distinct([row[t] for row in rows], _CELL)) for t in (result, *_OTHERS)]
    filled = [c for c in columns if any(cell != _EMPTY for cell in c.cells)]
    return [
        _Column("verdict", [row["verdict"] for row in rows]),
        _Column("scenario", [one_line(row["scenario"]) for row in rows]),
        *filled,
    ]


def _named(names: _Column, width: int) -> _Column:
    return _Column(names.title, distinct(names.cells, max(width, 3)))


def write_table(reporter: Any, results: Sequence[Result]) -> None:
    """Writes the table; in a file, names stay whole."""
    width = reporter._tw.fullwidth
    head, *lines = fitting_table(results, width, shortens=reporter.isatty)
    reporter.line("".join(head))
    for verdict, rest in lines:
        reporter.write(verdict, **_COLORS.get(verdict.strip(), {}))
        reporter.line(rest)


def write_skipped(reporter: Any, names: Mapping[str, Sequence[str]]) -> None:
    """Writes why scenarios were skipped, with the names of those that share a reason."""
    width = reporter._tw.fullwidth
    for reason, skipped in names.items():
        write_wrapped(reporter, f"skipped: {counted(skipped, len(skipped), width - 12)}: {reason}")


def write_tuned(reporter: Any, results: Sequence[Result]) -> None:
    """Writes what was chosen where a scenario was tuned."""
    for result in results:
        if text := tuned_text(result):
            write_wrapped(reporter, f"{one_line(result.id)}: {text[:1].lower()}{text[1:]}")


def write_whole(reporter: Any, reasons: Mapping[str, int]) -> None:
    """Writes how many scenarios ``--fed-early-stop`` had no effect on, by the reason."""
    if reasons:
        why = ", ".join(f"{reason} ({count})" for reason, count in reasons.items())
        if len(reasons) == 1:
            (why,) = reasons
        count = sum(reasons.values())
        write_wrapped(reporter, f"--fed-early-stop had no effect on {count} scenario(s): {why}")
