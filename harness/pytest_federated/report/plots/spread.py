"""Accuracy against heterogeneity, all scenarios of a report."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

from pytest_federated.metrics.measure import headline
from pytest_federated.report.plots.plot import overview_plots
from pytest_federated.report.plots.style import SERIES, Picture
from pytest_federated.results.record import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "os^Dvp"


@overview_plots("accuracy-by-heterogeneity")
def accuracy_by_heterogeneity(results: Sequence[Result]) -> Optional[Picture]:
    """A point for each scenario, its final accuracy (mean over seeds) over its label distance.

    None with fewer than two such scenarios.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        distances = [h.heterogeneity.jensen_shannon for h in result.histories if h.heterogeneity]
        accuracies = headline().by_seed(result)
        if distances and accuracies:
            dataset = result.settings["data"]["dataset"]["kind"]
            point = statistics.fmean(distances), statistics.fmean(accuracies)
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
                [x for x, _ in places],
                [y for _, y in places],
                color=SERIES[place % len(SERIES)],
                marker=_MARKERS[place % len(_MARKERS)],
                ls="",
                ms=5,
                alpha=0.85,
                mew=0,
                label=dataset,
            )
        axes.set(
            xlabel="Jensen-Shannon distance of labels between clients",
            ylabel="final test accuracy",
            xlim=(-0.02, 1.02),
            ylim=(0, 1.02),
        )
        axes.legend(loc="lower left", fontsize=8)

    return Picture(alt, draw, width=6, height=3.2)
