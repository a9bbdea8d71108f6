"""What a plot shows, as data: the HTML page draws it so that the cursor tells the values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Optional, Protocol

_DIGITS = 4  # significant digits of a value


class Chart(Protocol):
    """A plot as data."""

    def limited(self, most: int) -> Chart:
        """Returns the chart with at most so many values along its longer side."""
        ...

    def data(self) -> dict[str, Any]:
        """Returns it as JSON has it; a value that is not finite is null."""
        ...


@dataclass(frozen=True)
class Line:
    """A curve of a chart, with a value for each x, or None.

    Attributes:
        name: in the legend.
        color: its place in `style.SERIES`.
        y: the values.
        low: lower end of the band around them; empty without a band.
        high: upper end.
        style: how it is drawn.

    """

    name: str
    color: int
    y: Sequence[Optional[float]]
    low: Sequence[Optional[float]] = ()
    high: Sequence[Optional[float]] = ()
    style: Literal["line", "dashed", "dots"] = "line"


@dataclass(frozen=True)
class Lines:
    """Curves over a common x.

    Attributes:
        x_title: name of the x axis.
        y_title: name of the y axis.
        x_unit: what an x is the number of.
        x: ascending.
        lines: the curves.
        limits: of the y axis; those of the values when None.
        levels: values that have a dashed line across.

    """

    x_title: str
    y_title: str
    x_unit: str
    x: Sequence[float]
    lines: Sequence[Line]
    limits: Optional[tuple[float, float]] = None
    levels: Sequence[float] = ()

    def limited(self, most: int) -> Lines:
        """Returns the same with every nth x at which the first line has a value; the last stays.

        Every nth x of all where that line has no value at all.
        """
        if len(self.x) <= most:
            return self
        known = [n for n, value in enumerate(self.lines[0].y) if value is not None]
        known = known or list(range(len(self.x)))
        step = -(-len(known) // most)
        places = known[::-1][::step][::-1]

        def kept(values: Sequence[Any]) -> Sequence[Any]:
            return [values[n] for n in places] if values else values

        lines = [replace(n, y=kept(n.y), low=kept(n.low), high=kept(n.high)) for n in self.lines]
        return replace(self, x=kept(self.x), lines=lines)

    def data(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        lines = [
            {"name": line.name, "color": line.color, "style": line.style, "y": _brief(line.y)}
            | ({"low": _brief(line.low), "high": _brief(line.high)} if line.low else {})
            for line in self.lines
        ]
        return {
            "kind": "lines",
            "titles": [self.x_title, self.y_title],
            "x_unit": self.x_unit,
            "x": _brief(self.x),
            "lines": lines,
            "limits": self.limits,
            "levels": _brief(self.levels),
        }


@dataclass(frozen=True)
class Cells:
    """Counts by row and column.

    Attributes:
        row_title: what a row is of.
        column_title: what a column is of.
        rows: names of the rows.
        columns: names of the columns.
        counts: by row, then by column.
        unit: what is counted.

    """

    row_title: str
    column_title: str
    rows: Sequence[str]
    columns: Sequence[str]
    counts: Sequence[Sequence[int]]
    unit: str

    def limited(self, most: int) -> Cells:
        """Returns the same with the first rows and columns only."""
        return replace(
            self,
            rows=self.rows[:most],
            columns=self.columns[:most],
            counts=[row[:most] for row in self.counts[:most]],
        )

    def data(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return {
            "kind": "cells",
            "titles": [self.column_title, self.row_title],
            "rows": list(self.rows),
            "columns": list(self.columns),
            "counts": [list(row) for row in self.counts],
            "unit": self.unit,
        }


@dataclass(frozen=True)
class Points:
    """Points of scenarios, by group.

    Attributes:
        x_title: name of the x axis.
        y_title: name of the y axis.
        groups: points of each group: x, y and the scenario's id.
        x_limits: of the x axis.
        y_limits: of the y axis.

    """

    x_title: str
    y_title: str
    groups: Mapping[str, Sequence[tuple[float, float, str]]] = field(default_factory=dict)
    x_limits: tuple[float, float] = (0, 1)
    y_limits: tuple[float, float] = (0, 1)

    def limited(self, most: int) -> Points:
        """Returns the chart itself: it has a point for each scenario."""
        return self

    def data(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        groups = {
            name: [[*_brief((x, y)), scenario] for x, y, scenario in points if math.isfinite(y)]
            for name, points in self.groups.items()
        }
        return {
            "kind": "points",
            "titles": [self.x_title, self.y_title],
            "groups": groups,
            "limits": [self.x_limits, self.y_limits],
        }


def _brief(values: Sequence[Optional[float]]) -> list[Optional[float]]:
    """Returns values with as many digits as anybody reads."""
    return [None if v is None or not math.isfinite(v) else _short(v) for v in values]


def _short(value: float) -> float:
    if float(value).is_integer():
        return int(value)
    return float(f"{value:.{_DIGITS}g}")
