"""The pictures of single scenarios, by the names of their files."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_federated.report.plots.plot import draw_scenario, plot_kinds
from pytest_federated.report.plots.style import Picture
from pytest_federated.results.record import Result
from pytest_federated.results.store import file_name

PLOTS = "plots"


def plots(results: Sequence[Result]) -> dict[str, Picture]:
    """Returns the pictures of scenarios, by file name; without data there is no picture."""
    return {
        plot_name(result, kind): picture
        for result in results
        if result.histories
        for kind, picture in draw_scenario(result).items()
    }


def plot_names(result: Result) -> list[str]:
    """Returns the file names of the pictures that a scenario may have, in their order."""
    return [plot_name(result, kind) for kind in plot_kinds()]


def plot_name(result: Result, kind: str) -> str:
    """Returns the file name of a scenario's picture of that kind."""
    return f"{file_name(result.id).removesuffix('.json')}.{kind}.svg"
