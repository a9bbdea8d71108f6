"""The verdicts on one scenario."""

from __future__ import annotations

import re
from typing import Optional

from pytest_federated.core.text import shortened
from pytest_federated.report.tables.cells import figure, signed
from pytest_federated.report.tables.clients import worst_of_seeds
from pytest_federated.results.record import Result, Verdict

# What `expected_text` writes: bounds, and other keys in parentheses.
_BOUNDS = re.compile(r"(?:(?P<side>[<>])= (?P<bound>\S+)|(?P<low>\S+) to (?P<high>\S+))( \(.*\))?")

_EXPECTED = 60  # columns of what is expected, which may name a variant

VERDICT_COLUMNS = ("expectation", "expected", "measured", "95 % interval", "margin", "verdict")


def verdict_rows(result: Result) -> list[list[str]]:
    """One row an expectation: expected, measured, interval of the mean, margin, verdict."""
    return [
        [
            v.expectation,
            shortened(v.expected, _EXPECTED),
            _measured(v),
            _interval(v),
            signed(v.margin),
            decision(v),
        ]
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
    """A missed expectation in a few words: ``accuracy 0.61 < 0.9``.

    With the client, if it is of the worst: ``worst_client_accuracy 0.4 (ward-3) < 0.5``. What is
    not a bound, or is one that the mean itself keeps: ``accuracy 0.91, expected >= 0.9``.
    """
    certainty = " (inconclusive)" if verdict.outcome == "inconclusive" else ""
    client = worst_of_seeds(result, verdict)
    of_client = f" ({client})" if client else ""
    if missed := _missed_bound(verdict):
        measured, bound = missed
        return f"{verdict.expectation} {measured}{of_client} {bound}{certainty}"
    measured = f"{_measured(verdict)}{of_client}"
    return f"{verdict.expectation} {measured}, expected {verdict.expected}{certainty}"


def _missed_bound(verdict: Verdict) -> Optional[tuple[str, str]]:
    """Returns a mean, in as many digits as show the difference, and the bound that it misses."""
    bounds = _BOUNDS.fullmatch(verdict.expected)
    if bounds is None or verdict.measured is None:
        return None
    try:
        low = float(bounds["low"] or (bounds["bound"] if bounds["side"] == ">" else "-inf"))
        high = float(bounds["high"] or (bounds["bound"] if bounds["side"] == "<" else "inf"))
    except ValueError:  # an expectation of the user's own, which says something else
        return None
    for digits in range(4, 18):
        shown = figure(verdict.measured, digits)
        if float(shown) < low:
            return shown, f"< {low:g}{bounds[5] or ''}"
        if float(shown) > high:
            return shown, f"> {high:g}{bounds[5] or ''}"
    return None


def _measured(verdict: Verdict) -> str:
    return verdict.note if verdict.measured is None else figure(verdict.measured)


def _interval(verdict: Verdict) -> str:
    if verdict.low is None or verdict.high is None:
        return "–"
    return f"{figure(verdict.low)} to {figure(verdict.high)}"
