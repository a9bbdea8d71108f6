"""How a scenario was tuned, in words and as a grid."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_federated.core.text import shortened
from pytest_federated.metrics.difference import compare
from pytest_federated.metrics.measure import coarsest
from pytest_federated.metrics.metric import spec_of
from pytest_federated.report.tables.cells import figure
from pytest_federated.results.record import Result
from pytest_federated.results.tuning import GridPoint, Tuning, is_number
from pytest_federated.scenario.matrix import short_keys, value_text

_NAMED = 4  # points in a sentence
_LONGEST = 300  # characters of their names
_REASON = 80


@dataclass(frozen=True)
class Axis:
    """A key that is tuned, with its values in order: by size where all are numbers.

    Attributes:
        key: dotted.
        title: its end, if no other tuned key ends so.
        values: as the points have them, each once.
        is_number: whether all are numbers.

    """

    key: str
    title: str
    values: Sequence[Any]
    is_number: bool

    @property
    def texts(self) -> list[str]:
        """The values as text."""
        return [value_text(value) for value in self.values]


def axes_of(tuning: Tuning) -> list[Axis]:
    """Returns the keys of a grid that have several values."""
    axes: list[Axis] = []
    for key, title in zip(tuning.keys, short_keys(tuning.keys)):
        values = list({value_text(p.values[key]): p.values[key] for p in tuning.points}.values())
        of_numbers = all(map(is_number, values))
        if len(values) > 1:
            axes.append(Axis(key, title, sorted(values) if of_numbers else values, of_numbers))
    return axes


def metric_title(tuning: Tuning) -> str:
    """Returns what the points are compared by, as ``validation accuracy``."""
    return spec_of(tuning.metric).title or tuning.metric.replace("_", " ")


def point_text(tuning: Tuning, point: GridPoint) -> str:
    """Returns the values of a point, as ``learning_rate 0.1, momentum 0.9``."""
    pairs = zip(short_keys(tuning.keys), point.values.values())
    return ", ".join(f"{key} {value_text(value)}" for key, value in pairs)


def tuned_text(result: Result) -> str:
    """Returns what was chosen and by what, in a sentence; empty where nothing was."""
    tuning = result.tuning
    if tuning is None or tuning.best is None:
        return ""
    over = ["after the last round"]
    if tuning.over_last:
        over = [f"over the last {tuning.over_last} rounds"]
    if len(tuning.seeds) > 1:
        over.append(f"mean of {len(tuning.seeds)} seeds")
    return (
        f"Tuned: {point_text(tuning, tuning.best)} is the best of {len(tuning.points)} points by "
        f"{metric_title(tuning)} ({figure(tuning.best.mean)} {', '.join(over)})."
    )


def tuning_warnings(result: Result) -> list[str]:
    """Returns what makes a choice doubtful, in sentences."""
    tuning = result.tuning
    if tuning is None or tuning.best is None:
        return []
    said = [
        f"At the edge of the grid: {edge}. A better value may lie beyond." for edge in tuning.edges
    ]
    if tuning.by == "test":
        said.append(
            "Chosen on the test data, so that its figures are better than new data would give."
        )
    return said


def tuning_remarks(result: Result) -> list[str]:
    """Returns which points are as good, and which could not be chosen, in sentences."""
    tuning = result.tuning
    if tuning is None or tuning.best is None:
        return []
    said: list[str] = []
    ties = tuning.ties
    if ties:
        said.append(f"Equally good, and later in the grid: {_names(tuning, ties)}.")
    if close := [point for point in not_told(result) if point not in ties]:
        said.append(f"Not told from it by the seeds: {_names(tuning, close)}.")
    if unfit := tuning.unfit:
        first = shortened(unfit[0].note, _REASON)
        said.append(f"Could not be chosen: {_names(tuning, unfit)} ({first}).")
    return said


def not_told(result: Result) -> list[GridPoint]:
    """Returns the points that the seeds cannot tell from the chosen one (at 95 %, by pairs)."""
    tuning = result.tuning
    if tuning is None or tuning.best is None or len(tuning.seeds) < 2:
        return []
    best, spec = tuning.best, spec_of(tuning.metric)
    step = coarsest(spec, result.histories, {"over_last": tuning.over_last}).size

    def by_seed(point: GridPoint) -> dict[int, float]:
        return {s: f for s, f in zip(tuning.seeds, point.figures) if f is not None}

    return [
        point
        for point in tuning.points
        if point is not best
        and point.mean is not None
        and not compare(
            by_seed(best),
            by_seed(point),
            sign=tuning.sign,
            margin=spec.least.of(statistics.fmean(by_seed(best).values())),
            step=step,
            greatest=spec.values.width,
        ).is_beyond_noise
    ]


def _names(tuning: Tuning, points: Sequence[GridPoint]) -> str:
    names = "; ".join(point_text(tuning, point) for point in points[:_NAMED])
    more = len(points) - _NAMED
    return shortened(names, _LONGEST) + (f"; and {more} more" if more > 0 else "")


def points_in_order(tuning: Tuning) -> Iterator[GridPoint]:
    """Yields the points, the best first and those that cannot be chosen last."""
    fit = [point for point in tuning.points if point.mean is not None]
    yield from sorted(fit, key=lambda point: -tuning.sign * (point.mean or 0.0))
    yield from tuning.unfit
