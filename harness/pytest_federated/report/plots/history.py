"""A metric of several scenarios over commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_federated.report.plots.panels import small_multiples
from pytest_federated.report.plots.style import BLUE, GREEN, INK, VERMILION, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = {"worse": VERMILION, "better": GREEN}


@dataclass(frozen=True)
class Trace:
    """A metric of a scenario over commits.

    Attributes:
        title: above its panel.
        places: numbers of the commits, from 1.
        means: over seeds.
        low: the least of the seeds.
        high: the greatest.
        changes: numbers of the commits at which it changed, and how.

    """

    title: str
    places: Sequence[int]
    means: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    changes: Sequence[tuple[int, str]]


def over_commits(traces: Sequence[Trace], commits: int) -> Picture:
    """Draws each trace over so many commits; a line stands where it changed."""
    changes = sum(len(trace.changes) for trace in traces)
    alt = (
        f"{len(traces)} figure(s) of scenarios over {commits} commits, mean and range over seeds, "
        f"with {changes} change(s)."
    )
    panels = [(trace.title, partial(_draw, trace=trace, commits=commits)) for trace in traces]
    return small_multiples(alt, panels)


def _draw(axes: Axes, trace: Trace, commits: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.fill_between(trace.places, trace.low, trace.high, color=BLUE, alpha=0.25, lw=0)
    axes.plot(trace.places, trace.means, color=BLUE, lw=1.2, marker="o", ms=2, mew=0)
    for place, change in trace.changes:
        axes.axvline(place, color=_COLORS.get(change, INK), lw=1, ls=(0, (3, 2)))
    axes.set_xlim(0.5, commits + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
