"""Two runs side by side by one metric: seed by seed, and against the least difference that matters.

Two trainings of one seed have the same split, initial weights, cohorts and order of examples, so
their difference spreads far less than either figure. Where two runs have seeds in common, these
pairs are compared (Paired Seed Evaluation, arXiv:2512.24145, shows the variance that this saves).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Optional

from pytest_federated.metrics.statistics import (
    CONFIDENCE,
    Comparison,
    mean,
    paired,
    pairs_to_decide,
    welch,
)

Change = Literal["same", "better", "worse", "differs", "undecided"]
LEVEL = (1 - CONFIDENCE) / 2


@dataclass(frozen=True)
class Difference:
    """How a metric of one run differs from that of an earlier one.

    Attributes:
        before: mean over the seeds of the earlier run that are compared.
        now: the same of the later one.
        pairs: how many seeds both runs have; 0 where they have none in common.
        margin: the least difference that matters.
        change: what the difference means, see `compare`.
        low: lower end of the 95 % interval of the difference, the later run less the earlier one;
            None of a single pair.
        high: upper end.
        chance: the chance of a difference as bad as this or worse, where nothing has changed; None
            of a single pair.
        more_seeds: about how many more pairs decide it where it is undecided; None where it is
            decided, or no reasonable number would do.

    """

    before: float
    now: float
    pairs: int
    margin: float
    change: Change
    low: Optional[float] = None
    high: Optional[float] = None
    chance: Optional[float] = None
    more_seeds: Optional[int] = None

    @property
    def difference(self) -> float:
        """The later mean less the earlier one."""
        return self.now - self.before

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the interval of the difference leaves out zero; of a single pair, whether there
        is any.
        """
        if self.low is None or self.high is None:
            return self.difference != 0
        return self.low > 0 or self.high < 0


def seeds_in_common(first: Mapping[int, object], second: Mapping[int, object]) -> list[int]:
    """The seeds that both have, in the order of the first."""
    return [seed for seed in first if seed in second]


def can_be_compared(first: Mapping[int, float], second: Mapping[int, float]) -> bool:
    """Whether anything can be said of two runs, whose figures these are by seed.

    A single figure has no spread, and another seed alone moves it.
    """
    return bool(seeds_in_common(first, second)) or min(len(first), len(second)) > 1


def compare(
    first: Mapping[int, float],
    second: Mapping[int, float],
    *,
    sign: int,
    margin: float,
    step: float = 0.0,
    greatest: float = math.inf,
    level: float = LEVEL,
    confidence: float = CONFIDENCE,
) -> Difference:
    """Compares two runs by their figures, by seed, the second with the first.

    With two seeds or more in common, these are compared pair by pair; with none, two samples by
    Welch's test. The change is

    - ``same`` where every pair is equal, or where the interval of the difference lies within the
      margin: equivalence by two one-sided tests (D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15,
      1987), each of which is one of non-inferiority (W. C. Blackwelder, Control. Clin. Trials 3,
      1982);
    - ``worse`` or ``better`` where the difference is greater than the margin, and so certain that
      its chance, if nothing had changed, is below `level`. ``differs`` where neither direction is
      better, and `sign` is 0;
    - ``undecided`` otherwise. A single pair is that unless it is equal.

    Args:
        first: figures by seed, finite.
        second: the same of the later run.
        sign: 1 where more is better, -1 where less is, 0 where neither.
        margin: the least difference that matters; a step of the metric at least.
        step: in which the figures come. Differences that happen to agree are no more certain than
            that.
        greatest: difference that there can be, where the interval ends; of two shares, 1.
        level: the chance that a later run in which nothing has changed is called worse.
        confidence: of the interval.

    Raises:
        ValueError: nothing can be compared (see `can_be_compared`), or a figure is not finite.

    """
    if not can_be_compared(first, second):
        raise ValueError("a single seed can be compared with the same seed only")
    common = seeds_in_common(first, second)
    margin = max(margin, step)
    if len(common) == 1 and min(len(first), len(second)) > 1:
        common = []  # one pair says less than all seeds of both
    if not common:
        one, two = list(first.values()), list(second.values())
        test = welch(one, two, resolution=step, confidence=confidence)
        return _judged(one, two, 0, test.within(greatest), sign, margin, level)
    one, two = [first[seed] for seed in common], [second[seed] for seed in common]
    if not all(map(math.isfinite, (*one, *two))):
        raise ValueError("figures must be finite")
    if one == two:
        level_of_both = mean(one)
        return Difference(level_of_both, level_of_both, len(common), margin, "same", 0.0, 0.0, 1.0)
    if len(common) == 1:
        return Difference(one[0], two[0], 1, margin, "undecided")
    test = paired(one, two, resolution=step, confidence=confidence)
    return _judged(one, two, len(common), test.within(greatest), sign, margin, level)


def _judged(
    one: Sequence[float],
    two: Sequence[float],
    pairs: int,
    test: Comparison,
    sign: int,
    margin: float,
    level: float,
) -> Difference:
    chance = {1: test.p_lower, -1: test.p_higher, 0: test.p}[sign]
    is_large = abs(test.difference) > margin
    change: Change = "undecided"
    if -margin <= test.low and test.high <= margin:
        change = "same"
    elif is_large and chance < level:
        change = "worse" if sign else "differs"
    elif is_large and sign and 1 - chance < level:
        change = "better"
    more = None
    if change == "undecided" and pairs:
        more = pairs_to_decide(test.difference, test.error * math.sqrt(pairs), pairs, margin, level)
    return Difference(
        mean(one),
        mean(two),
        pairs,
        margin,
        change,
        test.low,
        test.high,
        chance,
        more,
    )
