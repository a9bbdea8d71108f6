"""The learning curves of several variants in one picture, a panel for each task."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Optional

from pytest_federated.core.text import shortened
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.targets import curve
from pytest_federated.report.plots.panels import Layout, small_multiples, thinned
from pytest_federated.report.plots.style import INK, SERIES, Picture
from pytest_federated.results.record import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 12  # in a picture
_ACROSS = 2  # so that a phone shows text that can be read
_LAYOUT = Layout(_ACROSS, 3.2, 2.1, 0.5, 0.42, 0.28, 0.1, font=9)
_LEGEND = 0.2  # inches of a row of the legend
_KEY, _LETTER = 0.45, 0.07  # inches of an entry's line and the room around it, and of a character
_NAME = 30  # characters
_DASHES = ("-", "--")
_LINES = 20  # of a panel
_NAMED = len(SERIES) * len(_DASHES)  # variants that can be told apart

Points = Mapping[int, Sequence[float]]  # values of the seeds by round


def learning_curves(
    title: str,
    panels: Mapping[str, Mapping[str, Result]],
    measure: Measure,
    targets: Sequence[float] = (),
) -> Optional[Picture]:
    """Draws the mean over seeds of a metric by round, with its range over seeds as a band.

    Args:
        title: what is compared.
        panels: results by variant, the reference first, by task. Beyond 12 variants only the
            reference has a color, and no variant a band. Beyond 20 variants or 12 tasks the others
            are left out.
        measure: a metric that is measured after each evaluated round.
        targets: values that are shown as lines.

    Returns:
        None where nothing was evaluated twice.

    """
    every_name = list(dict.fromkeys(name for of in panels.values() for name in of))
    names = every_name[:_LINES]
    drawn = {
        task: {n: points for n in names if n in of and (points := _points(of[n], measure))}
        for task, of in list(panels.items())[:PANELS]
    }
    drawn = {task: of for task, of in drawn.items() if of}
    curves = [points for of in drawn.values() for points in of.values()]
    if not any(len(points) > 1 for points in curves):
        return None
    styles = {name: (SERIES[n % 6], _DASHES[n // 6 % 2]) for n, name in enumerate(names)}
    if len(names) > _NAMED:
        styles = dict.fromkeys(names, (INK, "-")) | {names[0]: (SERIES[0], "-")}
    of_all = f"{len(drawn)} of {len(panels)}" if len(panels) > len(drawn) else str(len(drawn))
    ends = [
        f"{name} {statistics.fmean(points[max(points)]):.3f}"
        for name, points in drawn[next(iter(drawn))].items()
    ]
    first = next(iter(drawn))
    alt = (
        f"Test {measure.title} by round of {title}, mean and range over seeds, {of_all} panel(s). "
        f"At the end{f', {first}' if first else ''}: {', '.join(ends[:6])}"
        + (", ..." if len(ends) > 6 else ".")
        + (f" Shown are {len(names)} of {len(every_name)} variants." if names != every_name else "")
    )
    shown = [n for n in names if len(names) <= _NAMED or n == names[0]]
    across = min(_ACROSS, len(drawn))
    longest = max(len(shortened(name, _NAME)) for name in shown)
    columns = int(across * _LAYOUT.wide / (_KEY + longest * _LETTER))
    columns = max(1, min(2 * across, len(shown), columns))
    head = -(-len(shown) // columns) * _LEGEND
    every = [value for points in curves for of_seeds in points.values() for value in of_seeds]
    room = 0.05 * (max(every) - min(every)) or 0.05
    limits = min(every) - room, max(every) + room

    def panel(place: int, of: Mapping[str, Points]) -> Callable[[Axes], None]:
        def draw(axes: Axes) -> None:
            _draw_panel(axes, of, styles, targets, has_bands=len(names) <= _NAMED)
            axes.set_ylim(*limits)
            axes.set_ylabel(measure.title if place % across == 0 else "", fontsize=8)
            axes.set_xlabel("round" if place + across >= len(drawn) else "", fontsize=8)

        return draw

    def legend(axes: Axes) -> None:
        for name in shown:
            color, dash = styles[name]
            axes.plot([], [], color=color, ls=dash, label=shortened(name, _NAME))
        axes.figure.legend(
            loc="upper center",
            ncols=columns,
            fontsize=8,
            borderpad=0,
            handlelength=1.5,
            columnspacing=1.2,
        )

    panels_of = [(task, panel(place, of)) for place, (task, of) in enumerate(drawn.items())]
    return small_multiples(alt, panels_of, replace(_LAYOUT, head=head), legend)


def _points(result: Result, measure: Measure) -> Points:
    values: dict[int, list[float]] = {}
    for history in result.histories:
        for number, value in curve(history, measure.name):
            values.setdefault(number, []).append(value)
    return {number: values[number] for number in thinned(sorted(values))}


def _draw_panel(
    axes: Axes,
    of: Mapping[str, Points],
    styles: Mapping[str, tuple[str, str]],
    targets: Sequence[float],
    *,
    has_bands: bool,
) -> None:
    from matplotlib.ticker import MaxNLocator

    for target in targets:
        axes.axhline(target, color=INK, lw=0.6, ls=(0, (1, 2)))
    for place, (name, points) in enumerate(of.items()):
        color, dash = styles[name]
        rounds, means = list(points), [statistics.fmean(values) for values in points.values()]
        order = 3 if place == 0 else 2
        faint = 1 if has_bands or place == 0 else 0.35
        axes.plot(rounds, means, color=color, ls=dash, lw=1.4, alpha=faint, zorder=order)
        if has_bands:
            low, high = ([of_seeds(v) for v in points.values()] for of_seeds in (min, max))
            axes.fill_between(rounds, low, high, color=color, alpha=0.12, lw=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
