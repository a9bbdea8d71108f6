"""Tables, for the terminal and for Markdown alike."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, Optional

from tabulate import tabulate

from harness.results import Result, Verdict


def figure(value: Optional[float], digits: int = 4) -> str:
    """A figure with at most `digits` significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation (n - 1), as ``0.953 ± 0.012``."""
    if not values:
        return "–"
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def headline(result: Result) -> str:
    """The result in a few words, behind a PASSED or FAILED."""
    if result.status in ("diverged", "not judged", "skipped"):
        return f"({result.reason or result.status})"
    return f"(accuracy {spread(result.accuracies)})"


def verdict_table(result: Result, style: str) -> str:
    """All expectations of one scenario: expected, measured, margin, verdict."""
    return tabulate(
        [
            [v.expectation, v.expected, _measured(v), _signed(v.margin), word(v.passed)]
            for v in result.verdicts
        ],
        ["expectation", "expected", "measured", "margin", "verdict"],
        tablefmt=style,
        disable_numparse=True,
    )


def missed_line(verdict: Verdict) -> str:
    """A missed expectation in a few words: ``accuracy 0.88, expected >= 0.9``."""
    return f"{verdict.expectation} {_measured(verdict)}, expected {verdict.expected}"


def summary_table(results: Sequence[Result], style: str) -> str:
    """One row a scenario."""
    return tabulate(
        [summary_row(r) for r in results],
        [
            "scenario",
            "clients",
            "split",
            "algorithm",
            "rounds",
            "seeds",
            "accuracy",
            "loss",
            "verdict",
        ],
        tablefmt=style,
        disable_numparse=True,
    )


def summary_row(result: Result) -> list[str]:
    """Scenario, clients, split, algorithm, rounds, seeds, accuracy, loss, verdict."""
    training, clients = result.settings["training"], result.settings["clients"]
    count = (
        len(result.histories[0].client_examples) if result.histories else clients["count"] or "all"
    )
    losses = [h.evaluated[-1].loss for h in result.histories if h.evaluated]
    return [
        result.id,
        str(count),
        choice(clients["split"]),
        choice(training["algorithm"]),
        str(training["rounds"]),
        str(len(result.settings["seeds"])),
        spread(result.accuracies),
        spread([x for x in losses if isinstance(x, float)]),
        result.status,
    ]


def choice(chosen: dict[str, Any]) -> str:
    """A choice and its parameters, as ``dirichlet (alpha 0.5)``; the framework's own left out."""
    shown = {
        k: v
        for k, v in chosen.items()
        if k not in ("kind", "min_examples") and v not in (None, {}, [])
    }
    inner = ", ".join(f"{k} {_plain(v)}" for k, v in shown.items())
    return f"{chosen['kind']} ({inner})" if inner else chosen["kind"]


def _plain(value: Any) -> str:
    return "-".join(str(v) for v in value) if isinstance(value, list) else str(value)


def _measured(verdict: Verdict) -> str:
    if verdict.measured is None:
        return verdict.note
    shown = figure(verdict.measured)
    return f"{shown} ± {figure(verdict.spread, 2)}" if verdict.spread is not None else shown


def _signed(value: Optional[float]) -> str:
    return "–" if value is None else f"{value:+.3g}"


def word(passed: bool) -> str:
    """A verdict in one word."""
    return "pass" if passed else "FAIL"
