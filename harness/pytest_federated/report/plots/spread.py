"""Accuracy against heterogeneity, all scenarios of a report."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

from pytest_federated.metrics.measure import headline
from pytest_federated.report.plots.chart import Points
from pytest_federated.report.plots.plot import overview_plots
from pytest_federated.report.plots.style import SERIES, Picture
from pytest_federated.results.record import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "os^Dvp"
_X, _Y = "Jensen-Shannon distance of labels between clients", "final test accuracy"


@overview_plots("accuracy-by-heterogeneity")
def accuracy_by_heterogeneity(results: Sequence[Result]) -> Optional[Picture]:
    """A point for each scenario, its final accuracy (mean over seeds) over its label distance.

    None with fewer than two such scenarios.
    """
    points: dict[str, list[tuple[float, float, str]]] = {}
    for result in results:
        distances = [h.heterogeneity.jensen_shannon for h in result.histories if h.heterogeneity]
        accuracies = headline().by_seed(result)
        if distances and accuracies:
            dataset = result.settings["data"]["dataset"]["kind"]
            point = statistics.fmean(distances), statistics.fmean(accuracies), result.id
            points.setdefault(dataset, []).append(point)
    count = sum(map(len, points.values()))
    if count < 2:
        return None
    alt = (
        f"Final test accuracy of {count} scenarios over the mean Jensen-Shannon distance between "
        "the labels of two clients."
    )

    def draw(axes: Axes) -> None:
        for place, (dataset, places) in enumerate(points.items()):
            axes.plot(
                [x for x, _, _ in places],
                [y for _, y, _ in places],
                color=SERIES[place % len(SERIES)],
                marker=_MARKERS[(place + place // len(SERIES)) % len(_MARKERS)],
                ls="",
                ms=5,
                alpha=0.85,
                mew=0,
                label=dataset,
            )
        axes.set(xlabel=_X, ylabel=_Y, xlim=(-0.02, 1.02), ylim=(0, 1.02))
        # Beside the axes, as points may be anywhere on them.
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8 if len(points) < 15 else 5)

    chart = Points(_X, _Y, points)
    return Picture(alt, draw, chart, width=7.4, height=3.2, right=1.4)
