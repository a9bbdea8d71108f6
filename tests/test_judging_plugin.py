"""What pytest makes of verdicts. The trainings are made up, so that no test needs TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import pytest
import scipy.special

from harness.training.history import Round, TrainingHistory

# Imported before pytester takes its snapshot of sys.modules: otherwise each run imports it anew.
assert scipy.special

SCENARIO = """\
schema: 1
name: made
data: {dataset: digits}
clients: {count: 4}
model: {kind: mlp, hidden: [16]}
training: {rounds: 3}
seeds: [0, 1]
expect:
  accuracy: {at_least: 0.88}
"""


def history(seed: int, accuracies: Sequence[Optional[float]]) -> TrainingHistory:
    rounds = [
        Round(
            round=number,
            clients=4,
            held_examples=20,
            examples=20,
            train_loss=1.0,
            train_accuracy=0.5,
            accuracy=accuracy,
            loss=None if accuracy is None else 1 - accuracy,
        )
        for number, accuracy in enumerate(accuracies, start=1)
    ]
    return TrainingHistory(
        seed=seed, rounds=tuple(rounds), client_examples=(5, 5, 5, 5), test_examples=100
    )


class Made:
    """Trainings that were never run: the final accuracy of each seed is as set here."""

    def __init__(self) -> None:
        self.accuracies = {0: 0.89, 1: 0.91}
        self.trained: list[int] = []

    def train(self, scenario: Any, seed: int, *rest: Any) -> TrainingHistory:
        self.trained.append(seed)
        return history(seed, [0.5, 0.7, self.accuracies[seed]])


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> Made:
    """One scenario in scenarios/made.yaml, and what its trainings give."""
    trainings = Made()
    monkeypatch.setattr("harness.pipeline.train_seed", trainings.train)
    folder = pytester.path / "scenarios"
    folder.mkdir()
    (folder / "made.yaml").write_text(SCENARIO)
    return trainings


@pytest.mark.parametrize(
    ("arguments", "outcomes"),
    [
        ([], {"passed": 1}),
        (["--fed-inconclusive=mean"], {"passed": 1}),
        (["--fed-inconclusive=pass"], {"passed": 1}),
        (["--fed-inconclusive=warn"], {"passed": 1, "warnings": 1}),
        (["--fed-inconclusive=fail"], {"failed": 1}),
        (["-o", "fed_inconclusive=fail"], {"failed": 1}),
    ],
)
def test_an_inconclusive_expectation(
    pytester: pytest.Pytester, made: Made, arguments: list[str], outcomes: dict[str, int]
) -> None:
    result = pytester.runpytest_inprocess("scenarios", *arguments)
    result.assert_outcomes(**outcomes)
    result.stdout.no_fnmatch_line("*Traceback*")
    if "warnings" in outcomes:
        result.stdout.fnmatch_lines(
            ["*Inconclusive: made: accuracy 0.9 ± 0.014, expected >= 0.88 (inconclusive): pass*"]
        )


def test_a_miss_shows_the_interval_and_each_seed(pytester: pytest.Pytester, made: Made) -> None:
    made.accuracies = {0: 0.85, 1: 0.89}
    result = pytester.runpytest_inprocess("scenarios")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "accuracy 0.87 ± 0.028, expected >= 0.88 (inconclusive)",
            "scenarios/made.yaml::made (line 1)",
            "expectation *expected *measured *95 % interval *margin *verdict",
            "accuracy * >= 0.88 *0.87 ± 0.028 *0.6159 to 1.124 *-0.01 *FAIL (inconclusive; *seed*",
            "*seed *accuracy",
            "0 * 0.85",
            "1 * 0.89",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fed-inconclusive=maybe"], "*invalid choice: 'maybe'*"),
        (["-o", "fed_inconclusive=means"], "*got 'means'; allowed: mean, *did you mean 'mean'?"),
    ],
)
def test_a_policy_that_does_not_exist(
    pytester: pytest.Pytester, made: Made, arguments: list[str], said: str
) -> None:
    result = pytester.runpytest_inprocess("scenarios", *arguments)
    (result.stderr if result.ret == pytest.ExitCode.USAGE_ERROR else result.stdout).fnmatch_lines(
        [said]
    )
    assert result.ret != pytest.ExitCode.OK
    assert not made.trained
