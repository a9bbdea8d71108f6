"""Expectations judge the mean over seeds, at and around their thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_federated
from example_results import expect
from example_results import history as example_history
from pytest_federated.core.errors import ScenarioError
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.judging import Policy, judge
from pytest_federated.results.record import Verdict
from pytest_federated.scenario.loader import load_file
from pytest_federated.training.history import TrainingHistory

history = partial(example_history, test_examples=4)


def verdict(name: str, histories: list[TrainingHistory], **keys: Any) -> Verdict:
    (found,) = judge(expect(**{name: keys}), histories)
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
def test_a_loss_is_judged_by_its_mean(threshold: float, passed: bool) -> None:
    found = verdict("loss", [history([0.1], [0.3]), history([0.1], [0.5])], at_most=threshold)
    assert found.passed is passed
    assert found.measured == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("keys", "expected", "passed", "margin"),
    [
        ({"at_least": 0.7}, ">= 0.7", True, 0.1),
        ({"at_most": 0.7}, "<= 0.7", False, -0.1),
        ({"at_most": 0.85}, "<= 0.85", True, 0.05),
        ({"between": [0.7, 0.85]}, "0.7 to 0.85", True, 0.05),
        ({"at_least": 0.7, "at_most": 0.85}, "0.7 to 0.85", True, 0.05),
        ({"between": [0.85, 0.9]}, "0.85 to 0.9", False, -0.05),
        ({"between": [0.8, 0.8]}, "0.8 to 0.8", True, 0.0),
    ],
)
def test_bounds_are_judged_with_their_margin(
    keys: dict[str, Any], expected: str, passed: bool, margin: float
) -> None:
    found = verdict("accuracy", [history([0.8])], **keys)
    assert (found.expected, found.passed) == (expected, passed)
    assert found.margin == pytest.approx(margin, abs=1e-6)
    assert found.outcome == ("pass" if passed else "fail")


# 0.8 and 1.0 have the mean 0.9; its interval extends 12.706 * 0.1414 / 1.414 = 1.27 to both sides.
# That of 0.89 and 0.91 extends 0.127.
@pytest.mark.parametrize(
    ("accuracies", "threshold", "outcome", "passed"),
    [
        ((0.89, 0.91), 0.77, "pass", True),
        ((0.89, 0.91), 0.78, "inconclusive", True),
        ((0.89, 0.91), 0.91, "inconclusive", False),
        ((0.1, 0.11), 0.2, "fail", False),
        ((0.9, 0.9), 0.9, "pass", True),
        ((0.9, 0.9), 0.91, "fail", False),
    ],
)
def test_an_interval_on_both_sides_of_the_threshold_is_inconclusive(
    accuracies: tuple[float, ...], threshold: float, outcome: str, passed: bool
) -> None:
    found = verdict("accuracy", [history([a]) for a in accuracies], at_least=threshold)
    assert (found.outcome, found.passed) == (outcome, passed)
    assert (found.more_seeds is not None) == (outcome == "inconclusive")
    assert found.figures == accuracies


def test_the_estimated_number_of_further_seeds_decides() -> None:
    """A standard error of 0.0141 / sqrt(n), times Student's t for the interval and the error."""
    two = [history([a]) for a in (0.89, 0.91)]
    found = verdict("accuracy", two, at_least=0.85)
    assert found.outcome == "inconclusive" and found.more_seeds == 2
    assert (found.low, found.high) == (pytest.approx(0.77294, abs=1e-4), 1)  # a share
    sided = verdict("accuracy", two, between=[0.85, 0.905])
    assert sided.more_seeds == 105  # the nearer bound takes more


@pytest.mark.parametrize(
    ("policy", "threshold", "passed"),
    [
        ("mean", 0.88, True),
        ("mean", 0.92, False),
        *((p, t, p != "fail") for p in ("fail", "pass", "warn") for t in (0.88, 0.92)),
        *((p, 0.5, True) for p in ("mean", "fail", "pass", "warn")),
    ],
)
def test_each_policy_for_inconclusive_expectations(
    policy: Policy, threshold: float, passed: bool
) -> None:
    chosen = expect(accuracy={"at_least": threshold})
    two = [history([a]) for a in (0.89, 0.91)]
    (found,) = judge(chosen, two, inconclusive=policy)
    assert found.passed is passed
    assert found.outcome == ("pass" if threshold == 0.5 else "inconclusive")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("accuracy: {}", "accuracy.at_least: missing; needs at_least or at_most or between"),
        ("accuracy: {at_least: 1.1}", "accuracy.at_least: got 1.1; must be at most 1"),
        (
            "accuracy: {between: [0.1, 0.2], at_most: 0.3}",
            "accuracy.between: got [0.1, 0.2]; says it all; leave at_most out",
        ),
        ("accuracy: {between: [0.1]}", "got [0.1]; must have at least 2 item(s)"),
        (
            "loss: {between: [2, 1]}",
            "loss.between: got [2, 1]; nothing is at least 2 and at most 1",
        ),
        (
            "loss: {at_least: 2, at_most: 1.5}",
            "loss.at_most: got 1.5; nothing is at least 2 and at most 1.5",
        ),
    ],
)
def test_impossible_bounds_are_refused(tmp_path: Path, said: str, problem: str) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "f.yaml").write_text(FAIR.replace("fair: {at_most: 0.2, over: 3}", said))
    with pytest.raises(ScenarioError) as error:
        load_file(tmp_path / "f.yaml")
    assert problem in str(error.value)


def test_omitted_keys_are_not_in_the_settings(tmp_path: Path) -> None:
    """So records do not change when an expectation gets another key."""
    (tmp_path / "pytest.ini").touch()
    said = "accuracy: {at_least: 0.2}"
    (tmp_path / "f.yaml").write_text(FAIR.replace("fair: {at_most: 0.2, over: 3}", said))
    (case,) = load_file(tmp_path / "f.yaml")
    assert case.scenario.settings()["expect"] == {"accuracy": {"at_least": 0.2}}


def test_a_loss_that_is_not_finite_fails() -> None:
    found = verdict("loss", [history([0.1], [math.nan])], at_most=100.0)
    assert not found.passed and found.measured is None and found.note == "not finite"


@pytest.mark.parametrize(("at_most", "passed"), [(4, True), (3, True), (2, False)])
def test_rounds_to_accuracy_are_averaged_over_seeds(at_most: int, passed: bool) -> None:
    two = [history([0.1, 0.8, 0.7, 0.9]), history([0.1, None, 0.5, 0.8])]  # rounds 2 and 4
    found = verdict("rounds_to_accuracy", two, target=0.8, at_most=at_most)
    assert found.passed is passed
    assert found.measured == 3


def test_a_target_that_one_seed_misses_fails() -> None:
    two = [history([0.9]), history([0.7])]
    found = verdict("rounds_to_accuracy", two, target=0.8, at_most=10)
    assert not found.passed and found.measured is None
    assert found.note == "not reached in 1 of 2 seed(s)"


def test_the_last_evaluated_round_counts() -> None:
    """Rounds without an evaluation have no figure."""
    assert verdict("accuracy", [history([0.9, 0.8, None])], at_least=0.8).measured == 0.8


def test_expectations_are_judged_in_the_order_of_the_file() -> None:
    chosen = expect(loss={"at_most": 0.5}, accuracy={"at_least": 0.5})
    found = judge(chosen, [history([0.6], [1.0])])
    assert [(v.expectation, v.passed) for v in found] == [("loss", False), ("accuracy", True)]


# Expectations of the user

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
def own_expectations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes what a test registers."""
    monkeypatch.setattr(expectations, "_entries", expectations.entries())


def test_an_expectation_of_the_user_can_be_used_in_files(
    own_expectations: None, tmp_path: Path
) -> None:
    @pytest_federated.expectation("fair")
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
    with pytest.raises(ScenarioError, match=r"expect\.fair\.at_most: missing") as error:
        load_file(file)
    assert "expect.fair.at_least: unknown key" in str(error.value)


def test_an_unregistered_expectation_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "f.yaml").write_text(FAIR)
    with pytest.raises(ScenarioError, match=r"expect\.fair: unknown key"):
        load_file(tmp_path / "f.yaml")


def test_a_name_that_another_module_took_is_refused(own_expectations: None) -> None:
    with pytest.raises(ValueError, match="expectation 'accuracy' is already registered by"):

        @pytest_federated.expectation("accuracy")
        def accuracy(histories: Sequence[TrainingHistory]) -> Verdict:
            raise AssertionError("never called")
