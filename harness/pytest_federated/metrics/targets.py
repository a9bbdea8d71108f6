"""How soon a training reaches a target, between evaluated rounds, and how many times sooner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Optional

from pytest_federated.metrics.difference import seeds_in_common
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.metrics.resolution import bytes_of
from pytest_federated.metrics.statistics import CONFIDENCE, paired
from pytest_federated.training.history import Round, TrainingHistory

_OF_ROUNDS = ("accuracy", "loss")  # besides the metrics of predictions


def is_by_round(name: str) -> bool:
    """Whether a metric is measured after every evaluated round, so that a target can be reached."""
    return name in _OF_ROUNDS or (name in metrics and spec_of(name).score is not None)


def unreachable(name: str, target: float) -> str:
    """Returns why no training reaches a target of a metric, whatever it learns; else nothing."""
    if not is_by_round(name):
        return f"{name} is not measured in each round; leave them out"
    scale = spec_of(name).values
    if scale.is_bounded and not scale.low <= target <= scale.high:
        return f"got {target:g}; {name} is from {scale.low:g} to {scale.high:g}"
    return ""


def curve(history: TrainingHistory, name: str) -> list[tuple[int, float]]:
    """Returns the rounds after which a metric of the test set was measured, and its values."""
    values = ((done.round, _value(done, name)) for done in history.rounds)
    return [(number, value) for number, value in values if value is not None]


def _value(done: Round, name: str) -> Optional[float]:
    return getattr(done, name) if name in _OF_ROUNDS else done.scores.get(name)


def rounds_to(points: Sequence[tuple[int, float]], target: float, sign: int = 1) -> Optional[float]:
    """Returns after how many rounds a curve crosses a target, which may be a fraction.

    The curve is the best value so far, with straight lines between the evaluated rounds (McMahan et
    al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017,
    section 3). There is no value before the first of them: a curve that begins beyond the target
    crosses it there.

    Args:
        points: evaluated rounds in order, and the values after them.
        target: the value to reach.
        sign: 1 where more is better, -1 where less is.

    Returns:
        None where the target is not reached.

    """
    before: Optional[tuple[int, float]] = None
    for number, value in points:
        if not math.isfinite(value):
            continue
        if sign * value >= sign * target:
            if before is None:
                return float(number)
            start, best = before
            return start + (number - start) * (target - best) / (value - best)
        if before is None or sign * value > sign * before[1]:
            before = number, value
        else:
            before = number, before[1]
    return None


def bytes_until(history: TrainingHistory, rounds: float) -> Optional[float]:
    """Returns the bytes that server and clients exchange in the first so many rounds.

    Of a fraction of a round, that share of its bytes. None where they were not measured.
    """
    sent = [bytes_of(done, "both") for done in history.rounds[: math.ceil(rounds)]]
    known = [n for n in sent if n is not None]
    if len(known) < len(sent):
        return None
    totals = [0, *accumulate(known)]
    whole = math.floor(rounds)
    rest = (rounds - whole) * (totals[whole + 1] - totals[whole]) if rounds > whole else 0.0
    return totals[whole] + rest


@dataclass(frozen=True)
class Speedup:
    """How many times faster a run reaches a target than another.

    Attributes:
        times: geometric mean over pairs of the other's rounds divided by its own; 2 is twice as
            fast.
        low: lower end of its interval; None of a single pair.
        high: upper end.
        pairs: how many seeds both have.

    """

    times: float
    low: Optional[float]
    high: Optional[float]
    pairs: int

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the interval leaves out that both are as fast; of a single pair nobody knows."""
        return self.low is not None and self.high is not None and (self.low > 1 or self.high < 1)


def speedup(
    first: Mapping[int, Optional[float]],
    second: Mapping[int, Optional[float]],
    confidence: float = CONFIDENCE,
) -> Optional[Speedup]:
    """Returns how many times faster the second run is than the first, by the rounds of each seed.

    The interval is that of the paired t test of the logarithms. None without a seed in common, and
    where one of these does not reach the target on either side: any number would leave it out.
    """
    common = seeds_in_common(first, second)
    one, two = [first[seed] for seed in common], [second[seed] for seed in common]
    slow, fast = ([math.log(n) for n in side if n is not None] for side in (one, two))
    if not common or min(len(slow), len(fast)) < len(common):
        return None
    if len(common) == 1:
        return Speedup(math.exp(slow[0] - fast[0]), None, None, 1)
    test = paired(fast, slow, confidence=confidence)
    times, low, high = map(math.exp, (test.difference, test.low, test.high))
    return Speedup(times, low, high, len(common))


def chance_of_all_or_none(first: int, second: int) -> float:
    """Returns the chance that all of one sample reach a target and none of the other.

    That is of two samples of these sizes that are alike, whichever of them gets there: Fisher's
    exact test, two-sided.
    """
    return min(1.0, 2 / math.comb(first + second, first))
