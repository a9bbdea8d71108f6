"""Tables, for the terminal and for Markdown alike."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, Optional

from tabulate import tabulate

from harness.data.sizes import sizes
from harness.data.splits import splits
from harness.registry import Registry
from harness.results import Result, Verdict
from harness.training.algorithms import algorithms


def figure(value: Optional[float], digits: int = 4) -> str:
    """A figure with at most `digits` significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation (n - 1), as ``0.953 ± 0.012``."""
    if not values:
        return "–"
    if not all(math.isfinite(v) for v in values):
        return "not finite"
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def headline(result: Result) -> str:
    """The result in a few words, behind a PASSED or FAILED."""
    if result.status in ("diverged", "not judged", "skipped"):
        return f"({result.reason or result.status})"
    return f"(accuracy {spread(result.accuracies)})"


_LISTED = 12  # items of a list that are shown
VERDICT_COLUMNS = ("expectation", "expected", "measured", "95 % interval", "margin", "verdict")
SUMMARY_COLUMNS = (
    "scenario",
    "clients",
    "split",
    "algorithm",
    "rounds",
    "seeds",
    "accuracy",
    "loss",
    "verdict",
)


def verdict_rows(result: Result) -> list[list[str]]:
    """One row an expectation: expected, measured, interval of the mean, margin, verdict."""
    return [
        [v.expectation, v.expected, _measured(v), _interval(v), _signed(v.margin), decision(v)]
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


def seed_rows(result: Result) -> tuple[list[list[str]], list[str]]:
    """The figures behind the means: one row a seed, one column an expectation; and the headers.

    Empty where there is one seed, whose figures are the means.
    """
    shown = [v for v in result.verdicts if len(v.figures) > 1]
    if not shown:
        return [], []
    rows = [
        [str(history.seed), *(figure(v.figures[place]) for v in shown)]
        for place, history in enumerate(result.histories)
    ]
    return rows, ["seed", *(v.expectation for v in shown)]


def plain_table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
    """A table for the terminal."""
    return tabulate(rows, columns, tablefmt="simple", disable_numparse=True)


def missed_line(verdict: Verdict) -> str:
    """A missed expectation in a few words: ``accuracy 0.88, expected >= 0.9``."""
    certainty = " (inconclusive)" if verdict.outcome == "inconclusive" else ""
    return f"{verdict.expectation} {_measured(verdict)}, expected {verdict.expected}{certainty}"


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
        ", ".join(
            [
                choice(splits, clients["split"]),
                *([f"size {choice(sizes, clients['size'])}"] if clients.get("size") else []),
                *(f"shift {shift['kind']}" for shift in clients.get("shift", [])),
            ]
        ),
        choice(algorithms, training["algorithm"]),
        str(training["rounds"]),
        str(len(result.settings["seeds"])),
        spread(result.accuracies),
        spread([x for x in losses if isinstance(x, float)]),
        result.status,
    ]


def heterogeneity_rows(result: Result) -> list[list[str]]:
    """How non-IID the clients came out, as settings with their values: means over seeds.

    Empty for a record that is older than these figures.
    """
    found = [h.heterogeneity for h in result.histories if h.heterogeneity]
    if not found:
        return []

    def mean(name: str) -> str:
        return figure(statistics.fmean(getattr(h, name) for h in found), 3)

    rows = [
        ["Gini of sizes", mean("gini")],
        ["label entropy", f"{mean('label_entropy')} of {mean('pooled_label_entropy')} nats"],
        [
            "label distances",
            f"Jensen-Shannon {mean('jensen_shannon')}, Hellinger {mean('hellinger')}, "
            f"earth mover's {mean('earth_mover')}",
        ],
    ]
    unused = sorted({h.unused for h in found})
    told = " to ".join(map(str, sorted({unused[0], unused[-1]})))
    return [*rows, ["examples of no client", told]] if any(unused) else rows


def choice(registry: Registry[Any], chosen: dict[str, Any]) -> str:
    """A choice and its parameters, as ``dirichlet (alpha 0.5)``.

    Numbers are always shown; words, and the framework's own keys, only where they are not the
    defaults.
    """
    name = chosen["kind"]
    entry = registry.get(name)
    own = entry.keywords if entry else ()
    fields = entry.params.model_fields if entry else {}

    def is_plain(key: str) -> bool:
        value = chosen[key]
        is_number = isinstance(value, (int, float, list)) and not isinstance(value, bool)
        told = key in own and is_number
        return not told and key in fields and fields[key].default == value

    # In the order of the function: a record that was read back has its keys sorted.
    places = {key: place for place, key in enumerate(own)}
    keys = sorted((k for k in chosen if k != "kind"), key=lambda k: (places.get(k, len(own)), k))
    shown = ", ".join(f"{k} {_plain(chosen[k], registry)}" for k in keys if not is_plain(k))
    return f"{name} ({shown})" if shown else name


def _plain(value: Any, registry: Registry[Any]) -> str:
    if isinstance(value, dict) and value.get("kind") in registry:  # a choice within a choice
        return choice(registry, value)
    if isinstance(value, list) and value and isinstance(value[0], list):
        return f"of {len(value)} x {len(value[0])}"
    if isinstance(value, list):
        shown = "-".join(_plain(v, registry) for v in value[:_LISTED])
        return f"{shown}-..." if len(value) > _LISTED else shown
    return f"{value:g}" if isinstance(value, float) else str(value)


def _measured(verdict: Verdict) -> str:
    if verdict.measured is None:
        return verdict.note
    shown = figure(verdict.measured)
    return f"{shown} ± {figure(verdict.spread, 2)}" if verdict.spread is not None else shown


def _interval(verdict: Verdict) -> str:
    if verdict.low is None or verdict.high is None:
        return "–"
    return f"{figure(verdict.low)} to {figure(verdict.high)}"


def _signed(value: Optional[float]) -> str:
    return "–" if value is None else f"{value:+.3g}"
