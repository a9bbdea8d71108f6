"""One scenario to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pytest_federated.scenario.schema import Scenario


class Point(NamedTuple):
    """A point of the grid of a scenario that is tuned.

    Attributes:
        values: by dotted key.
        scenario: with these values.

    """

    values: Mapping[str, Any]
    scenario: Scenario


@dataclass(frozen=True)
class Case:
    """One scenario to run: a document of a file, a variant of its matrix, or one from Python.

    Attributes:
        scenario: what to run; where it is tuned, the first point of the grid.
        variant: the part of the id in brackets, empty without a matrix.
        file: the file, as passed to `loader.load_file`; empty for a scenario written in Python.
        line: first line of its document, from 1; 0 without a file.
        matrix: the values of the variant by dotted key.
        siblings: all variants of the document's matrix, this one too; empty without a matrix.
        points: what is tried where it is tuned, by name, such as ``learning_rate=0.1``. A scenario
            from Python has its own, see `points.points_of`.

    """

    scenario: Scenario
    variant: str = ""
    file: Path = Path()
    line: int = 0
    matrix: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    siblings: Mapping[str, Scenario] = field(default_factory=dict, compare=False, repr=False)
    points: Mapping[str, Point] = field(default_factory=dict, compare=False, repr=False)

    @property
    def id(self) -> str:
        """The name and the variant, as in ``digits-label-skew[alpha=0.1]``."""
        return self.scenario.id(self.variant)

    def checkpoint_name(self, point: str = "") -> str:
        """What stands for the scenario, or a point of its grid, among checkpoints."""
        return f"{self.id} {point}" if point else self.id

    @property
    def checkpoint_names(self) -> list[str]:
        """All names that checkpoints of it may have."""
        return [self.id, *map(self.checkpoint_name, self.points)]
