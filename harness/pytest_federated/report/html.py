"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_federated.report.markup import anchors
from pytest_federated.report.outcomes import (
    NOT_RUN,
    TITLE,
    headline_reason,
    legend,
    not_run_rows,
    provenance,
    verdict_counts,
)
from pytest_federated.report.pictures import plot_names, plots
from pytest_federated.report.plots.plot import draw_overviews
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.tables.rounds import round_table
from pytest_federated.report.tables.settings import settings_rows
from pytest_federated.report.tables.summary import summary_columns, summary_row
from pytest_federated.report.tables.table import EMPTY, scenario_tables
from pytest_federated.report.tables.verdicts import VERDICT_COLUMNS, verdict_rows
from pytest_federated.results.record import Result


def page(results: Sequence[Result]) -> str:
    """Returns the whole page; the same text for the same results.

    A click on a heading sorts a table; plots are embedded, and the colors follow the reader's
    scheme, light or dark.
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
    environment.filters["is_figure"] = _is_figure
    shown = [r for r in results if r.is_shown]
    names, pictures = anchors(_headings(results)), plots(results)
    return environment.get_template("page.html.j2").render(
        title=TITLE,
        counts=verdict_counts(results),
        legend=legend(results),
        columns=summary_columns(shown),
        verdict_columns=VERDICT_COLUMNS,
        overviews=[_inline(picture) for picture in draw_overviews(results).values()],
        not_run=not_run_rows(results),
        sections=[_section(r, names[r.id], pictures) for r in shown],
        provenance=provenance(shown),
    )


def _headings(results: Sequence[Result]) -> list[str]:
    """Returns the headings of the page, in order."""
    not_run = [NOT_RUN] if not_run_rows(results) else []
    return [TITLE, *not_run, *(r.id for r in results if r.is_shown)]


def _section(result: Result, anchor: str, pictures: Mapping[str, Picture]) -> dict[str, Any]:
    return {
        "id": result.id,
        "anchor": anchor,
        "summary": summary_row(result),
        "status": result.status,
        "description": result.settings["description"],
        "reason": headline_reason(result),
        "verdicts": verdict_rows(result),
        "pictures": [_inline(pictures[n]) for n in plot_names(result) if n in pictures],
        "tables": scenario_tables(result),
        "settings": settings_rows(result) if result.histories else [],
        "rounds": round_table(result) if result.histories else EMPTY,
    }


def _inline(picture: Picture) -> dict[str, str]:
    data = base64.b64encode(picture.svg().encode()).decode()
    return {"source": f"data:image/svg+xml;base64,{data}", "alt": picture.alt}


def _is_figure(text: str) -> bool:
    """Returns whether a cell is a number, with or without an interval, or a dash for one."""
    return text == "–" or bool(
        re.match(r"[-+]?\d[\d.,]*(e[-+]?\d+)?( ±.*| to .*| of .*| \(.*\))?$", text)
    )
