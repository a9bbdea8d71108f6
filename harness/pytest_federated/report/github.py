"""The summary of a job on GitHub."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_federated.report.markup import MARKDOWN, escape
from pytest_federated.report.pages import verdict_counts
from pytest_federated.report.tables.summary import summary_columns, summary_row
from pytest_federated.report.tables.verdicts import VERDICT_COLUMNS, verdict_rows
from pytest_federated.results.record import Result


def step_summary(results: Sequence[Result]) -> str:
    """Markdown for the file that GITHUB_STEP_SUMMARY names: all scenarios, and what was missed."""
    parts = ["## Federated scenarios", f"**{verdict_counts(results)}**"]
    rows = [[escape(cell) for cell in summary_row(r)] for r in results]
    parts.append(MARKDOWN.table(rows, summary_columns()))
    if left := [r.id for r in results if r.status == "not reached"]:
        parts += ["### Not reached", escape(", ".join(left))]
    for result in results:
        if result.status in ("passed", "not reached"):
            continue
        parts.append(f"### {escape(result.id)}: {result.status}")
        if result.reason:
            parts.append(escape(result.reason))
        if rows := [[escape(cell) for cell in row] for row in verdict_rows(result)]:
            parts.append(MARKDOWN.table(rows, VERDICT_COLUMNS))
    return "\n\n".join(parts) + "\n\n"
