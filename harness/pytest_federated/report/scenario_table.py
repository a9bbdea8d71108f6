"""The table of scenarios on a page: narrow enough that nothing of it is out of view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_federated.core.text import distinct, shortened
from pytest_federated.report.markup import escape, table
from pytest_federated.report.outcomes import against_baseline, is_bad, is_undecided, sign
from pytest_federated.report.tables.summary import (
    algorithm_cell,
    headline_cell,
    headline_column,
    split_cell,
)
from pytest_federated.results.record import Result

NAME = 56  # characters of a scenario's name
_SETTING = 40


def scenario_table(
    results: Sequence[Result], links: Mapping[str, str], *, with_settings: bool = False
) -> str:
    """Returns a row for each scenario: its verdict, its result, and its name as a link.

    Before the name how it compares with its baseline, if one of them was compared; after it the
    split and the algorithm if they are asked for. The name comes late as it is what is long: on a
    phone, what is to the right of it is out of view.
    """
    names = dict(zip((r.id for r in results), distinct([r.id for r in results], NAME)))
    columns: dict[str, Callable[[Result], str]] = {
        "": marked,
        headline_column(results): lambda result: escape(headline_cell(result)),
    }
    if any(result.compared for result in results):
        columns["baseline"] = against_baseline
    columns["scenario"] = lambda result: linked(result, links, names[result.id])
    if with_settings:
        columns["split"] = lambda result: escape(shortened(split_cell(result), _SETTING))
        columns["algorithm"] = lambda result: escape(shortened(algorithm_cell(result), _SETTING))
    rows = [[cell(result) for cell in columns.values()] for result in results]
    return table(rows, list(columns), ["left", "right", *["left"] * (len(columns) - 2)])


def marked(result: Result) -> str:
    """Returns the outcome, in bold if somebody should look at it."""
    return f"**{sign(result)}**" if is_bad(result) or is_undecided(result) else sign(result)


def linked(result: Result, links: Mapping[str, str], name: str = "") -> str:
    """Returns the scenario's name or a shorter one, as a link if there is a target."""
    text = escape(name or shortened(result.id, NAME))
    return f"[{text}]({links[result.id]})" if result.id in links else text
