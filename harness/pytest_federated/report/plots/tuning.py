"""The figures of a tuned scenario over the keys of its grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from pytest_federated.core.text import shortened
from pytest_federated.report.plots.chart import Line, Lines
from pytest_federated.report.plots.plot import scenario_plots
from pytest_federated.report.plots.style import BLUE, INK, SERIES, VERMILION, Picture
from pytest_federated.report.tables.cells import figure
from pytest_federated.report.tuned import Axis, axes_of, metric_title, point_text
from pytest_federated.results.record import Result
from pytest_federated.results.tuning import GridPoint, Tuning

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 12  # values of a key in a heat map
_CELL_WIDE, _CELL_HIGH = 0.62, 0.34  # inches
_TEXT = 16  # characters of a value that is no number
_UNFIT, _LIGHT, _DARK = "#d0d7de", "#1f2328", "#ffffff"


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
    if len(numeric) == 2 and not others and max(len(a.values) for a in numeric) <= _MOST:
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
    points = {(p.values[down.key], p.values[across.key]): p for p in tuning.points}
    means = [p.mean for p in tuning.points if p.mean is not None]
    worst, best = (min(means), max(means)) if means else (0.0, 0.0)
    if tuning.sign < 0:
        worst, best = best, worst

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        for (row, column), point in points.items():
            x, y = across.values.index(column), down.values.index(row)
            share = 1.0 if best == worst else ((point.mean or worst) - worst) / (best - worst)
            color = _UNFIT if point.mean is None else _blended(share)
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=color, lw=0))
            axes.text(
                x + 0.5,
                y + 0.5,
                "–" if point.mean is None else f"{point.mean:.3g}",
                ha="center",
                va="center",
                fontsize=8,
                weight="bold" if point is tuning.best else "normal",
                color=_DARK if point.mean is not None and share > 0.55 else _LIGHT,
            )
            if point is tuning.best:
                edge: Any = {"fill": False, "edgecolor": VERMILION, "lw": 2, "zorder": 3}
                axes.add_patch(Rectangle((x + 0.03, y + 0.04), 0.94, 0.92, **edge))
        axes.set(xlim=(0, len(across.values)), ylim=(0, len(down.values)))
        axes.set(xlabel=across.title, ylabel=down.title)
        for ticks, axis in ((axes.set_xticks, across), (axes.set_yticks, down)):
            places = [place + 0.5 for place in range(len(axis.values))]
            ticks(places, axis.texts, parse_math=False)
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)

    width = max(2.6, 0.9 + _CELL_WIDE * len(across.values))
    height = 0.7 + _CELL_HIGH * len(down.values)
    alt = _alt(result, tuning, (across, down))
    return Picture(alt, draw, width=width, height=height, left=0.75)


def _blended(share: float) -> str:
    """Returns a color between a light one and blue."""
    light = (230, 241, 248)
    blue = [int(BLUE[i : i + 2], 16) for i in (1, 3, 5)]
    mixed = [round(low + share * (high - low)) for low, high in zip(light, blue)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


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
