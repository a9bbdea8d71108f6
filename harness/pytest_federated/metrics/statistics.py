"""Means over seeds and what can be said of them: intervals, tests, and how many seeds it takes.

Seeds are independent trainings, so their figures are a sample; all here is Student's t, which
takes them for normal. SciPy is imported where it is used: reading scenario files needs none of it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

CONFIDENCE = 0.95
MOST_SEEDS = 1000  # more than anybody runs: such a mean is as good as on the threshold


@dataclass(frozen=True)
class Summary:
    """What a sample says of its mean.

    Attributes:
        count: number of figures.
        mean: their mean.
        deviation: standard deviation (n - 1); None of a single figure.
        low: lower end of the 95 % interval of the mean; None of a single figure.
        high: upper end.

    """

    count: int
    mean: float
    deviation: Optional[float]
    low: Optional[float]
    high: Optional[float]


@dataclass(frozen=True)
class Comparison:
    """What two samples say of the difference of their means, the second less the first.

    Attributes:
        difference: of the means.
        low: lower end of its 95 % interval.
        high: upper end.
        p_lower: chance of a difference as low as this, or lower, where the means are the same.
        p_higher: the same for as high or higher.
        degrees: degrees of freedom.

    """

    difference: float
    low: float
    high: float
    p_lower: float
    p_higher: float
    degrees: float

    @property
    def p(self) -> float:
        """Two-sided: the chance of a difference as large as this in either direction."""
        return min(1.0, 2 * min(self.p_lower, self.p_higher))

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the 95 % interval of the difference leaves out zero."""
        return self.low > 0 or self.high < 0


def mean_of(values: Sequence[float]) -> Optional[float]:
    """The mean; None of no values."""
    return statistics.fmean(values) if values else None


def deviation_of(values: Sequence[float]) -> Optional[float]:
    """Standard deviation (n - 1); None where there is none, or a value is not finite."""
    if len(values) < 2 or not all(math.isfinite(v) for v in values):
        return None
    return statistics.stdev(values)


def t_quantile(share: float, degrees: float) -> float:
    """The value below which Student's t with these degrees of freedom is with this chance."""
    from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs]

    return float(stdtrit(degrees, share))


def t_chance(value: float, degrees: float) -> float:
    """The chance that Student's t with these degrees of freedom is `value` or less."""
    from scipy.special import stdtr  # pyright: ignore[reportMissingTypeStubs]

    return float(stdtr(degrees, value))


def comparable(
    first: Mapping[int, float], second: Mapping[int, float]
) -> tuple[list[float], list[float]]:
    """The figures of two runs, by seed, that can be compared with each other.

    All of them where both runs have two seeds or more: their spread shows what another seed does.
    A single figure has no spread, and another seed alone moves it, so then only seeds that both
    runs have are compared.

    Returns:
        The figures of the first run and of the second; both empty where nothing can be compared.

    """
    if min(len(first), len(second)) > 1:
        return list(first.values()), list(second.values())
    common = [seed for seed in first if seed in second]
    return [first[seed] for seed in common], [second[seed] for seed in common]


def summarize(figures: Sequence[float], confidence: float = CONFIDENCE) -> Summary:
    """Mean, standard deviation and Student's interval of the mean.

    Args:
        figures: finite; one for each seed.
        confidence: share of samples whose interval holds the true mean.

    Raises:
        ValueError: no figures, or one that is not finite.

    """
    if not figures:
        raise ValueError("no figures to summarize")
    _require_finite(figures)
    count, mean = len(figures), statistics.fmean(figures)
    if count == 1:
        return Summary(1, mean, None, None, None)
    deviation = statistics.stdev(figures)
    half = t_quantile((1 + confidence) / 2, count - 1) * deviation / math.sqrt(count)
    return Summary(count, mean, deviation, mean - half, mean + half)


def seeds_to_decide(
    summary: Summary, threshold: float, confidence: float = CONFIDENCE
) -> Optional[int]:
    """How many more seeds would move the interval of the mean off `threshold`.

    It supposes that mean and standard deviation stay as they are, so it is a guide and no
    promise.

    Returns:
        0 where the interval does not hold the threshold; None where there is no interval, or
        where no reasonable number of seeds would do.

    """
    if summary.deviation is None:
        return None
    distance = abs(summary.mean - threshold)
    for count in range(summary.count, MOST_SEEDS + 1):
        half = t_quantile((1 + confidence) / 2, count - 1) * summary.deviation / math.sqrt(count)
        if half < distance or (half == 0 and count == summary.count):
            return count - summary.count
    return None


def welch(
    first: Sequence[float],
    second: Sequence[float],
    *,
    resolution: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Welch's t test of the difference of two means, which allows for unequal spreads.

    Args:
        first: finite; two figures or more.
        second: the same.
        resolution: the step in which the figures come, such as one test example. Figures that
            happen to agree are no more certain than that: no spread is taken for less than that
            of a uniform error of this width.
        confidence: of the interval.

    Raises:
        ValueError: fewer than two figures in a sample, one that is not finite, or a negative
            resolution.

    Source: B. L. Welch, Biometrika 34 (1947); degrees of freedom after F. E. Satterthwaite,
    Biometrics Bulletin 2 (1946).

    """
    if min(len(first), len(second)) < 2:
        raise ValueError("a spread needs two figures in each sample")
    _require_finite(first, second)
    if not resolution >= 0:
        raise ValueError(f"got a resolution of {resolution}; must be 0 or greater")
    floor = resolution**2 / 12
    one, two = (max(statistics.variance(s), floor) / len(s) for s in (first, second))
    difference = statistics.fmean(second) - statistics.fmean(first)
    return _student(difference, one, two, (len(first) - 1, len(second) - 1), confidence)


def paired(
    first: Sequence[float], second: Sequence[float], *, confidence: float = CONFIDENCE
) -> Comparison:
    """The t test of the mean of the differences of pairs, such as two trainings of one seed.

    Raises:
        ValueError: not as many figures in one as in the other, fewer than two, or one that is not
            finite.

    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError("pairs are needed, and two of them at least")
    _require_finite(first, second)
    differences = [b - a for a, b in zip(first, second)]
    variance = statistics.variance(differences) / len(differences)
    mean = statistics.fmean(differences)
    return _student(mean, variance, 0.0, (len(differences) - 1, 1), confidence)


def _require_finite(*samples: Sequence[float]) -> None:
    """Every comparison with NaN is False, so that no test would ever find a difference."""
    for figure in (figure for sample in samples for figure in sample):
        if not math.isfinite(figure):
            raise ValueError(f"got {figure}; figures must be finite")


def _student(
    difference: float, one: float, two: float, degrees: tuple[int, int], confidence: float
) -> Comparison:
    """`one` and `two` are the variances of two means, `degrees` their degrees of freedom."""
    error = math.sqrt(one + two)
    if error == 0:  # no spread at all: any difference is certain
        free = float(sum(degrees))
        lower, higher = float(difference >= 0), float(difference <= 0)
        return Comparison(difference, difference, difference, lower, higher, free)
    shares = one / (one + two), two / (one + two)
    free = 1 / sum(share**2 / own for share, own in zip(shares, degrees))
    half = t_quantile((1 + confidence) / 2, free) * error
    lower = t_chance(difference / error, free)
    higher = t_chance(-difference / error, free)
    return Comparison(difference, difference - half, difference + half, lower, higher, free)
