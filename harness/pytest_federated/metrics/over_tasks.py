"""Algorithms compared over several tasks: how probably one is better, profiles, and ranks.

Scores are finite and more is better; those of a task come from independent trainings.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_federated.metrics.statistics import CONFIDENCE

Scores = Sequence[Sequence[float]]  # of each task: one for each training

_SAMPLES = 2000  # of a bootstrap
_ROUNDING = 1e-12  # relative; no two shares of test examples are as close


class Estimate(NamedTuple):
    """An estimate with the ends of its interval."""

    value: float
    low: float
    high: float


class Friedman(NamedTuple):
    """Whether algorithms differ at all over tasks.

    Attributes:
        statistic: of Friedman's test, 0 where all average ranks are equal.
        p: the chance of one as large if all algorithms are equally good.

    """

    statistic: float
    p: float


class Profile(NamedTuple):
    """A performance profile with pointwise intervals, each of shape (thresholds,)."""

    share: NDArray[Any]
    low: NDArray[Any]
    high: NDArray[Any]


def probability_of_improvement(
    first: Scores, second: Scores, confidence: float = CONFIDENCE
) -> Estimate:
    """Returns how probably a training of `second` scores higher than one of `first`.

    The mean over tasks of the share of pairs of trainings in which it does, where equal scores
    count a half (the Mann-Whitney statistic); its interval by the percentiles of a bootstrap that
    draws trainings anew within each task, always the same draws (R. Agarwal et al., "Deep
    Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021, section 4).

    Args:
        first: scores of each task.
        second: scores of the same tasks, in the same order.
        confidence: of the interval.

    Raises:
        ValueError: there are no tasks, others, or one without scores.

    """
    if not first or len(first) != len(second) or not all(map(len, (*first, *second))):
        raise ValueError("both need scores of the same tasks")
    value, drawn = 0.0, np.zeros(_SAMPLES)
    sizes = tuple((len(two), len(one)) for one, two in zip(first, second))
    for one, two, samples in zip(first, second, _samples(sizes)):
        # Sorted, so that the order of the trainings makes no difference.
        ours, theirs = np.sort(np.asarray(two, float)), np.sort(np.asarray(one, float))
        wins = (ours[:, None] > theirs) + 0.5 * (ours[:, None] == theirs)
        value += float(wins.mean())
        drawn += ((samples[0] @ wins) * samples[1]).sum(axis=1) / wins.size
    low, high = np.quantile(drawn / len(first), _ends(confidence))
    return Estimate(value / len(first), float(low), float(high))


def performance_profile(
    scores: Scores, thresholds: NDArray[Any], confidence: float = CONFIDENCE
) -> Profile:
    """Returns the share of trainings that score above each threshold, all tasks counting the same.

    That is a score distribution of Agarwal et al. (2021, section 4.2), with its stratified
    bootstrap as in `probability_of_improvement`.

    Raises:
        ValueError: there are no tasks, or one without scores.

    """
    if not scores or not all(map(len, scores)):
        raise ValueError("scores are needed, of each task")
    rng = np.random.default_rng(0)
    share, drawn = np.zeros(len(thresholds)), np.zeros((_SAMPLES, len(thresholds)))
    for of_task in scores:
        above = np.sort(np.asarray(of_task, float))[:, None] > thresholds
        share += above.mean(axis=0)
        drawn += _draws(rng, len(above)) @ above / len(above)
    low, high = np.quantile(drawn / len(scores), _ends(confidence), axis=0)
    return Profile(share / len(scores), low, high)


def average_ranks(scores: Scores) -> list[float]:
    """Returns the mean over tasks of each algorithm's rank, 1 for the best; equal scores share.

    Scores that differ by no more than the rounding of means are equal.

    Args:
        scores: of each task: one for each algorithm, such as its mean over trainings.

    Raises:
        ValueError: there are no tasks, or they have not the same number of algorithms.

    Source: J. Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7
    (2006), section 3.2.2.

    """
    return _ranks(scores).mean(axis=0).tolist()


def friedman(scores: Scores) -> Friedman:
    """Returns Friedman's test of equal average ranks, corrected for ties.

    The statistic is about chi-squared, with one degree of freedom less than there are algorithms.
    Where it does not reject, differences of average ranks mean nothing (M. Friedman, JASA 32, 1937;
    Demsar, 2006, section 3.2.2).

    Args:
        scores: as of `average_ranks`.

    Raises:
        ValueError: there are no tasks, or they have not the same number of algorithms.

    """
    from scipy.special import chdtrc  # pyright: ignore[reportMissingTypeStubs]

    ranks = _ranks(scores)
    algorithms = ranks.shape[1]
    away = ranks - (algorithms + 1) / 2
    spread = float((away**2).sum())
    if spread == 0:  # all algorithms are equal in each task
        return Friedman(0.0, 1.0)
    statistic = (algorithms - 1) * float((away.sum(axis=0) ** 2).sum()) / spread
    return Friedman(statistic, float(chdtrc(algorithms - 1, statistic)))


def _ranks(scores: Scores) -> NDArray[Any]:
    """Returns each algorithm's rank in each task, float (tasks, algorithms)."""
    if not scores or len({len(of_task) for of_task in scores}) != 1:
        raise ValueError("each task needs a score of each algorithm")
    of_tasks = np.asarray(scores, float)
    ours, others = of_tasks[:, :, None], of_tasks[:, None, :]
    equal = np.isclose(ours, others, rtol=_ROUNDING, atol=0)
    return ((others > ours) & ~equal).sum(axis=2) + (equal.sum(axis=2) + 1) / 2


def critical_difference(algorithms: int, tasks: int, confidence: float = CONFIDENCE) -> float:
    """Returns by how much two average ranks differ at least if the algorithms do.

    That is q · √(k (k + 1) / (6 N)) of k algorithms on N tasks, with q the quantile of the
    Studentized range with infinite degrees of freedom, divided by √2 (P. B. Nemenyi, 1963; Demsar,
    2006, section 3.2.2). It holds for all pairs of algorithms together.
    """
    from scipy.stats import studentized_range  # pyright: ignore[reportMissingTypeStubs]

    distribution: Any = studentized_range
    with warnings.catch_warnings():  # of NumPy, on how this SciPy uses it
        warnings.simplefilter("ignore", DeprecationWarning)
        q = float(distribution.ppf(confidence, algorithms, np.inf)) / math.sqrt(2)
    return q * math.sqrt(algorithms * (algorithms + 1) / (6 * tasks))


@functools.lru_cache(maxsize=1)  # each algorithm of a table is compared with the same reference
def _samples(sizes: tuple[tuple[int, int], ...]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Returns the draws for the two sides of each task, of so many trainings each."""
    rng = np.random.default_rng(0)
    return [(_draws(rng, ours), _draws(rng, theirs)) for ours, theirs in sizes]


def _draws(rng: np.random.Generator, count: int) -> NDArray[Any]:
    """Returns how often each of so many trainings is in each sample, float (samples, count)."""
    shares = np.full(count, 1 / count)
    return rng.multinomial(count, shares, size=_SAMPLES).astype(float)


def _ends(confidence: float) -> tuple[float, float]:
    return (1 - confidence) / 2, (1 + confidence) / 2
