"""Accuracy by client."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Optional

from pytest_federated.metrics.coverage import measured_clients
from pytest_federated.metrics.worst_client import name_of_worst
from pytest_federated.report.plots.chart import Line, Lines
from pytest_federated.report.plots.plot import scenario_plots
from pytest_federated.report.plots.style import BLUE, GREEN, INK, Picture, whole_numbers
from pytest_federated.results.record import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ORDER = "from the worst to the best"
_DOTS = 120  # clients beyond which a line says as much in less


@scenario_plots("clients", place=30)
def accuracy_by_client(result: Result) -> Optional[Picture]:
    """The final model's accuracy at each client, from the worst to the best, for each seed.

    None where it was not measured.
    """
    common = [sorted(h.client_accuracy) for h in result.whole if h.client_accuracy]
    if not common:
        return None
    tuned = [sorted(h.personalized_accuracy) for h in result.whole if h.personalized_accuracy]
    every = [a for accuracies in common for a in accuracies]
    mean = statistics.fmean(every)
    some = measured_clients(result.histories, common)
    measured = f", {some}" if some else ""
    least, name = min(
        (min(h.client_accuracy), name_of_worst(h, h.client_accuracy))
        for h in result.whole
        if h.client_accuracy
    )
    worst = f"the worst client ({name})" if name else "the worst client"
    alt = (
        f"Accuracy by client of {result.id}{measured}, sorted: {least:.3f} at {worst}, "
        f"{max(every):.3f} at the best, mean {mean:.3f}."
    )

    def draw(axes: Axes) -> None:
        shown = [("the common model", BLUE, common), ("fine-tuned by the client", GREEN, tuned)]
        for label, color, seeds in shown:
            for place, one in enumerate(seeds):
                axes.plot(
                    range(1, len(one) + 1),
                    one,
                    "o" if len(one) <= _DOTS else "-",
                    ms=3.5,
                    mew=0,
                    alpha=0.7,
                    color=color,
                    label=None if place else label,
                )
        axes.axhline(mean, color=INK, lw=0.8, ls=(0, (4, 3)))
        below = (4, -11) if least > 0.15 else (12, 2)  # beside the rising dots
        axes.annotate(
            name, (1, least), below, textcoords="offset points", fontsize=8, parse_math=False
        )
        whole_numbers(axes)
        axes.set(xlabel=f"{some or 'clients'}, {_ORDER}", ylabel="accuracy", ylim=(0, 1.02))
        if tuned:
            axes.legend(loc="lower right", fontsize=8)

    lines = [_line("the common model", 0, common)]
    if tuned:
        lines.append(_line("fine-tuned by the client", 2, tuned))
    places = range(1, max(len(line.y) for line in lines) + 1)
    title = f"{some or 'clients'}, {_ORDER}"
    chart = Lines(title, "accuracy", "client", places, lines, (0, 1), [mean])
    return Picture(alt, draw, chart)


def _line(name: str, color: int, seeds: Sequence[Sequence[float]]) -> Line:
    """Returns the mean over seeds of the accuracy at each place, with its range."""
    places = [[v for v in of if v is not None] for of in zip_longest(*seeds)]
    low, high = ([end(of) for of in places] if len(seeds) > 1 else [] for end in (min, max))
    style = "dots" if len(places) <= _DOTS else "line"
    return Line(name, color, [statistics.fmean(of) for of in places], low, high, style)
