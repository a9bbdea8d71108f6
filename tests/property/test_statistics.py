"""Intervals and tests compared with SciPy's, and their promises checked over many samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_federated.metrics.difference import Difference, compare
from pytest_federated.metrics.statistics import (
    MOST_SEEDS,
    paired,
    pairs_to_decide,
    seeds_to_decide,
    summarize,
    welch,
)
from scipy import stats

figures = st.lists(st.integers(-9999, 9999).map(lambda x: x / 100), min_size=2, max_size=12)


@given(figures)
def test_the_interval_is_that_of_scipy(sample: list[float]) -> None:
    found = summarize(sample)
    assert found.mean == pytest.approx(np.mean(sample))
    assert found.deviation == pytest.approx(np.std(sample, ddof=1))
    if len(set(sample)) > 1:
        low, high = stats.t.interval(0.95, len(sample) - 1, np.mean(sample), stats.sem(sample))
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_one_figure_has_no_interval() -> None:
    found = summarize([0.9])
    assert (found.count, found.mean) == (1, 0.9)
    assert found.deviation is found.low is found.high is None


def test_an_empty_sample_cannot_be_summarized() -> None:
    with pytest.raises(ValueError, match="no figures"):
        summarize([])


def test_the_interval_covers_the_mean_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    intervals = [summarize(list(rng.normal(5, 2, size=4))) for _ in range(2000)]
    held = np.mean([(i.low or 0) <= 5 <= (i.high or 0) for i in intervals])
    assert held == pytest.approx(0.95, abs=0.015)  # three standard errors


@given(figures, figures)
def test_welch_is_that_of_scipy(one: list[float], two: list[float]) -> None:
    found = welch(one, two)
    assert found.difference == pytest.approx(np.mean(two) - np.mean(one), abs=1e-9)
    if len(set(one)) > 1 or len(set(two)) > 1:
        expected = stats.ttest_ind(two, one, equal_var=False)
        assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
        lower = stats.ttest_ind(two, one, equal_var=False, alternative="less")
        assert found.p_lower == pytest.approx(lower.pvalue, abs=1e-9)
        assert found.p_lower + found.p_higher == pytest.approx(1)
        assert found.is_beyond_noise == (found.p < 0.05)
        assert found.low <= found.difference <= found.high


@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=2, max_size=9))
def test_paired_is_that_of_scipy(pairs: list[tuple[float, float]]) -> None:
    one, two = (list(side) for side in zip(*pairs))
    found = paired(one, two)
    if np.std(np.subtract(two, one)) > 1e-6:
        expected = stats.ttest_rel(two, one)
        assert found.p == pytest.approx(expected.pvalue, abs=1e-6)
        assert found.degrees == pytest.approx(len(pairs) - 1)


@pytest.mark.parametrize(
    ("two", "p_lower", "p_higher"), [([1, 1], 1, 1), ([2, 2], 1, 0), ([0, 0], 0, 1)]
)
def test_without_any_spread_a_difference_is_certain(
    two: list[float], p_lower: float, p_higher: float
) -> None:
    found = welch([1, 1], two)
    assert (found.p_lower, found.p_higher) == (p_lower, p_higher)
    assert found.low == found.high == two[0] - 1


def test_figures_that_agree_are_no_more_certain_than_their_step() -> None:
    """As when three seeds reach the target in round 3 and three others in round 4."""
    assert welch([3, 3, 3], [4, 4, 4]).p == 0
    careful = welch([3, 3, 3], [4, 4, 4], resolution=1)
    assert careful.p == pytest.approx(2 * stats.t.sf(1 / math.sqrt(2 / 36), 4))
    spread = welch([3, 5, 9], [4, 6, 7], resolution=1)
    assert spread == welch([3, 5, 9], [4, 6, 7])
    assert paired([3, 5, 9], [4, 6, 10]).p == 0
    pairs = paired([3, 5, 9], [4, 6, 10], resolution=1)  # two uniform errors: 1 / 12 each
    assert pairs.p == pytest.approx(2 * stats.t.sf(1 / math.sqrt(1 / 6 / 3), 2))
    coarser = paired([2, 4, 8], [4, 6, 10], resolution=2)
    assert coarser.p == pytest.approx(2 * stats.t.sf(2 / math.sqrt(2 * 4 / 12 / 3), 2))
    assert paired([3, 5, 9], [4, 9, 4], resolution=1) == paired([3, 5, 9], [4, 9, 4])


@given(st.integers(1, 9999), st.integers(2, 12), st.integers(2, 12))
@example(x=100, one=3, two=5)
def test_equal_figures_are_the_same_whatever_their_number(x: int, one: int, two: int) -> None:
    """The rounded mean of 0.1, 0.1 and 0.1 exceeds 0.1; without a spread that would be certain."""
    value = x / 1000
    assert summarize([value] * one).mean == value
    first, second = dict.fromkeys(range(one), value), dict.fromkeys(range(100, 100 + two), value)
    for sign in (-1, 0, 1):
        found = compare(first, second, sign=sign, margin=0)
        assert (found.change, found.difference, found.is_beyond_noise) == ("same", 0, False)


@pytest.mark.parametrize("samples", [([1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0])])
def test_a_comparison_needs_two_figures_on_each_side(
    samples: tuple[list[float], list[float]],
) -> None:
    with pytest.raises(ValueError, match="two"):
        welch(*samples)
    with pytest.raises(ValueError, match="pairs"):
        paired(*samples)


@given(figures, st.floats(-100, 100))
def test_the_estimated_number_of_seeds_suffices_and_one_fewer_does_not(
    sample: list[float], threshold: float
) -> None:
    summary = summarize(sample)
    more = seeds_to_decide(summary, threshold)
    if more is None or summary.deviation is None or summary.deviation < 1e-6:
        return

    def reach(count: int, room: float) -> float:
        quantiles = stats.t.ppf(0.975, count - 1) + stats.t.ppf(room, count - 1)
        return float(quantiles) * (summary.deviation or 0) / math.sqrt(count)

    distance = abs(summary.mean - threshold)
    assert reach(len(sample) + more, 0.95 if more else 0.5) < distance * (1 + 1e-9)
    if more:
        fewer = len(sample) + more - 1
        assert reach(fewer, 0.95 if more > 1 else 0.5) >= distance * (1 - 1e-9)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_estimated_number_of_seeds_decides_in_four_of_five_cases(seeds: int) -> None:
    """For thresholds of 0.1 to 2.5 standard deviations from the true mean."""
    rng = np.random.default_rng(seeds)
    decided: list[bool] = []
    for distance in np.linspace(0.1, 2.5, 9).repeat(60):
        sample = rng.normal(size=seeds)
        more = seeds_to_decide(summarize(sample.tolist()), distance)
        if more:
            whole = [*sample, *rng.normal(size=more)]
            decided.append(seeds_to_decide(summarize(whole), distance) == 0)
    assert np.mean(decided) >= 0.75  # 0.8, within the error of so few cases


@pytest.mark.parametrize(
    ("difference", "margin", "pairs", "is_never"),
    [
        (0.02, 0.01, 5, False),
        (0.0, 0.01, 5, False),
        (0.01, 0.01, 5, False),
        (0.01, 0.01, 500, True),
    ],
)
def test_more_pairs_distinguish_two_runs_or_show_that_they_are_the_same(
    difference: float, margin: float, pairs: int, is_never: bool
) -> None:
    more = pairs_to_decide(difference, 0.02, pairs, margin, 0.01)
    assert (more is None) == is_never
    if more is not None:
        twice = pairs_to_decide(difference, 0.04, pairs, margin, 0.01)
        assert twice is not None and more < twice  # the wider the spread, the more


@pytest.mark.parametrize("largest", [0.0, 0.01, pytest.param(0.03, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("seeds", "deviation"), [pytest.param(5, 0.005, marks=pytest.mark.slow), (5, 0.01), (10, 0.01)]
)
def test_the_estimated_number_of_pairs_decides_in_four_of_five_cases(
    seeds: int, deviation: float, largest: float
) -> None:
    """For changes from none to some times the margin of 0.005."""
    rng = np.random.default_rng(seeds)
    decided: list[bool] = []
    for change in rng.uniform(-largest, largest, 120):
        drawn = rng.normal(change, deviation, MOST_SEEDS).tolist()

        def found(count: int, drawn: list[float] = drawn) -> Difference:
            before, now = dict.fromkeys(range(count), 0.0), dict(enumerate(drawn[:count]))
            return compare(before, now, sign=1, margin=0.005, level=0.001)

        if more := found(seeds).more_seeds:
            decided.append(found(seeds + more).change != "undecided")
    assert len(decided) > 20 and np.mean(decided) >= 0.75  # 0.8, within the error of so few


def test_a_mean_at_the_threshold_is_never_decided() -> None:
    assert seeds_to_decide(summarize([1, 3]), 2) is None
    assert seeds_to_decide(summarize([1]), 2) is None
    assert seeds_to_decide(summarize([1, 1]), 2) == 0
    assert seeds_to_decide(summarize([1, 1]), 1) == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_values_that_are_not_finite_are_refused(wrong: float, place: int) -> None:
    """Every comparison with NaN is False, so a test would never find anything."""
    sample = [1.0, 2.0, 3.0]
    sample[place] = wrong
    for test in (lambda: welch(sample, [1, 2, 3]), lambda: welch([1, 2], sample)):
        with pytest.raises(ValueError, match="must be finite"):
            test()
    with pytest.raises(ValueError, match="must be finite"):
        paired([1, 2, 3], sample)
    with pytest.raises(ValueError, match="must be finite"):
        summarize(sample)


@pytest.mark.parametrize("resolution", [-0.1, math.nan])
def test_a_resolution_is_at_least_0(resolution: float) -> None:
    with pytest.raises(ValueError, match="must be 0 or greater"):
        welch([1, 2], [1, 2], resolution=resolution)
    with pytest.raises(ValueError, match="must be 0 or greater"):
        paired([1, 2], [1, 2], resolution=resolution)


@pytest.mark.parametrize("unit", [1e-150, 1e-90, 1, 1e90])
def test_the_unit_of_figures_changes_no_p(unit: float) -> None:
    one, two = [1.0, 2.0, 4.0], [3.0, 3.5, 5.0]
    expected = welch(one, two)
    found = welch([x * unit for x in one], [x * unit for x in two])
    assert (found.p, found.degrees) == pytest.approx((expected.p, expected.degrees))
