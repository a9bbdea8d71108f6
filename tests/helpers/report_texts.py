"""The Markdown of a report, for tests of what it shows."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_federated.report.layout import INDEX
from pytest_federated.report.pages import report
from pytest_federated.results.record import Result


def whole_report(results: Sequence[Result]) -> str:
    """Returns the text of all pages, the first one first."""
    texts = report(results)
    return "\n".join([texts.pop(INDEX), *texts.values()])


def first_page(results: Sequence[Result]) -> str:
    """Returns the text of the first page, which has a row for each scenario."""
    return report(results)[INDEX]


def only_page(results: Sequence[Result]) -> str:
    """Returns the text of the page with the sections of scenarios, if there is just one."""
    (page,) = (text for name, text in report(results).items() if name != INDEX)
    return page
