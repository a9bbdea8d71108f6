"""Numbers and tables as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional

from tabulate import tabulate

from pytest_federated.core.text import significant
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.scales import Scale
from pytest_federated.metrics.statistics import summarize
from pytest_federated.results.record import Result


def figure(value: Optional[float], digits: int = 4) -> str:
    """A number with at most `digits` significant digits; a dash where there is none."""
    return "–" if value is None else significant(value, digits)


def named_figure(value: Optional[float], name: str) -> str:
    """A number with what it is of, if that has a name: ``0.431 (ward-3)``."""
    return f"{figure(value)} ({name})" if name and value is not None else figure(value)


def interval(values: Sequence[float], scale: Optional[Scale] = None) -> str:
    """Mean and half the width of its 95 % interval, as ``0.953 ± 0.012``.

    With the scale of a metric, an interval that would reach beyond its values is cut, as
    ``0.953 (0.902 to 1)``. No other figure stands behind a ``±``.
    """
    if not values:
        return "–"
    if not all(math.isfinite(v) for v in values):
        return "not finite"
    whole = summarize(values)
    mean = f"{whole.mean:.3f}"
    cut = whole if scale is None else scale.summary(values)
    if cut.low is None or cut.high is None or whole.high is None:
        return mean
    if cut != whole:
        return f"{mean} ({significant(cut.low, 3)} to {significant(cut.high, 3)})"
    return f"{mean} ± {whole.high - whole.mean:.3f}"


def result_interval(result: Result, measure: Measure) -> str:
    """A metric of a result, its mean over seeds and interval, as `interval`."""
    return interval(measure.by_seed(result), measure.spec.values)


def signed(value: Optional[float]) -> str:
    """A number with its sign, three digits; a dash where there is none."""
    return "–" if value is None else significant(value, 3, "+")


def plain_table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
    """A table for the terminal."""
    return tabulate(rows, columns, tablefmt="simple", disable_numparse=True)
