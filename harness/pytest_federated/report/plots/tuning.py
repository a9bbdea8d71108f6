"""The figures of a tuned scenario over the keys of its grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from pytest_federated.core.text import shortened
from pytest_federated.report.plots.chart import Line, Lines
from pytest_federated.report.plots.heat_map import MOST, Side, heat_map
from pytest_federated.report.plots.plot import scenario_plots
from pytest_federated.report.plots.style import INK, SERIES, VERMILION, Picture
from pytest_federated.report.tables.cells import figure
from pytest_federated.report.tuned import Axis, axes_of, metric_title, point_text
from pytest_federated.results.record import Result
from pytest_federated.results.tuning import GridPoint, Tuning

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TEXT = 16  # characters of a value that is no number


@scenario_plots("tuning", place=5)
def tuning_by_key(result: Result) -> Optional[Picture]:
    """A heat map of a grid of two keys, or a line for each value of the other, if any, of a grid of
    one numeric key. None of other grids, which the table shows.
    """
    tuning = result.tuning
    if tuning is None:
        return None
    axes = axes_of(tuning)
    numeric = [axis for axis in axes if axis.is_number]
    others = [axis for axis in axes if not axis.is_number]
    if len(numeric) == 2 and not others and max(len(a.values) for a in numeric) <= MOST:
        return _heat_map(result, tuning, *numeric)
    if (
        len(numeric) == 1
        and all(len(axis.values) <= len(SERIES) for axis in others)
        and len(axes) < 3
    ):
        return _lines(result, tuning, numeric[0], *others)
    return None


def _alt(result: Result, tuning: Tuning, axes: Sequence[Axis]) -> str:
    over = " and ".join(axis.title for axis in axes)
    metric = metric_title(tuning)
    text = (
        f"{metric[:1].upper()}{metric[1:]} of {result.id} over {over}, {len(tuning.points)} points"
    )
    if best := tuning.best:
        text += f": the best is {figure(best.mean)} at {point_text(tuning, best)}"
    return f"{text}."


def _heat_map(result: Result, tuning: Tuning, first: Axis, second: Axis) -> Picture:
    """The longer axis goes across."""
    across, down = sorted((first, second), key=lambda axis: -len(axis.values))

    def cell(point: GridPoint) -> tuple[int, int]:
        row, column = (axis.values.index(point.values[axis.key]) for axis in (down, across))
        return row, column

    return heat_map(
        _alt(result, tuning, (across, down)),
        Side(down.title, down.texts),
        Side(across.title, across.texts),
        {cell(point): point.mean for point in tuning.points},
        cell(tuning.best) if tuning.best else None,
        sign=tuning.sign,
    )


def _lines(result: Result, tuning: Tuning, axis: Axis, other: Optional[Axis] = None) -> Picture:
    names = other.texts if other else [metric_title(tuning)]
    by_line: list[Mapping[Any, GridPoint]] = [
        {
            p.values[axis.key]: p
            for p in tuning.points
            if p.mean is not None and (other is None or p.values[other.key] == value)
        }
        for value in (other.values if other else [None])
    ]
    title = metric_title(tuning)

    def draw(axes: Axes) -> None:
        for place, (name, points) in enumerate(zip(names, by_line)):
            x, y = list(points), [p.mean or 0.0 for p in points.values()]
            order = sorted(range(len(x)), key=x.__getitem__)
            x, y = [x[n] for n in order], [y[n] for n in order]
            color = SERIES[place]
            axes.plot(x, y, color=color, marker="o", ms=4, label=shortened(name, _TEXT))
            if other is None and len(tuning.seeds) > 1:
                figures = [[f for f in points[value].figures if f is not None] for value in x]
                low, high = ([of(values) for values in figures] for of in (min, max))
                axes.fill_between(x, low, high, color=color, alpha=0.3, lw=0)
        if best := tuning.best:
            at: Any = best.values[axis.key], best.mean
            axes.plot(*at, marker="o", ms=9, mfc="none", mec=VERMILION, mew=1.5, ls="")
        if _is_logarithmic(axis.values):
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(_no_ticks())
        axes.set_xticks(list(axis.values), axis.texts, parse_math=False)
        axes.set(xlabel=axis.title, ylabel=title)
        if other:
            axes.legend(fontsize=8, title=other.title, title_fontsize=8, labelcolor=INK)

    lines = [
        Line(name, place, [p.mean if (p := points.get(v)) else None for v in axis.values])
        for place, (name, points) in enumerate(zip(names, by_line))
    ]
    chart = Lines(axis.title, title, axis.title, list(axis.values), lines)
    axes = (axis, other) if other else (axis,)
    if _is_logarithmic(axis.values):  # which a chart's axis cannot be
        return Picture(_alt(result, tuning, axes), draw, left=0.7)
    return Picture(_alt(result, tuning, axes), draw, chart, left=0.7)


def _is_logarithmic(values: Sequence[Any]) -> bool:
    """Returns whether values spread over more than they do by steps of the same size."""
    return min(values) > 0 and math.log10(max(values) / min(values)) >= 1


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
