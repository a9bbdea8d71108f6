"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_federated.core.ordering import natural
from pytest_federated.core.text import shortened
from pytest_federated.report.comparison.page import html_comparison
from pytest_federated.report.markup import anchors
from pytest_federated.report.outcomes import (
    TITLE,
    against_baseline,
    better,
    headline_reason,
    is_bad,
    is_undecided,
    legend,
    provenance,
    sign,
    verdict_counts,
    why_bad,
    why_undecided,
)
from pytest_federated.report.plots.plot import draw_overviews, draw_scenario
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.tables.fitting import ROWS, bounded, every_nth
from pytest_federated.report.tables.rounds import by_round, round_table
from pytest_federated.report.tables.settings import settings_rows
from pytest_federated.report.tables.summary import headline_column, summary_columns, summary_row
from pytest_federated.report.tables.table import Table, scenario_tables
from pytest_federated.report.tables.verdicts import VERDICT_COLUMNS, verdict_rows
from pytest_federated.report.tuned import tuned_text, tuning_remarks, tuning_warnings
from pytest_federated.results.record import Result

# Rounds of all scenarios together that are shown; of a scenario no fewer than the second figure.
# So a page of a thousand scenarios is no larger than one of a hundred.
_ROUNDS, _FEWEST = 20_000, 20
_LONGEST = 300  # characters of a text that others wrote
_FEW = ("heterogeneity", "rounds to target", "clients", "rounds", "seeds", "split", "algorithm")
_OF_TEXT = ("baseline", "split", "algorithm")


def page(results: Sequence[Result]) -> str:
    """Returns the whole page; the same text for the same results.

    What failed comes first. Rows can be sorted and filtered, and open to the details of a scenario,
    which the page draws from its data when they are asked for. It has the reader's scheme, light or
    dark, and loads nothing.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pytest_federated.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "allow_nan": False,
        "ensure_ascii": False,
        "separators": (",", ":"),
    }
    in_order = sorted(results, key=lambda r: (_rank(r), natural(r.id)))
    fragments = anchors([TITLE, *(r.id for r in in_order)])
    cells = [_cells(result) for result in in_order]
    columns = _columns(in_order, cells)
    data = _Data(in_order, fragments)
    return environment.get_template("page.html.j2").render(
        title=TITLE,
        counts=verdict_counts(results),
        groups=Counter(map(_group, in_order)),
        legend=legend(results),
        columns=columns,
        rows=[_row(r, fragments[r.id], columns, of) for r, of in zip(in_order, cells)],
        comparison=html_comparison(sorted(results, key=lambda r: natural(r.id))),
        provenance=provenance(results),
        data=data.of_page(),
    )


def _rank(result: Result) -> int:
    """Returns the place of a scenario's outcome: what somebody should look at comes first."""
    if is_bad(result):
        return 0
    if is_undecided(result):
        return 1
    return 2 if result.status in ("passed", "reported") else 3


def _group(result: Result) -> str:
    return "undecided" if is_undecided(result) else result.status


def _columns(results: Sequence[Result], cells: Sequence[Mapping[str, str]]) -> list[str]:
    """Returns the columns after the verdict and the name, without those that are empty."""
    first = [headline_column(results)]
    compared = ["baseline"] if any(result.compared for result in results) else []
    filled = {name for of_row in cells for name, cell in of_row.items() if cell != "–"}
    return [*first, *compared, *(name for name in _FEW if name in filled)]


def _cells(result: Result) -> dict[str, str]:
    """Returns what a scenario's row may show, by column."""
    cells = dict(zip(summary_columns([result]), summary_row(result)))
    return {**cells, "baseline": against_baseline(result)}


def _row(
    result: Result, fragment: str, columns: Sequence[str], of_row: Mapping[str, str]
) -> dict[str, Any]:
    # The first column is that of the metric, whatever it is called on a page with others.
    cells = {**of_row, columns[0]: of_row[headline_column([result])]}
    why = why_bad(result) or why_undecided(result) or result.reason
    return {
        "id": result.id,
        "fragment": fragment,
        "rank": _rank(result),
        "group": _group(result),
        "sign": sign(result),
        "why": shortened(why, _LONGEST) or (better(result) and f"better: {better(result)}"),
        "cells": [(cells[name], name in _OF_TEXT, name in _FEW) for name in columns],
    }


class _Data:
    """What the page draws from, without saying anything twice."""

    def __init__(self, results: Sequence[Result], fragments: Mapping[str, str]) -> None:
        self._results, self._fragments = results, fragments
        self._most = min(ROWS, max(_FEWEST, _ROUNDS // max(1, len(results))))
        self._settings: dict[tuple[str, str], int] = {}

    def of_page(self) -> dict[str, Any]:
        """Returns the data of all scenarios and of the page."""
        overviews = draw_overviews(self._results)
        scenarios = {self._fragments[r.id]: self._details(r) for r in self._results}
        return {
            "fragments": {r.id: self._fragments[r.id] for r in self._results},
            "overviews": [self._chart(picture) for picture in overviews.values()],
            "scenarios": scenarios,
            "settings": list(self._settings),
        }

    def _details(self, result: Result) -> dict[str, Any]:
        if not result.is_shown:
            return {"reason": result.reason}
        *names, verdict = VERDICT_COLUMNS
        verdicts = [[decided, *cells] for *cells, decided in verdict_rows(result)]
        tables = [_table(whole) for whole in scenario_tables(result)]
        if verdicts:
            tables.insert(0, _table(Table(verdicts, [verdict, *names])))
        details = {
            "description": result.settings["description"],
            "reason": headline_reason(result),
            **_tuning(result),
            "tables": tables,
        }
        if not result.histories:
            return details
        rounds, step = every_nth(list(by_round(result)), self._most)
        return {
            **details,
            "charts": [self._chart(picture) for picture in draw_scenario(result).values()],
            "settings": [self._setting(k, v) for k, v in settings_rows(result)],
            "rounds": {**_table(round_table(result, rounds)), "step": step},
        }

    def _setting(self, name: str, value: str) -> int:
        """Returns the number of a setting, which scenarios have in common."""
        return self._settings.setdefault((name, shortened(value, _LONGEST)), len(self._settings))

    def _chart(self, picture: Picture) -> dict[str, Any]:
        if picture.chart is None:
            source = base64.b64encode(picture.svg().encode()).decode()
            chart = {"kind": "image", "source": f"data:image/svg+xml;base64,{source}"}
        else:
            chart = picture.chart.limited(self._most).data()
        return {"alt": picture.alt, **chart}


def _tuning(result: Result) -> dict[str, str]:
    """Returns how a scenario was tuned, if it was."""
    texts = [tuned_text(result), *tuning_warnings(result), *tuning_remarks(result)]
    return {"tuning": " ".join(texts)} if texts[0] else {}


def _table(whole: Table) -> dict[str, Any]:
    shown, more = bounded(whole)
    return {"columns": shown.columns, "rows": shown.rows, "more": more}
