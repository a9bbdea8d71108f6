"""Accuracy of single clients by round."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Optional

from pytest_federated.report.plots.chart import Line, Lines
from pytest_federated.report.plots.plot import scenario_plots
from pytest_federated.report.plots.style import BLUE, VERMILION, Picture, whole_numbers
from pytest_federated.report.tables.rounds import by_round
from pytest_federated.results.record import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@scenario_plots("clients-by-round", place=20)
def accuracy_of_clients_by_round(result: Result) -> Optional[Picture]:
    """The accuracy of clients after each round that measured them: their mean, range, and worst.

    Each is a mean over seeds. None where clients were measured at the end only.
    """
    measured = {
        number: accuracies
        for number, rounds in by_round(result).items()
        if (accuracies := [r.client_accuracy for r in rounds if r.client_accuracy])
    }
    if not measured:
        return None
    worst, mean, best = (
        {n: statistics.fmean(map(of, accuracies)) for n, accuracies in measured.items()}
        for of in (min, statistics.fmean, max)
    )
    first, last = min(measured), max(measured)
    points = [f"{worst[n]:.3f} after round {n}" for n in sorted({first, last})]
    alt = f"Accuracy of clients by round of {result.id}: the worst {', '.join(points)}."

    def draw(axes: Axes) -> None:
        marker = "o" if len(measured) < 3 else ""
        numbers = list(measured)
        axes.fill_between(numbers, [*worst.values()], [*best.values()], color=BLUE, alpha=0.3, lw=0)
        axes.plot(numbers, [*mean.values()], color=BLUE, marker=marker, label="mean of the clients")
        axes.plot(numbers, [*worst.values()], color=VERMILION, marker=marker, label="worst client")
        axes.set(xlabel="round", ylabel="accuracy", ylim=(0, 1.02))
        axes.legend(loc="lower right", fontsize=8)
        whole_numbers(axes)

    rounds = list(measured)
    lines = [
        Line("mean of the clients", 0, [*mean.values()], [*worst.values()], [*best.values()]),
        Line("worst client", 3, [*worst.values()]),
    ]
    return Picture(alt, draw, Lines("round", "accuracy", "round", rounds, lines, (0, 1)))
