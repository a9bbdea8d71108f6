"""Change points: none where nothing changed, and a step where it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_federated.metrics.change_points import change_points

lengths = st.integers(5, 30)
levels = st.floats(-1e6, 1e6).filter(lambda level: abs(level) > 1e-3)
series = st.lists(st.integers(-1000, 1000).map(float), max_size=40)


@given(st.floats(-1e9, 1e9), st.integers(0, 130))
def test_a_constant_series_has_none(value: float, length: int) -> None:
    assert change_points([value] * length) == []


@given(levels, levels, st.integers(1, 70), st.integers(2, 70), st.booleans())
@example(-731271.5117751976, -0.10101787042252375, 13, 64, False)  # whose mean is rounded
@example(0.1, 0.1 + 2**-55, 1, 70, True)
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
