"""Change points: none where nothing changed, and a step where it is."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_federated.metrics.change_points import (
    _best,
    _candidates,
    _divided,
    _merged,
    _p_value,
    change_points,
)
from scipy import stats

lengths = st.integers(5, 30)
levels = st.floats(-1e6, 1e6).filter(lambda level: abs(level) > 1e-3)
series = st.lists(st.integers(-1000, 1000).map(float), max_size=40)


@given(st.floats(-1e9, 1e9), st.integers(0, 130))
def test_a_constant_series_has_none(value: float, length: int) -> None:
    assert change_points([value] * length) == []


@given(levels, levels, st.integers(1, 70), st.integers(2, 70), st.booleans())
@example(-731271.5117751976, -0.10101787042252375, 13, 64, False)  # whose mean is rounded
@example(0.1, 0.1 + 2**-55, 1, 70, True)
@example(1.0, 2.0, 1, 2, False)  # as few as can have a spread
def test_a_step_is_at_its_place(
    one: float, two: float, before: int, after: int, is_turned: bool
) -> None:
    """However long both sides are, but of two values alone, which have no spread."""
    if one == two:
        return
    values = [one] * before + [two] * after
    place = before
    if is_turned:
        values, place = values[::-1], after
    assert change_points(values) == [place]


@given(lengths, lengths, st.integers(0, 2**32 - 1))
def test_a_step_is_found_among_noise_that_does_not_matter(
    before: int, after: int, seed: int
) -> None:
    noise = np.random.default_rng(seed).uniform(-0.01, 0.01, before + after)
    values = noise + np.repeat([0.0, 1.0], [before, after])
    assert change_points(values.tolist(), least=0.1) == [before]


@given(series, st.integers(-30, 30).map(lambda power: 2.0**power), st.booleans())
def test_the_unit_and_its_sign_do_not_matter(
    values: list[float], factor: float, is_negative: bool
) -> None:
    """Factors are powers of two, with which no value is rounded."""
    factor = -factor if is_negative else factor
    assert change_points([v * factor for v in values]) == change_points(values)


@given(series, st.integers(-1000, 1000))
def test_the_zero_of_the_scale_does_not_matter(values: list[float], shift: int) -> None:
    assert change_points([v + shift for v in values]) == change_points(values)


@given(series, st.floats(0, 500))
def test_no_change_is_smaller_than_what_matters(values: list[float], least: float) -> None:
    points = change_points(values, least=least)
    ends = [0, *points, len(values)]
    means = [float(np.mean(values[a:b])) for a, b in zip(ends, ends[1:]) if b > a]
    assert all(abs(b - a) > least for a, b in zip(means, means[1:]))


def test_a_stricter_level_finds_fewer() -> None:
    values = [0.0, 0.2, 0.1, 0.0, 0.1, 0.4, 0.5, 0.6, 0.5, 0.4]
    assert change_points(values) == [5]
    assert change_points(values, level=1e-9) == []


def test_two_levels_and_back_are_two_changes() -> None:
    assert change_points([0.0] * 20 + [1.0] * 3 + [0.0] * 20) == [20, 23]


def test_many_levels_over_several_windows_are_found() -> None:
    places = [30, 70, 110, 150]
    values = np.repeat([0.0, 5.0, 1.0, 6.0, 2.0], [30, 40, 40, 40, 50])
    noise = np.random.default_rng(0).normal(0, 0.3, len(values))
    assert change_points((values + noise).tolist()) == places


def test_noise_alone_seldom_has_a_change() -> None:
    """Of 200 series of noise, where a false alarm in each test has a chance of 0.001."""
    rng = np.random.default_rng(0)
    false = sum(bool(change_points(rng.normal(size=30).tolist())) for _ in range(200))
    assert false <= 10


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_figures_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        change_points([1.0, value])


# Its parts, against their definitions


def divergence(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """Returns Q of two samples, of Matteson and James, equations 5 and 6, as they are written."""

    def within(values: np.ndarray[Any, Any]) -> float:
        pairs = list(itertools.combinations(values, 2))
        return sum(abs(a - b) for a, b in pairs) / len(pairs) if pairs else 0.0

    n, m = len(left), len(right)
    between = 2 * sum(abs(a - b) for a in left for b in right) / (n * m)
    return n * m / (n + m) * (between - within(left) - within(right))


numbers = st.lists(st.integers(-9, 9).map(float), min_size=2, max_size=9).map(np.array)


@given(numbers, st.lists(st.integers(-9, 9).map(float), max_size=3))
def test_the_two_parts_that_diverge_most_are_found(
    segment: np.ndarray[Any, Any], before: list[float]
) -> None:
    """Of a segment inside a series, which starts after other values and ends before others."""
    series = np.array([*before, *segment, 50.0])
    distances = np.abs(series[:, None] - series[None, :])
    sums = np.pad(distances.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    start, end = len(before), len(before) + len(segment)
    quality, point, stop = _best(sums, start, end)
    assert start < point < stop <= end
    assert quality == pytest.approx(divergence(series[start:point], series[point:stop]))
    assert quality == pytest.approx(
        max(
            divergence(series[start:one], series[one:other])
            for one in range(start + 1, end)
            for other in range(one + 1, end + 1)
        )
    )


@given(numbers, numbers)
def test_the_chance_is_that_of_students_test(
    left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]
) -> None:
    for one, two in ((left, right), (left[:1], right), (left, right[:1])):
        if np.ptp(one) or np.ptp(two):
            found = stats.f_oneway(one, two).statistic  # of two samples, the same test
            # Rounding may make it negative, of which SciPy says that the chance is NaN.
            expected = stats.f.sf(max(found, 0.0), 1, len(one) + len(two) - 2)
            assert _p_value(one, two) == pytest.approx(expected, abs=1e-12)


def test_values_without_spread_are_certain_or_say_nothing() -> None:
    one, two, three = np.array([1.0]), np.array([2.0]), np.array([2.0, 2.0])
    assert _p_value(one, two) == 1.0
    assert _p_value(one, three) == _p_value(three, one) == 0.0
    assert _p_value(three, three) == 1.0


def test_the_least_certain_candidate_is_taken_out_first() -> None:
    """With all three, the middle one is uncertain; once it is gone, its neighbors have more."""
    series = np.array([0.0, 0.1, 0.0, 0.1, 5.0, 5.3, 5.1, 5.2, 9.0, 9.1, 9.0, 9.1])
    assert _merged(series, [4, 6, 8], 0.0, 0.001) == [4, 8]
    assert _merged(series, [4, 6, 8], 3.95, 0.001) == [4]  # 5.1 from 0, and 3.9 of it
    assert _merged(series, [4, 6, 8], 9.0, 0.001) == []
    assert _merged(series, [], 0.0, 0.001) == []


def test_changes_down_are_as_large_as_changes_up() -> None:
    series = np.array([9.0, 9.1, 9.0, 9.1, 5.0, 5.1, 5.0, 5.1, 0.0, 0.1, 0.0, 0.1])
    assert _merged(series, [4, 8], 4.5, 0.001) == [8]
    assert _merged(series, [4, 8], 7.5, 0.001) == []


def test_a_difference_of_exactly_what_does_not_matter_yet_is_none() -> None:
    series = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    assert _merged(series, [3], 1.0, 0.001) == []
    assert _merged(series, [3], 0.99, 0.001) == [3]


def test_a_candidate_needs_the_level_or_two_parts_that_are_very_certain() -> None:
    """Here 1 after 0, four times each: p is 0.0004 with the spread that the series has."""
    series = np.array([0.0, 0.3, 0.0, 0.3, 1.0, 1.3, 1.0, 1.3])
    p = _p_value(series[:4], series[4:])
    assert 1e-4 < p < 1e-2
    assert _divided(series, p * 1.01) == [4]
    assert _divided(series, p * 0.99) == []
    back = np.array([*series, *[0.15] * 9])  # later values speak against it
    assert _p_value(back[:4], back[4:]) > 0.05
    assert 4 not in _divided(back, 0.01)
    assert _divided(back, 1000 * p * 1.01)[:1] == [4]


def test_a_candidate_is_found_in_the_second_half_of_a_window_and_in_the_next() -> None:
    """A window starts at the last change of the one before, or half a window after its start."""
    for place in (30, 49, 50, 51, 74, 75, 76, 99, 100, 101):
        series = np.array([0.0] * place + [1.0] * (130 - place))
        assert _candidates(series, 0.01) == [place]


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_segment_without_a_change_does_not_end_the_search(is_turned: bool) -> None:
    """Whether it comes before or after the segment that has one."""
    noise = [0.0, 0.1] * 4
    series = np.concatenate([noise, np.add(noise, 1.0), np.add(noise, 9.0)])
    assert _divided(series[::-1] if is_turned else series, 0.01) == [8, 16]


def test_two_values_far_apart_do_not_end_the_search() -> None:
    series = np.array([*[5.0, 5.1] * 8, *[6.0, 6.1] * 8, 90.0, 140.0])
    assert _divided(series, 0.01) == [16, 32]
