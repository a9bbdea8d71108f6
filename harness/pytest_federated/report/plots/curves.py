"""The curves of several scenarios side by side, in small multiples."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Optional

from pytest_federated.core.text import shortened
from pytest_federated.report.plots.panels import TITLE, small_multiples, thinned
from pytest_federated.report.plots.style import BLUE, SERIES, Picture
from pytest_federated.report.tables.rounds import by_round
from pytest_federated.results.record import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 24  # in a picture


@dataclass(frozen=True)
class _Curve:
    """The mean over seeds of accuracy or loss by round, and its range."""

    label: str
    metric: str
    by_round: Mapping[int, Sequence[float]]

    @property
    def means(self) -> list[float]:
        return [statistics.fmean(values) for values in self.by_round.values()]


def curves(results: Sequence[Result]) -> Optional[Picture]:
    """Draws the test accuracy by round, or the loss of predicted numbers, of each scenario.

    The variants of a matrix share a panel. A scenario that was evaluated only once has no curve;
    None where no scenario has one.
    """
    panels: dict[str, list[_Curve]] = {}
    for result in results:
        name, _, variant = result.id.partition("[")
        if curve := _curve(result, variant.removesuffix("]")):
            panels.setdefault(name, []).append(curve)
    if not panels:
        return None
    shown = dict(list(panels.items())[:PANELS])
    of_all = f"{len(shown)} of {len(panels)}" if len(panels) > len(shown) else str(len(shown))
    metrics = sorted({curve.metric for of_panel in shown.values() for curve in of_panel})
    alt = (
        f"Test {' or '.join(metrics)} by round of {of_all} scenario(s), mean and range over seeds."
    )
    return small_multiples(
        alt, [(name, partial(_draw_panel, curves=of_panel)) for name, of_panel in shown.items()]
    )


def _curve(result: Result, label: str) -> Optional[_Curve]:
    if not result.histories:
        return None
    metric = "accuracy" if all(h.has_labels for h in result.histories) else "loss"
    values = {
        number: [v for r in rounds if (v := getattr(r, metric)) is not None]
        for number, rounds in by_round(result).items()
    }
    evaluated = [number for number, of_seeds in values.items() if of_seeds]
    kept = thinned(evaluated)
    return _Curve(label, metric, {n: values[n] for n in kept}) if len(kept) > 1 else None


def _draw_panel(axes: Axes, curves: Sequence[_Curve]) -> None:
    from matplotlib.ticker import MaxNLocator

    have_names = 1 < len(curves) <= len(SERIES)
    for place, curve in enumerate(curves):
        axes.plot(
            list(curve.by_round),
            curve.means,
            color=SERIES[place] if have_names else BLUE,
            lw=1.2,
            alpha=1 if len(curves) <= len(SERIES) else 0.5,
            label=shortened(curve.label, TITLE),
        )
    if len(curves) == 1:
        (only,) = curves
        low, high = ([of(values) for values in only.by_round.values()] for of in (min, max))
        axes.fill_between(list(only.by_round), low, high, color=BLUE, alpha=0.3, lw=0)
    axes.set_xlim(0, max(max(curve.by_round) for curve in curves))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    if all(curve.metric == "accuracy" for curve in curves):
        axes.set_ylim(0, 1.02)
        axes.set_yticks([0, 0.5, 1])
    if have_names:
        axes.legend(fontsize=6, loc="best", handlelength=1, borderpad=0, labelspacing=0.2)
