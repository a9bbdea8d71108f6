"""Formats measurements as Markdown tables with ratios: a shared machine's seconds mean little."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import sides
from figures import Figures, Floor, Overhead
from tabulate import tabulate
from workloads import GROWTH


def rounds(figures: Sequence[Figures]) -> str:
    """Returns one table of all sides on all workloads."""
    rows: list[list[Any]] = []
    for work in dict.fromkeys(f.work for f in figures):
        of_work = [f for f in figures if f.work == work]
        measured = {f.side: f for f in of_work if not f.missing}
        limit = measured.get(sides.PLAIN if work.is_cnn else sides.NUMPY)
        packed = measured.get(sides.PACKED)
        for f in of_work:
            if f.missing:
                rows.append([f.work, f.side, f.missing])
                continue
            rows.append(
                [
                    f.work,
                    f.side,
                    f"{f.first_result:.1f}",
                    f"{f.seconds:.3f}",
                    f"{f.seconds / limit.seconds:.2f}" if limit else "",
                    f"{f.seconds / packed.seconds:.2f}" if packed else "",
                    f"{f.work.cohort / f.seconds:,.0f}",
                    f"{f.memory:,.0f}",
                    "the first" if f.differs is None else f"{f.differs:.0e} ({f.compared})",
                ]
            )
    columns = ["work", "side", "first result, s", "a round, s", "x limit", "x packed"]
    return _table(rows, [*columns, "clients a second", "peak, MiB", "weights differ by (rounds)"])


def errors(figures: Sequence[Figures]) -> list[str]:
    """Returns a line for each side that did not do the same work."""
    return [
        f"**ERROR**: {f.work}: the weights of {f.side} differ by {f.differs:.2g} after "
        f"{f.compared} rounds, which is more than rounding: it does not do the same work."
        for f in figures
        if f.is_wrong
    ]


def overheads(measured: Sequence[Overhead]) -> str:
    """Returns a table of what pytest-federated adds to the TFF computation that it runs."""
    rows = [
        [
            o.work,
            o.side,
            f"{statistics.median(o.own):.4f}",
            f"{statistics.median(o.bare):.4f}",
            f"{o.percent(o.bare):+.1f} %",
            f"{statistics.median(o.ready):.4f}",
            f"{o.percent(o.ready):+.1f} %",
            len(o.own),
        ]
        for o in measured
    ]
    columns = ["work", "side", "a round, s", "bare loop, s", "overhead"]
    return _table(rows, [*columns, "learning.next alone, s", "over that", "rounds of each"])


def floors(measured: Sequence[Floor]) -> str:
    """Returns a table of what packed rounds are made of, least and median of the rounds, in ms."""
    rows = [
        [
            floor.work,
            side,
            *(
                f"{1000 * of(times):.1f}"
                for times in zip(*rounds)
                for of in (min, statistics.median)
            ),
            len(rounds),
        ]
        for floor in measured
        for side, rounds in floor.rounds.items()
    ]
    columns = ["work", "side", "least, ms", "median, ms", "processor time, least, ms"]
    return _table(rows, [*columns, "median, ms", "rounds"])


def growth(measured: Sequence[Figures]) -> str:
    """Returns a table of how figures grow with clients, examples and the model's size."""
    of_work = {f.work: f for f in measured if not f.missing}
    rows = []
    for what, works in GROWTH.items():
        found = {value: of_work[work] for value, work in works.items() if work in of_work}
        if not found:
            continue
        first = next(iter(found.values()))
        for value, f in found.items():
            rows.append(
                [
                    what,
                    f"{value:,}",
                    f"{f.first_result:.1f}",
                    f"{f.first_result / first.first_result:.2f}",
                    f"{f.seconds:.3f}",
                    f"{f.seconds / first.seconds:.2f}",
                    f"{f.memory:,.0f}",
                    f"{f.memory / first.memory:.2f}",
                ]
            )
        rows[-1].append(f"{_power([*found], [f.seconds for f in found.values()]):.2f}")
    columns = ["with", "value", "first result, s", "x", "a round, s", "x", "peak, MiB", "x"]
    return _table(rows, [*columns, "a round grows by the power"])


def _power(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Returns the slope of log seconds over log size: 1 if twice the size takes twice the time."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]) if len(sizes) > 1 else math.nan


def _table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> str:
    return tabulate(rows, columns, tablefmt="github", disable_numparse=True)
