"""Rounds, bytes and times faster to a target: by hand, and as McMahan et al. define them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from example_results import history
from hypothesis import given
from hypothesis import strategies as st
from pytest_federated.metrics.targets import (
    Speedup,
    bytes_until,
    curve,
    is_by_round,
    rounds_to,
    speedup,
    unreachable,
)
from scipy import stats

POINTS = [(2, 0.5), (4, 0.7), (6, 0.6), (8, 0.8)]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (0.6, 3.0),  # halfway between rounds 2 and 4
        (0.7, 4.0),
        (0.75, 7.0),  # from the best so far, 0.7, not from the 0.6 of round 6
        (0.8, 8.0),
        (0.81, None),
        (0.5, 2.0),
        (0.1, 2.0),  # nothing is known before the first evaluation
    ],
)
def test_a_target_is_crossed_between_evaluated_rounds(target: float, expected: object) -> None:
    assert rounds_to(POINTS, target) == (expected and pytest.approx(expected))


def test_a_loss_is_crossed_downward() -> None:
    points = [(1, 2.0), (2, 1.0), (3, 0.5)]
    assert rounds_to(points, 0.75, sign=-1) == 2.5
    assert rounds_to(points, 0.4, sign=-1) is None


def test_values_that_are_not_finite_reach_nothing() -> None:
    assert rounds_to([(1, math.inf), (2, math.nan), (3, 0.5)], 0.4) == 3
    assert rounds_to([], 0.4) is None


curves = st.lists(st.floats(0, 1), min_size=1, max_size=12).map(
    lambda values: list(enumerate(values, start=1))
)


@given(curves, st.floats(0, 1))
def test_the_crossing_is_that_of_the_best_so_far_by_linear_interpolation(
    points: list[tuple[int, float]], target: float
) -> None:
    rounds, best = [n for n, _ in points], np.maximum.accumulate([v for _, v in points])
    crossed = rounds_to(points, target)
    if best[-1] < target:
        assert crossed is None
    else:
        assert crossed is not None
        first = next(n for n, b in zip(rounds, best) if b >= target)
        assert max(1, first - 1) <= crossed <= first
        if crossed > 1:
            assert np.interp(crossed, rounds, best) == pytest.approx(target)


@given(curves, st.floats(0, 1), st.floats(0, 1))
def test_a_harder_target_is_reached_no_sooner(
    points: list[tuple[int, float]], one: float, other: float
) -> None:
    easy, hard = (rounds_to(points, target) for target in sorted((one, other)))
    assert hard is None or (easy is not None and easy <= hard + 1e-9)


def test_a_curve_has_the_evaluated_rounds() -> None:
    one = history([None, 0.5, None, 0.75])
    assert curve(one, "accuracy") == [(2, 0.5), (4, 0.75)]
    assert curve(one, "loss") == [(2, 0.5), (4, 0.25)]
    assert curve(one, "f1") == []


def test_a_target_is_one_of_metrics_that_each_evaluation_has() -> None:
    assert is_by_round("accuracy") and is_by_round("loss") and is_by_round("f1")
    assert not is_by_round("worst_client_accuracy") and not is_by_round("nothing")


def test_a_fraction_of_a_round_has_that_share_of_its_bytes() -> None:
    one = history([0.1, 0.2, 0.3], bytes_up=100, bytes_down=300)
    assert [bytes_until(one, rounds) for rounds in (0.5, 1, 1.25, 3)] == [200, 400, 500, 1200]
    assert bytes_until(history([0.1, 0.2]), 1.5) is None


def test_times_faster_is_the_geometric_mean_of_pairs_with_the_interval_of_their_logarithms() -> (
    None
):
    slow, fast = {0: 8.0, 1: 6.0, 2: 10.0}, {2: 4.0, 0: 4.0, 1: 4.0, 9: 1.0}
    logs = np.log([8 / 4, 6 / 4, 10 / 4])
    half = stats.t.ppf(0.975, 2) * logs.std(ddof=1) / math.sqrt(3)
    times = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
    found = speedup(slow, fast)
    assert found is not None and found.pairs == 3
    assert (found.times, found.low, found.high) == pytest.approx(tuple(times))


def test_a_single_pair_has_no_interval_and_a_seed_that_does_not_get_there_no_speedup() -> None:
    one = speedup({0: 8.0}, {0: 4.0, 1: 2.0})
    assert one and one == Speedup(one.times, None, None, 1) and one.times == pytest.approx(2)
    assert speedup({0: 8.0, 1: 8.0}, {0: 4.0, 1: None}) is None
    assert speedup({0: 8.0, 1: None}, {0: 4.0, 1: 4.0}) is None
    assert speedup({0: 8.0}, {1: 4.0}) is None


rounds = st.floats(0.5, 100)
paired_rounds = st.lists(st.tuples(rounds, rounds), min_size=2, max_size=8)


@given(paired_rounds, st.randoms(use_true_random=False))
def test_swapping_the_reference_turns_the_speedup_around_and_the_order_of_seeds_is_none(
    pairs: list[tuple[float, float]], random: object
) -> None:
    one, two = ({seed: pair[side] for seed, pair in enumerate(pairs)} for side in (0, 1))
    there, back = speedup(one, two), speedup(two, one)
    assert there and back and there.low and there.high and back.low and back.high
    assert there.times * back.times == pytest.approx(1)
    assert there.low * back.high == pytest.approx(1)
    shuffled = dict(random.sample(sorted(one.items()), len(one)))  # pyright: ignore
    again = speedup(shuffled, two)
    assert again and (again.times, again.low) == pytest.approx((there.times, there.low))


@pytest.mark.parametrize(
    ("name", "target", "reason"),
    [
        ("accuracy", 0.0, ""),
        ("accuracy", 0.5, ""),
        ("accuracy", 1.0, ""),
        ("accuracy", -0.01, "got -0.01; accuracy is from 0 to 1"),
        ("accuracy", 95, "got 95; accuracy is from 0 to 1"),
        ("loss", 3.0, ""),
        ("gini", 0.5, "gini is not measured in each round; leave them out"),
    ],
)
def test_a_target_that_no_training_can_reach_is_named(
    name: str, target: float, reason: str
) -> None:
    assert unreachable(name, target) == reason
