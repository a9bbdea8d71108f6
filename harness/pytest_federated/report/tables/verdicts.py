"""The verdicts on one scenario."""

from __future__ import annotations

from pytest_federated.report.tables.cells import figure, signed
from pytest_federated.report.tables.clients import worst_of_seeds
from pytest_federated.results.record import Result, Verdict

VERDICT_COLUMNS = ("expectation", "expected", "measured", "95 % interval", "margin", "verdict")


def verdict_rows(result: Result) -> list[list[str]]:
    """One row an expectation: expected, measured, interval of the mean, margin, verdict."""
    return [
        [v.expectation, v.expected, _measured(v), _interval(v), signed(v.margin), decision(v)]
        for v in result.verdicts
    ]


def decision(verdict: Verdict) -> str:
    """What a verdict says: ``pass``, ``FAIL``, and whether that is certain."""
    if verdict.outcome == "not judged":
        return "–"
    decided = "pass" if verdict.passed else "FAIL"
    if verdict.outcome != "inconclusive":
        return decided
    more = f"; {verdict.more_seeds} more seed(s)" if verdict.more_seeds else ""
    return f"{decided} (inconclusive{more})"


def missed_line(result: Result, verdict: Verdict) -> str:
    """A missed expectation in a few words: ``accuracy 0.88, expected >= 0.9``.

    With the client, if it is of the worst: ``worst_client_accuracy 0.4 (ward-3), expected >= 0.5``.
    """
    certainty = " (inconclusive)" if verdict.outcome == "inconclusive" else ""
    client = worst_of_seeds(result, verdict)
    measured = f"{_measured(verdict)} ({client})" if client else _measured(verdict)
    return f"{verdict.expectation} {measured}, expected {verdict.expected}{certainty}"


def _measured(verdict: Verdict) -> str:
    return verdict.note if verdict.measured is None else figure(verdict.measured)


def _interval(verdict: Verdict) -> str:
    if verdict.low is None or verdict.high is None:
        return "–"
    return f"{figure(verdict.low)} to {figure(verdict.high)}"
