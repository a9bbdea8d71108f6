"""The summary of a job on GitHub."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_federated.report.markup import MARKDOWN, escape
from pytest_federated.report.outcomes import verdict_counts
from pytest_federated.report.tables.summary import summary_columns, summary_row
from pytest_federated.report.tables.verdicts import VERDICT_COLUMNS, verdict_rows
from pytest_federated.results.record import Result


def step_summary(results: Sequence[Result]) -> str:
    """Returns Markdown for the file of GITHUB_STEP_SUMMARY: all scenarios, and what was missed."""
    blocks = ["## Federated scenarios", f"**{verdict_counts(results)}**"]
    rows = [[escape(cell) for cell in summary_row(r)] for r in results]
    blocks.append(MARKDOWN.table(rows, summary_columns(results)))
    if unreached := [r.id for r in results if r.status == "not reached"]:
        blocks += ["### Not reached", escape(", ".join(unreached))]
    for result in results:
        if result.status in ("passed", "reported", "not reached"):
            continue
        blocks.append(f"### {escape(result.id)}: {result.status}")
        if result.reason:
            blocks.append(escape(result.reason))
        if rows := [[escape(cell) for cell in row] for row in verdict_rows(result)]:
            blocks.append(MARKDOWN.table(rows, VERDICT_COLUMNS))
    return "\n\n".join(blocks) + "\n\n"
