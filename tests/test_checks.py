"""Expectations judge the mean over seeds, at and around their thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import pytest

import harness
from harness.checks import checks, judge
from harness.errors import ScenarioError
from harness.results import Verdict
from harness.scenario import load_file
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


def test_the_last_evaluated_round_counts() -> None:
    """Rounds after which the test set was not evaluated have no figure."""
    assert verdict("accuracy", [history([0.9, 0.8, None])], at_least=0.8).measured == 0.8


def test_expectations_are_judged_in_the_order_of_the_file() -> None:
    wanted = {"loss": {"at_most": 0.5}, "accuracy": {"at_least": 0.5}}
    chosen = {name: checks[name].params.model_validate(keys) for name, keys in wanted.items()}
    found = judge(chosen, [history([0.6])])
    assert [(v.expectation, v.passed) for v in found] == [("loss", False), ("accuracy", True)]


# A check of one's own

FAIR = """\
schema: 1
name: tiny
data: {dataset: digits}
clients: {count: 4}
model: mlp
training: {rounds: 2}
expect:
  fair: {at_most: 0.2, over: 3}
"""


@pytest.fixture
def own_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(checks, "_entries", dict(checks._entries))


def test_a_check_of_ones_own_can_be_used_in_files(own_checks: None, tmp_path: Path) -> None:
    @harness.check("fair")
    def fair(histories: Sequence[TrainingHistory], *, at_most: float, over: int = 1) -> Verdict:
        return Verdict(expectation="fair", expected=f"<= {at_most} over {over}", passed=False)

    (tmp_path / "pytest.ini").touch()
    file = tmp_path / "f.yaml"
    file.write_text(FAIR)
    (case,) = load_file(file)
    assert judge(case.scenario.expect, []) == (
        Verdict(expectation="fair", expected="<= 0.2 over 3", passed=False),
    )
    file.write_text(FAIR.replace("at_most: 0.2", "at_least: 0.2"))
    with pytest.raises(ScenarioError, match=r"expect\.fair\.at_most: missing") as bad:
        load_file(file)
    assert "expect.fair.at_least: unknown key" in str(bad.value)


def test_an_unregistered_check_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "f.yaml").write_text(FAIR)
    with pytest.raises(ScenarioError, match=r"expect\.fair: unknown key"):
        load_file(tmp_path / "f.yaml")


def test_a_name_that_another_module_took_is_refused(own_checks: None) -> None:
    with pytest.raises(ValueError, match="expectation 'accuracy' is already registered by"):

        @harness.check("accuracy")
        def accuracy(histories: Sequence[TrainingHistory]) -> Verdict:
            raise AssertionError("never called")
