"""How the metrics of one scenario differ from its baseline."""

from __future__ import annotations

from pytest_federated.report.tables.cells import figure, signed
from pytest_federated.results.record import Compared, Result


def compared_columns(result: Result) -> list[str]:
    """The columns of `compared_rows`; they say how many pairs of seeds there are."""
    pairs = max((c.pairs for c in result.compared), default=0)
    of_pairs = f"{pairs} pairs, 95 %" if pairs > 1 else "95 %"
    return ["metric", "baseline", "now", f"difference ({of_pairs})", "margin", "verdict"]


def compared_rows(result: Result) -> list[list[str]]:
    """One row a metric: both means, their difference with its interval, the margin, the verdict."""
    return [
        [
            c.metric,
            figure(c.before),
            figure(c.now),
            _difference(c),
            figure(c.margin, 2),
            _verdict(c),
        ]
        for c in result.compared
        if c.before is not None
    ]


def unlike_line(compared: Compared) -> str:
    """A metric that is not as in the baseline, in a few words: ``accuracy 0.41, baseline 0.9``."""
    if compared.before is None:
        return f"{compared.metric} {compared.note}"
    now = compared.note if compared.now is None else figure(compared.now)
    return f"{compared.metric} {now}, baseline {figure(compared.before)}"


def _difference(compared: Compared) -> str:
    if compared.now is None or compared.before is None:
        return compared.note
    difference = signed(compared.now - compared.before)
    if compared.low is None or compared.high is None:
        return f"{difference} (one seed)"
    return f"{difference} ({signed(compared.low)} to {signed(compared.high)})"


def _verdict(compared: Compared) -> str:
    verdict = compared.change if compared.passed else compared.change.upper()
    if compared.more_seeds:
        return f"{verdict} ({compared.more_seeds} more seed(s))"
    return verdict
