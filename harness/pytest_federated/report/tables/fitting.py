"""Tables that fit a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from pytest_federated.report.tables.table import Table

WIDTH = 120  # characters of a row
ROWS = 100
_BETWEEN = 3  # characters between two cells


def fitted(table: Table) -> list[Table]:
    """Returns a table as it fits a page: as it is, on its side, or in several tables.

    A row that is too wide even on the table's side is continued in further tables, which repeat the
    first column.
    """
    if _width(table) <= WIDTH:
        return [table]
    turned = _on_its_side(table)
    if _width(turned) <= WIDTH:
        return [turned]
    return _in_pieces(turned if _width(turned) < _width(table) else table)


def bounded(table: Table) -> tuple[Table, str]:
    """Returns the first rows of a table, and how many more there are; empty if there are none."""
    more = len(table.rows) - ROWS
    if more <= 0:
        return table, ""
    return Table(table.rows[:ROWS], table.columns), f"and {more:,} more"


def every_nth(numbers: Sequence[int], most: int = ROWS) -> tuple[list[int], int]:
    """Returns at most so many rounds by number, the last one too, and their step."""
    step = -(-len(numbers) // most)
    kept = list(numbers[step - 1 :: step]) if step else []
    if kept and kept[-1] != numbers[-1]:
        kept = [*kept[1:], numbers[-1]] if len(kept) == most else [*kept, numbers[-1]]
    return kept, step


def _on_its_side(table: Table) -> Table:
    first, *others = zip(table.columns, *table.rows)
    return Table([list(row) for row in others], list(first))


def _in_pieces(table: Table) -> list[Table]:
    widths = _widths(table)
    pieces: list[list[int]] = []
    for place in range(1, len(widths)):
        piece = pieces[-1] if pieces else []
        if piece and _row(widths[p] for p in (0, *piece, place)) <= WIDTH:
            piece.append(place)
        else:
            pieces.append([place])
    return [_of_columns(table, [0, *piece]) for piece in pieces]


def _of_columns(table: Table, places: Sequence[int]) -> Table:
    rows = [[row[place] for place in places] for row in table.rows]
    return Table(rows, [table.columns[place] for place in places])


def _width(table: Table) -> int:
    return _row(_widths(table))


def _widths(table: Table) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(table.columns, *table.rows)]


def _row(widths: Iterable[int]) -> int:
    return sum(width + _BETWEEN for width in widths) - _BETWEEN
