"""Means over seeds and what can be said of them: intervals, tests, and how many seeds it takes.

Seeds are independent trainings, so their figures are a sample; all here is Student's t, which
takes them for normal. SciPy is imported where it is used: reading scenario files needs none of it.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Optional

CONFIDENCE = 0.95
# How far a mean may turn out to lie off what it seems: with room for all but one case of twenty,
# as many more seeds as proposed decide in four of five (docs/judging.md).
ROOM = 0.95
DECIDED = 0.9  # the chance with which as many pairs as proposed decide, if their spread is known
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

    def within(self, least: float, greatest: float) -> Summary:
        """The same with its interval cut to what the mean can be at all."""
        if self.low is None or self.high is None:
            return self
        low, high = max(self.low, min(least, self.mean)), min(self.high, max(greatest, self.mean))
        return replace(self, low=low, high=high)


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
        error: standard error of the difference.

    """

    difference: float
    low: float
    high: float
    p_lower: float
    p_higher: float
    degrees: float
    error: float

    def within(self, greatest: float) -> Comparison:
        """The same with its interval cut to the differences that there can be."""
        low, high = max(self.low, -greatest), min(self.high, greatest)
        return replace(self, low=low, high=high)

    @property
    def p(self) -> float:
        """Two-sided: the chance of a difference as large as this in either direction."""
        return min(1.0, 2 * min(self.p_lower, self.p_higher))

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the 95 % interval of the difference leaves out zero."""
        return self.low > 0 or self.high < 0


def mean(values: Sequence[float]) -> float:
    """The mean, of equal values exactly that value: a rounded mean would be a difference."""
    first, *others = values
    return first if all(v == first for v in others) else statistics.fmean(values)


def mean_of(values: Sequence[float]) -> Optional[float]:
    """The mean; None of no values."""
    return mean(values) if values else None


def deviation_of(values: Sequence[float]) -> Optional[float]:
    """Standard deviation (n - 1); None where there is none, or a value is not finite."""
    if len(values) < 2 or not all(math.isfinite(v) for v in values):
        return None
    return _deviation(tuple(values))


@functools.lru_cache(maxsize=1024)
def _deviation(values: tuple[float, ...]) -> float:
    """Standard deviation, exact and slow; verdicts and tables ask for that of the same values."""
    return statistics.stdev(values)


@functools.lru_cache(maxsize=1024)
def t_quantile(share: float, degrees: float) -> float:
    """The value below which Student's t with these degrees of freedom is with this chance."""
    from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs]

    return float(stdtrit(degrees, share))


def t_chance(value: float, degrees: float) -> float:
    """The chance that Student's t with these degrees of freedom is `value` or less."""
    from scipy.special import stdtr  # pyright: ignore[reportMissingTypeStubs]

    return float(stdtr(degrees, value))


def f_quantile(share: float, above: float, below: float) -> float:
    """The value below which an F distribution with these degrees of freedom is with this chance."""
    from scipy.special import fdtri  # pyright: ignore[reportMissingTypeStubs]

    return float(fdtri(above, below, share))


def normal_chance(value: float) -> float:
    """The chance that a standard normal distribution is `value` or less."""
    return math.erfc(-value / math.sqrt(2)) / 2


def count_chance(most: int, trials: int, seen: int, seen_in: int) -> float:
    """The chance of at most so many events in further trials, after `seen` in `seen_in` trials.

    That is the beta-binomial distribution, where all rates were as likely before (T. Bayes, Phil.
    Trans. 53, 1763).
    """

    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    a, b = seen + 1, seen_in - seen + 1
    return math.fsum(
        math.comb(trials, n) * math.exp(log_beta(a + n, b + trials - n) - log_beta(a, b))
        for n in range(most + 1)
    )


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
    count, center = len(figures), mean(figures)
    if count == 1:
        return Summary(1, center, None, None, None)
    deviation = _deviation(tuple(figures))
    half = t_quantile((1 + confidence) / 2, count - 1) * deviation / math.sqrt(count)
    return Summary(count, center, deviation, center - half, center + half)


def seeds_to_decide(
    summary: Summary, threshold: float, confidence: float = CONFIDENCE
) -> Optional[int]:
    """How many more seeds would probably move the interval of the mean off `threshold`.

    It supposes that the standard deviation stays as it is, and that the mean is off by what it is
    off by in one case of twenty, so it is a guide and no promise.

    Returns:
        0 where the interval does not hold the threshold; None where there is no interval, or
        where no reasonable number of seeds would do.

    """
    if summary.deviation is None:
        return None
    deviation, distance = summary.deviation, abs(summary.mean - threshold)

    def reach(count: int, room: float) -> float:
        quantiles = t_quantile((1 + confidence) / 2, count - 1) + room
        return quantiles * deviation / math.sqrt(count)

    if deviation == 0 or reach(summary.count, 0.0) < distance:
        return 0
    fewest = _fewest(
        summary.count + 1, lambda count: reach(count, t_quantile(ROOM, count - 1)) < distance
    )
    return None if fewest is None else fewest - summary.count


def pairs_to_decide(
    difference: float, deviation: float, pairs: int, margin: float, level: float
) -> Optional[int]:
    """How many more pairs would probably tell two runs apart, or show that they are the same.

    After these the mean is distributed about the present one as Student's t of pairs - 1 degrees of
    freedom, if any mean was as likely before, with deviation · √(further / (pairs · all)) as its
    scale (a predictive distribution; the standard deviation is supposed to stay as it is). So many
    are proposed that it decides with the chance `DECIDED`, which is more than four in five, as the
    deviation is an estimate.

    Args:
        difference: mean of the differences.
        deviation: their standard deviation.
        pairs: how many there are.
        margin: the least difference that matters.
        level: of the test for a difference, one-sided.

    Returns:
        None where no reasonable number would do.

    """

    def is_decided(count: int) -> bool:
        error = deviation / math.sqrt(count)
        scale = deviation * math.sqrt((count - pairs) / (count * pairs))
        same = max(0.0, margin - t_quantile((1 + CONFIDENCE) / 2, count - 1) * error)
        differs = max(margin, t_quantile(1 - level, count - 1) * error)
        ends = (-differs, -same, same, differs)
        below = [t_chance((end - difference) / scale, pairs - 1) for end in ends]
        is_open = below[1] - below[0] + below[3] - below[2]
        return is_open <= 1 - DECIDED

    fewest = _fewest(pairs + 1, is_decided)
    return None if fewest is None else fewest - pairs


def _fewest(first: int, is_enough: Callable[[int], bool]) -> Optional[int]:
    """The fewest that are enough, where more are enough, too; None above `MOST_SEEDS`."""
    low, high = first, MOST_SEEDS
    if low > high or not is_enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low


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
    _require_resolution(resolution)
    floor = resolution**2 / 12
    one, two = (max(statistics.variance(s), floor) / len(s) for s in (first, second))
    difference = mean(second) - mean(first)
    return _student(difference, one, two, (len(first) - 1, len(second) - 1), confidence)


def paired(
    first: Sequence[float],
    second: Sequence[float],
    *,
    resolution: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """The t test of the mean of the differences of pairs, such as two trainings of one seed.

    Args:
        first: finite; two figures or more.
        second: as many.
        resolution: the step in which the figures come. No spread of the differences is taken for
            less than that of two uniform errors of this width.
        confidence: of the interval.

    Raises:
        ValueError: not as many figures in one as in the other, fewer than two, one that is not
            finite, or a negative resolution.

    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError("pairs are needed, and two of them at least")
    _require_finite(first, second)
    _require_resolution(resolution)
    differences = [b - a for a, b in zip(first, second)]
    variance = max(statistics.variance(differences), resolution**2 / 6) / len(differences)
    return _student(mean(differences), variance, 0.0, (len(differences) - 1, 1), confidence)


def _require_finite(*samples: Sequence[float]) -> None:
    """Every comparison with NaN is False, so that no test would ever find a difference."""
    for figure in (figure for sample in samples for figure in sample):
        if not math.isfinite(figure):
            raise ValueError(f"got {figure}; figures must be finite")


def _require_resolution(resolution: float) -> None:
    if not resolution >= 0:
        raise ValueError(f"got a resolution of {resolution}; must be 0 or greater")


def _student(
    difference: float, one: float, two: float, degrees: tuple[int, int], confidence: float
) -> Comparison:
    """`one` and `two` are the variances of two means, `degrees` their degrees of freedom."""
    error = math.sqrt(one + two)
    if error == 0:  # no spread at all: any difference is certain
        free = float(sum(degrees))
        lower, higher = float(difference >= 0), float(difference <= 0)
        return Comparison(difference, difference, difference, lower, higher, free, 0.0)
    shares = one / (one + two), two / (one + two)
    free = 1 / sum(share**2 / own for share, own in zip(shares, degrees))
    half = t_quantile((1 + confidence) / 2, free) * error
    lower = t_chance(difference / error, free)
    higher = t_chance(-difference / error, free)
    return Comparison(difference, difference - half, difference + half, lower, higher, free, error)
