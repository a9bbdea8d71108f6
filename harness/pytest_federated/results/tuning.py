"""How a scenario was tuned: the points of its grid, with the figures by which one was chosen."""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional, Union, cast

from pydantic import BaseModel, ConfigDict

from pytest_federated.core.grids import varied_by
from pytest_federated.core.schema import Figure

Number = Union[int, float]


class GridPoint(BaseModel):
    """One point of a grid.

    Attributes:
        name: its values in short, such as ``learning_rate=0.1,momentum=0.9``.
        values: by dotted key.
        figures: by which the points are compared, one for each seed, in their order; None of a
            training that has none. There are fewer where one diverged, which ended the point.
        note: why it cannot be chosen; empty where it can.

    """

    model_config = ConfigDict(frozen=True)

    name: str
    values: dict[str, Any]
    figures: tuple[Optional[Figure], ...]
    note: str = ""

    @property
    def mean(self) -> Optional[float]:
        """The mean over seeds; None where the point cannot be chosen."""
        known = [figure for figure in self.figures if figure is not None]
        return None if self.note or not known else statistics.fmean(known)


class Tuning(BaseModel):
    """The grid of a scenario, and what was chosen.

    Attributes:
        metric: by which it was chosen, such as ``validation_accuracy``.
        over_last: over how many last rounds it is a mean; None for the last round.
        by: on which set.
        sign: 1 where more of the metric is better, -1 where less is.
        seeds: of the trainings that were compared.
        points: in the order of the grid.
        chosen: the place of the point that was chosen; None where none could be.

    """

    model_config = ConfigDict(frozen=True)

    metric: str
    over_last: Optional[int] = None
    by: Literal["validation", "test"]
    sign: Literal[1, -1]
    seeds: tuple[int, ...]
    points: tuple[GridPoint, ...]
    chosen: Optional[int] = None

    @property
    def best(self) -> Optional[GridPoint]:
        """The point that was chosen."""
        return None if self.chosen is None else self.points[self.chosen]

    @property
    def keys(self) -> list[str]:
        """The dotted keys that were tuned."""
        return list(self.points[0].values)

    @property
    def trainings(self) -> int:
        """How many trainings were compared."""
        return sum(len(point.figures) for point in self.points)

    @property
    def ties(self) -> list[GridPoint]:
        """The other points that are as good as the chosen one, and come later."""
        if self.best is None:
            return []
        return [p for p in self.points if p is not self.best and p.mean == self.best.mean]

    @property
    def edges(self) -> list[str]:
        """Says of each key which value at the edge of those tried was chosen, see `is_at_edge`."""
        if self.best is None:
            return []
        edges: list[str] = []
        for key in self.keys:
            values = [point.values[key] for point in self.points]
            chosen = self.best.values[key]
            if is_at_edge(chosen, values):
                low, high = min(values), max(values)
                which = "smallest" if chosen == low else "largest"
                edges.append(f"{key} {chosen} is the {which} that was tried ({low} to {high})")
        return edges

    @property
    def unfit(self) -> list[GridPoint]:
        """The points that could not be chosen."""
        return [point for point in self.points if point.mean is None]

    @property
    def notes(self) -> str:
        """Why each of the points that could not be chosen could not."""
        return "; ".join(f"{point.name}: {point.note}" for point in self.unfit)


def best_place(points: tuple[GridPoint, ...], sign: int) -> Optional[int]:
    """Returns the place of the best point, the first of several; None where none has a mean."""
    means = {place: mean for place, p in enumerate(points) if (mean := p.mean) is not None}
    return max(means, key=lambda place: sign * means[place], default=None)


def is_at_edge(chosen: Any, values: Sequence[Any]) -> bool:
    """Returns whether a chosen number is the smallest or the largest of those that were tried.

    So a better one may lie beyond. 0 is no edge, as there is nothing below it; nor is there one
    where not all values are numbers, or all are the same.
    """
    if not all(map(is_number, values)) or len(set(values)) < 2 or chosen == 0:
        return False
    return chosen in (min(values), max(values))


def is_number(value: object) -> bool:
    """Returns whether a value that was tuned is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def without_tuned(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings without the values of keys that are tuned: of any point the same."""
    tune: dict[str, Any] = settings.get("tune") or {}
    keys = varied_by(tune.get("keys", {}))
    if not keys:
        return dict(settings)
    rest = copy.deepcopy(dict(settings))
    for key in keys:
        *path, last = key.split(".")
        around: Any = rest
        for name in path:
            around = cast("dict[str, Any]", around).get(name) if isinstance(around, dict) else None
        if isinstance(around, dict):
            cast("dict[str, Any]", around).pop(last, None)
    return rest
