"""The registry of the tables in a scenario's section."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from pytest_federated.registry.registry import Registry
from pytest_federated.results.record import Result


class Table(NamedTuple):
    """Rows of cells as text; both parts are empty where there is nothing to show."""

    rows: list[list[str]]
    columns: list[str]


EMPTY = Table([], [])


class _Tables(Registry[Callable[[Result], Table]]):
    def __call__(self, name: str, **traits: Any) -> Callable[[Any], Any]:
        return super().__call__(name, **traits)


tables = _Tables("report table", package=__package__)


def scenario_tables(result: Result) -> list[Table]:
    """The tables of a scenario's section, in their places; those with nothing to show left out."""
    entries = sorted((tables[name] for name in tables.names()), key=lambda e: e.traits["place"])
    made = (entry.function(result) for entry in entries)
    return [table for table in made if table.rows]
