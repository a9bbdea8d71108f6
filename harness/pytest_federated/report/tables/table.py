"""The registry of the tables in a scenario's section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.results.record import Result


class Table(NamedTuple):
    """Rows of cells as text; both parts are empty where there is nothing to show."""

    rows: list[list[str]]
    columns: list[str]


EMPTY = Table([], [])


@dataclass(frozen=True)
class TableSpec(Spec):
    """The traits of a table.

    Attributes:
        place: among the tables of a section, the lowest first.

    """

    place: int = 0


class TableOfResult(Protocol):
    """Makes a table of one result."""

    def __call__(self, result: Result, /) -> Table:
        """The table; empty where the record does not hold what it shows."""
        ...


tables = Registry("report table", TableOfResult, TableSpec, package=__package__)


def scenario_tables(result: Result) -> list[Table]:
    """The tables of a scenario's section, in their places; those with nothing to show left out."""
    entries = sorted((tables[name] for name in tables.names()), key=lambda e: e.spec.place)
    shown = (entry.function(result) for entry in entries)
    return [table for table in shown if table.rows]
