"""Expectations judge the mean over seeds, at and around their thresholds."""

from __future__ import annotations

import math
from typing import Any, Optional

import pytest

from harness.checks import checks, judge
from harness.results import Verdict
from harness.training.history import Round, TrainingHistory


def history(
    accuracies: list[Optional[float]], losses: Optional[list[float]] = None, seed: int = 0
) -> TrainingHistory:
    losses = losses or [1.0] * len(accuracies)
    rounds = tuple(
        Round(
            round=i,
            clients=2,
            held_examples=10,
            examples=10,
            train_loss=1.0,
            train_accuracy=0.5,
            accuracy=a,
            loss=None if a is None else loss,
        )
        for i, (a, loss) in enumerate(zip(accuracies, losses), start=1)
    )
    return TrainingHistory(seed=seed, rounds=rounds, client_examples=(5, 5), test_examples=4)


def verdict(name: str, histories: list[TrainingHistory], **keys: Any) -> Verdict:
    (found,) = judge({name: checks[name].params.model_validate(keys)}, histories)
    return found


@pytest.mark.parametrize(
    ("threshold", "passed", "margin"), [(0.8, True, 0.1), (0.9, True, 0.0), (0.91, False, -0.01)]
)
def test_accuracy_is_that_of_the_last_round(threshold: float, passed: bool, margin: float) -> None:
    three = [history([0.99, a]) for a in (0.8, 0.9, 1.0)]
    found = verdict("accuracy", three, at_least=threshold)
    assert found.passed is passed
    assert found.measured == pytest.approx(0.9)
    assert found.spread == pytest.approx(0.1)
    assert found.margin == pytest.approx(margin, abs=1e-6)


def test_the_mean_of_equal_figures_meets_their_threshold() -> None:
    assert verdict("accuracy", [history([0.9])] * 3, at_least=0.9).passed


def test_one_seed_has_no_spread() -> None:
    assert verdict("accuracy", [history([0.9])], at_least=0.5).spread is None


@pytest.mark.parametrize(("threshold", "passed"), [(0.5, True), (0.4, True), (0.39, False)])
def test_loss(threshold: float, passed: bool) -> None:
    found = verdict("loss", [history([0.1], [0.3]), history([0.1], [0.5])], at_most=threshold)
    assert found.passed is passed
    assert found.measured == pytest.approx(0.4)


def test_a_loss_that_is_no_number_fails() -> None:
    found = verdict("loss", [history([0.1], [math.nan])], at_most=100.0)
    assert not found.passed and found.measured is None and found.note == "not finite"


@pytest.mark.parametrize(("at_most", "passed"), [(4, True), (3, True), (2, False)])
def test_rounds_to_accuracy(at_most: int, passed: bool) -> None:
    two = [history([0.1, 0.8, 0.7, 0.9]), history([0.1, None, 0.5, 0.8])]  # rounds 2 and 4
    found = verdict("rounds_to_accuracy", two, target=0.8, at_most=at_most)
    assert found.passed is passed
    assert found.measured == 3


def test_a_target_that_one_seed_misses() -> None:
    two = [history([0.9]), history([0.7])]
    found = verdict("rounds_to_accuracy", two, target=0.8, at_most=10)
    assert not found.passed and found.measured is None
    assert found.note == "not reached by 1 of 2 seed(s)"
