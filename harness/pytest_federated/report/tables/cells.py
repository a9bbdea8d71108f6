"""Numbers and tables as text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Optional

from tabulate import tabulate

from pytest_federated.metrics.statistics import summarize


def figure(value: Optional[float], digits: int = 4) -> str:
    """A number with at most `digits` significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation (n - 1), as ``0.953 ± 0.012``."""
    if not values:
        return "–"
    if not all(math.isfinite(v) for v in values):
        return "not finite"
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def interval(values: Sequence[float]) -> str:
    """Mean and half the width of its 95 % interval, as ``0.953 ± 0.012``."""
    if not values:
        return "–"
    if not all(math.isfinite(v) for v in values):
        return "not finite"
    summary = summarize(values)
    mean = f"{summary.mean:.3f}"
    return mean if summary.high is None else f"{mean} ± {summary.high - summary.mean:.3f}"


def signed(value: Optional[float]) -> str:
    """A number with its sign, three digits; a dash where there is none."""
    return "–" if value is None else f"{value:+.3g}"


def plain_table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
    """A table for the terminal."""
    return tabulate(rows, columns, tablefmt="simple", disable_numparse=True)
