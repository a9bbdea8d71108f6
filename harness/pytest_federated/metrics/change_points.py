"""Change points of a series: where its level moved for good, and not by noise.

This is the method of Apache Otava, formerly Hunter: E-divisive means with Student's t test. The
library itself needs NumPy 2.2, which TensorFlow Federated does not allow. Other than there, a
candidate that all later values speak against is kept if the two parts that diverge most are very
certain: so a level that comes back after a few commits is found. Of 500 series of noise, 7 of
length 30 and 19 of length 100 have a change point, with this exception and without.

Sources: D. S. Matteson, N. A. James, A Nonparametric Approach for Multiple Change Point Analysis of
Multivariate Data, J. Am. Stat. Assoc. 109 (2014); M. Fleming et al., Hunter: Using Change Point
Detection to Hunt for Performance Regressions, ICPE 2023, doi:10.1145/3578244.3583719.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_federated.metrics.statistics import t_chance

LEVEL = 0.001  # the greatest p-value of a change point, as Otava's
_WEAK = 10  # times that level: candidates, which are kept or merged in the end
_CERTAIN = 1000  # times less than that, where later values speak against a candidate
_WINDOW = 50  # values that are searched at once


def change_points(
    values: Sequence[float], *, least: float = 0.0, level: float = LEVEL
) -> list[int]:
    """Returns the places at which the mean of a series changes, ascending.

    A change point is the first value of a new level. Candidates are found in windows that overlap
    by half, so that a change does not hide between two larger ones; then the least certain and the
    smallest are taken out one by one, and their neighbors are tested again.

    Args:
        values: finite, in the order of time.
        least: the difference of two means that does not matter yet.
        level: the greatest p-value of a change point.

    Raises:
        ValueError: a value is not finite.

    """
    series = np.asarray(values, dtype=np.float64)
    if not np.isfinite(series).all():
        raise ValueError("values must be finite")
    return _merged(series, _candidates(series, _WEAK * level), least, level)


def _candidates(series: np.ndarray[Any, Any], level: float) -> list[int]:
    """Returns the change points of all windows."""
    points: set[int] = set()
    start = 0
    while start < len(series):
        window = [start + n for n in _divided(series[start : start + _WINDOW], level)]
        points.update(window)
        start = max([start + _WINDOW // 2, *window])
    return sorted(points)


def _divided(series: np.ndarray[Any, Any], level: float) -> list[int]:
    """Returns the change points of a window, by E-divisive means.

    The best candidate of all segments is taken while it is significant. Two values alone have none,
    as they have no spread: beside a larger change, their difference would end the search.
    """
    points: list[int] = []
    distances = np.abs(series[:, None] - series[None, :])
    # Sums of distances over any block, by inclusion and exclusion.
    sums = np.pad(distances.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    while True:
        ends = [0, *points, len(series)]
        candidates = [(*_best(sums, a, b), a, b) for a, b in zip(ends, ends[1:]) if b - a > 2]
        if not candidates:
            return points
        _, point, stop, start, end = max(candidates, key=lambda c: c[0])
        left = series[start:point]
        is_weak = _p_value(left, series[point:end]) > level
        if is_weak and _p_value(left, series[point:stop]) > level / _CERTAIN:
            return points
        points = sorted([*points, point])


def _best(sums: np.ndarray[Any, Any], start: int, end: int) -> tuple[float, int, int]:
    """Returns the greatest divergence of two neighboring parts of a segment, its point and stop.

    That is Q of Matteson and James, 2.2, with Euclidean distances (alpha 1): the first part is
    [start, point), the second [point, stop), for every stop up to the end.
    """
    point = np.arange(start + 1, end)[:, None]
    stop = np.arange(start + 2, end + 1)[None, :]
    first, second = point - start, stop - point

    def block(a: Any, b: Any, c: Any, d: Any) -> Any:
        return sums[b, d] - sums[a, d] - sums[b, c] + sums[a, c]

    between = block(start, point, point, stop)
    within_first = block(start, point, start, point) / 2
    within_second = block(point, stop, point, stop) / 2
    whole = first + second
    quality = (
        2 * between
        - 2 * within_first * second / np.maximum(first - 1, 1)
        - 2 * within_second * first / np.maximum(second - 1, 1)
    ) / whole
    quality = np.where(stop > point, quality, -np.inf)
    row, column = np.unravel_index(np.argmax(quality), quality.shape)
    return float(quality[row, column]), start + 1 + int(row), start + 2 + int(column)


def _merged(
    series: np.ndarray[Any, Any], points: Sequence[int], least: float, level: float
) -> list[int]:
    """Returns the candidates that are certain and large enough, given those beside them."""
    kept = list(points)
    while kept:
        ends = [0, *kept, len(series)]
        sides = [
            (series[a:b], series[b:c]) for a, b, c in zip(ends, ends[1:], ends[2:])
        ]  # of each point
        chances = [_p_value(left, right) for left, right in sides]
        weakest = int(np.argmax(chances))
        if chances[weakest] <= level:
            sizes = [abs(_mean(right) - _mean(left)) for left, right in sides]
            weakest = int(np.argmin(sizes))
            if sizes[weakest] > least:
                break
        del kept[weakest]
    return kept


def _p_value(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """Returns the p-value of Student's t test of two means, two-sided, with a pooled variance.

    1 of two single values, which have no spread; 0 or 1 where no value differs within its side.
    """
    free = len(left) + len(right) - 2
    left_mean, right_mean = _mean(left), _mean(right)
    difference = abs(right_mean - left_mean)
    if free < 1 or difference == 0:
        return 1.0
    squares = float(((left - left_mean) ** 2).sum() + ((right - right_mean) ** 2).sum())
    error = math.sqrt(squares / free * (1 / len(left) + 1 / len(right)))
    return 2 * t_chance(-difference / error, free) if error else 0.0


def _mean(values: np.ndarray[Any, Any]) -> float:
    """Returns the mean, of equal values exactly that value: a rounded mean would be a change."""
    return float(values[0] + (values - values[0]).mean())
