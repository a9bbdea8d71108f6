"""The registries of plots: of one scenario each, and of all scenarios of a report together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Protocol

from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.report.plots.style import Picture
from pytest_federated.results.record import Result


@dataclass(frozen=True)
class PlotSpec(Spec):
    """The traits of a plot.

    Attributes:
        place: among the plots of a scenario, the lowest first.

    """

    place: int = 0


class ScenarioPlot(Protocol):
    """Plots one result."""

    def __call__(self, result: Result, /) -> Optional[Picture]:
        """The picture; None where the record does not hold what it shows."""
        ...


class OverviewPlot(Protocol):
    """Plots all results of a report."""

    def __call__(self, results: Sequence[Result], /) -> Optional[Picture]:
        """The picture; None where there is too little to show."""
        ...


# Functions of a result; the name is the end of the file's name, as in ``digits-iid.labels.svg``.
scenario_plots = Registry("plot of a scenario", ScenarioPlot, PlotSpec, package=__package__)

# Functions of all results; the name is that of the file, as in ``accuracy-by-heterogeneity.svg``.
overview_plots = Registry("plot of a report", OverviewPlot, PlotSpec, package=__package__)


def plot_kinds() -> list[str]:
    """The names of the plots of a scenario, in their places."""
    return sorted(scenario_plots.names(), key=lambda name: scenario_plots[name].spec.place)


def draw_scenario(result: Result) -> dict[str, Picture]:
    """The pictures of a scenario, by the name of the plot, of what the record holds."""
    drawn = {kind: scenario_plots[kind].function(result) for kind in plot_kinds()}
    return {kind: picture for kind, picture in drawn.items() if picture is not None}


def draw_overviews(results: Sequence[Result]) -> dict[str, Picture]:
    """The pictures of all scenarios together, by file name."""
    trained = [result for result in results if result.histories]
    drawn = {f"{n}.svg": overview_plots[n].function(trained) for n in overview_plots.names()}
    return {name: picture for name, picture in drawn.items() if picture is not None}
