"""Several tasks: against the formulae of their sources, and published tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_federated.metrics.over_tasks import (
    average_ranks,
    critical_difference,
    friedman,
    performance_profile,
    probability_of_improvement,
)
from pytest_federated.metrics.statistics import mean
from scipy.stats import binom, friedmanchisquare, mannwhitneyu, rankdata

task = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=6)
tasks = st.lists(st.tuples(task, task), min_size=1, max_size=4)


@given(tasks)
def test_the_probability_of_improvement_is_the_mean_of_mann_whitney_statistics(
    scores: list[tuple[list[float], list[float]]],
) -> None:
    """As in Agarwal et al. (2021), section 4."""
    first, second = zip(*scores)
    expected = np.mean(
        [mannwhitneyu(two, one).statistic / (len(one) * len(two)) for one, two in scores]
    )
    found = probability_of_improvement(first, second)
    assert found.value == pytest.approx(expected)
    assert 0 <= found.low <= found.high <= 1


@given(tasks, st.randoms(use_true_random=False))
def test_swapping_sides_and_the_order_of_trainings(
    scores: list[tuple[list[float], list[float]]], random: object
) -> None:
    first, second = map(list, zip(*scores))
    there, back = (
        probability_of_improvement(*sides) for sides in ((first, second), (second, first))
    )
    assert there.value + back.value == pytest.approx(1)
    shuffled = [random.sample(of_task, len(of_task)) for of_task in first]  # pyright: ignore
    assert probability_of_improvement(shuffled, second) == there


def test_what_always_wins_is_certainly_better() -> None:
    assert probability_of_improvement([[1, 2], [3, 4]], [[5, 6], [7, 8]]) == (1, 1, 1)
    assert probability_of_improvement([[1, 2]], [[1, 2]]).value == 0.5


def test_the_interval_of_the_probability_gets_narrower_with_trainings() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for count in (5, 100):
        one, two = (rng.normal(mean, 1, (3, count)).tolist() for mean in (0, 0.5))
        found = probability_of_improvement(one, two)
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 3


@given(st.lists(task, min_size=1, max_size=4))
def test_a_profile_is_the_share_above_each_threshold(scores: list[list[float]]) -> None:
    thresholds = np.arange(-1.0, 22.0)
    found = performance_profile(scores, thresholds)
    expected = [np.mean([np.mean(np.array(s) > t) for s in scores]) for t in thresholds]
    assert found.share == pytest.approx(expected)
    assert np.all(found.low <= found.share + 1e-9) and np.all(found.share <= found.high + 1e-9)
    assert found.share[0] == 1 and found.share[-1] == 0 and np.all(np.diff(found.share) <= 0)


@given(
    st.integers(2, 5).flatmap(
        lambda k: st.lists(
            st.lists(st.integers(0, 4).map(float), min_size=k, max_size=k), min_size=1, max_size=6
        )
    )
)
def test_ranks_are_averaged_over_tasks_and_ties_share_them(scores: list[list[float]]) -> None:
    expected = np.mean([rankdata(-np.array(of_task)) for of_task in scores], axis=0)
    assert average_ranks(scores) == pytest.approx(expected.tolist())


@given(st.lists(st.integers(0, 360), min_size=2, max_size=9), st.integers(2, 5))
def test_equal_means_share_a_rank_however_they_are_rounded(right: list[int], seeds: int) -> None:
    """Of accuracies on 360 examples: the seeds of one vary, those of the other do not."""
    steady = sum(right) / len(right) / 360
    scores = [[mean([n / 360 for n in right]), mean([steady] * seeds)]]
    assert average_ranks(scores) == [1.5, 1.5]


@given(
    st.integers(3, 5).flatmap(
        lambda k: st.lists(
            st.lists(st.integers(0, 4).map(float), min_size=k, max_size=k), min_size=2, max_size=8
        )
    )
)
def test_friedmans_test_is_scipys(scores: list[list[float]]) -> None:
    found = friedman(scores)
    if any(len(set(of_task)) > 1 for of_task in scores):  # SciPy divides by zero otherwise
        expected = friedmanchisquare(*zip(*scores))
        assert found == pytest.approx((expected.statistic, expected.pvalue), abs=1e-12)
    else:
        assert found == (0, 1)


def test_friedmans_test_of_two_algorithms_is_the_sign_test_in_large_samples() -> None:
    """SciPy wants three. With 9 of 10 tasks won: z² = (9 - 5)² / (10 / 4)."""
    assert friedman([[1, 0]] * 9 + [[0, 1]]).statistic == pytest.approx(6.4)
    assert friedman([[1, 0]] * 9 + [[0, 1]]).p == pytest.approx(0.0114, abs=5e-5)


@pytest.mark.parametrize(
    ("algorithms", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)]
)
def test_the_critical_difference_is_that_of_demsars_table_5(algorithms: int, q: float) -> None:
    expected = q * (algorithms * (algorithms + 1) / (6 * 14)) ** 0.5
    assert critical_difference(algorithms, 14) == pytest.approx(expected, abs=5e-4)


def test_the_critical_difference_of_demsars_example() -> None:
    """Four classifiers on 14 data sets, section 3.2.2: CD = 1.25 at 5 %, 1.12 at 10 %."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, 0.9) == pytest.approx(1.12, abs=0.005)


@pytest.mark.parametrize(("first", "second"), [([], []), ([[1.0]], []), ([[1.0]], [[]])])
def test_scores_of_the_same_tasks_are_needed(
    first: list[list[float]], second: list[list[float]]
) -> None:
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement(first, second)


def test_the_interval_of_a_profile_is_that_of_the_confidence() -> None:
    """How many of 1,000 drawn scores are above a threshold has a binomial distribution."""
    scores, thresholds = [[0.0, 1.0] * 500], np.array([0.5])
    for confidence in (0.8, 0.95):
        found = performance_profile(scores, thresholds, confidence)
        ends = binom.ppf([(1 - confidence) / 2, (1 + confidence) / 2], 1000, 0.5) / 1000
        assert [found.low[0], found.high[0]] == pytest.approx(ends, abs=0.002)


@pytest.mark.parametrize("scores", [[], [[]], [[1.0], []]])
def test_a_profile_needs_scores_of_each_task(scores: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="of each task"):
        performance_profile(scores, np.array([0.5]))


@pytest.mark.parametrize("scores", [[], [[1.0, 2.0], [1.0]]])
def test_ranks_need_a_score_of_each_algorithm(scores: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="of each algorithm"):
        average_ranks(scores)
