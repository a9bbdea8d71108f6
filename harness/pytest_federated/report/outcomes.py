"""What reports say of outcomes, in words that all of their formats share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_federated.metrics.measure import headline
from pytest_federated.report.tables.cells import figure
from pytest_federated.report.tables.compared import unlike_line
from pytest_federated.report.tables.verdicts import missed_line
from pytest_federated.results.record import Result, Status

TITLE, NOT_RUN = "Federated scenarios", "Not run"
_IN_ORDER: Sequence[Status] = (
    *("diverged", "errored", "failed", "not reached", "not judged"),
    *("reported", "passed", "skipped"),
)
_SIGNS = {"reported": "○", "not judged": "○", "skipped": "–", "not reached": "–"}
_CHANGES = {"worse": "▼ worse", "undecided": "≈ undecided", "better": "▲ better", "same": "same"}


def verdict_counts(results: Sequence[Result]) -> str:
    """Returns the number of scenarios of each outcome, bad ones first: ``1 failed, 35 passed``."""
    counts = Counter(result.status for result in results)
    return ", ".join(f"{counts[status]} {status}" for status in _IN_ORDER if counts[status])


def is_bad(result: Result) -> bool:
    """Returns whether a scenario failed, or has no result where it should have one."""
    return result.status in ("failed", "diverged", "errored")


def is_undecided(result: Result) -> bool:
    """Returns whether a scenario passed, and the seeds cannot tell whether it should have."""
    return result.status == "passed" and bool(_undecided(result))


def sign(result: Result) -> str:
    """Returns the outcome in short: ``✓`` if it passed, else as ``✗ failed`` or ``≈ undecided``."""
    if is_undecided(result):
        return "≈ undecided"
    return "✓" if result.status == "passed" else f"{_SIGNS.get(result.status, '✗')} {result.status}"


def why_bad(result: Result) -> str:
    """Returns why a scenario failed, in one line."""
    missed = [missed_line(result, v) for v in result.verdicts if not v.passed]
    return result.reason or "; ".join(missed)


def why_undecided(result: Result) -> str:
    """Returns what the seeds cannot tell, in one line."""
    return "; ".join(_undecided(result))


def _undecided(result: Result) -> list[str]:
    of_verdicts = [
        missed_line(result, v).removesuffix(" (inconclusive)")
        for v in result.verdicts
        if v.outcome == "inconclusive"
    ]
    return of_verdicts + [unlike_line(c) for c in result.compared if c.change == "undecided"]


def better(result: Result) -> str:
    """Returns by what a scenario is better than its baseline, in one line; empty if by nothing."""
    return "; ".join(
        f"{c.metric} {figure(c.before)} → {figure(c.now)}"
        for c in result.compared
        if c.change == "better"
    )


def against_baseline(result: Result) -> str:
    """Returns how a scenario compares with its baseline, worst first; a dash if it was not."""
    changes = [c.change for c in result.compared]
    return next((text for change, text in _CHANGES.items() if change in changes), "–")


def not_run_rows(results: Sequence[Result]) -> list[list[str]]:
    """Returns the scenarios that were skipped or not reached, and why."""
    return [
        [r.id, f"{r.reason}; shown is an earlier run" if r.is_earlier else r.reason]
        for r in results
        if r.status in ("skipped", "not reached")
    ]


def headline_reason(result: Result) -> str:
    """Returns why a scenario has another outcome than its expectations say; empty otherwise."""
    if result.is_earlier:
        return f"{result.status}: {result.reason}; what follows is of an earlier run"
    return f"errored: {result.reason}" if result.status == "errored" else result.reason


def legend(results: Sequence[Result]) -> str:
    """Says what the table of scenarios shows."""
    of_labels = any(history.has_labels for result in results for history in result.histories)
    of_heterogeneity = (
        "Heterogeneity is the mean Jensen-Shannon distance between the labels of two clients, "
        "0 (alike) to 1 (nothing in common)."
    )
    parts = [headline_legend(results), *([of_heterogeneity] if of_labels or not results else [])]
    return " ".join(parts)


def headline_legend(results: Sequence[Result]) -> str:
    """Says what the metric is that stands for a result."""
    first = headline(results).title
    return (
        f"{first[0].upper()}{first[1:]} is that of the test set after the last round, mean over "
        "seeds with its 95 % interval (Student's t)."
    )


def provenance(results: Sequence[Result]) -> str:
    """Returns the versions behind the results; empty where nothing ran."""
    versions = {name: v for r in results for name, v in r.versions.items()}
    listed = ", ".join(f"{name} {v}" for name, v in sorted(versions.items()))
    return f"Made with {listed}. Train figures are TFF's federated metrics." if listed else ""
