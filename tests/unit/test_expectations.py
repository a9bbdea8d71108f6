"""Each expectation's figure on hand-made histories, checked against its definition."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from example_results import expect, history
from hypothesis import given
from hypothesis import strategies as st
from made_trainings import TRAIN, followed
from pytest_federated.core.errors import FederatedError, ScenarioError
from pytest_federated.expectations.judging import judge
from pytest_federated.results.record import Verdict
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.running.store import Store
from pytest_federated.scenario.loader import load_file
from pytest_federated.scenario.references import compared
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.history import TrainingHistory
from pytest_federated.training.observer import Observer, Progress, Run


def verdict(name: str, *trainings: TrainingHistory, **keys: Any) -> Verdict:
    (found,) = judge(expect(**{name: keys}), trainings)
    return found


def measured(name: str, training: TrainingHistory, **keys: Any) -> Optional[float]:
    return verdict(name, training, at_most=1, **keys).measured


curves = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=1, max_size=8)


# Accuracy


@given(curves, st.integers(1, 3))
def test_accuracies_by_round_follow_their_definitions(curve: list[float], every: int) -> None:
    spaced = list(itertools.chain(*([*[None] * (every - 1), a] for a in curve)))
    one = history(spaced)
    assert measured("best_accuracy", one) == max(curve)
    rounds = np.arange(1, len(curve) + 1) * every
    area = np.trapz(curve, rounds) / (rounds[-1] - rounds[0]) if len(curve) > 1 else curve[0]
    assert measured("accuracy_area", one) == pytest.approx(area, abs=1e-5)
    drops = [high - low for high, low in itertools.combinations(curve, 2)]
    assert measured("accuracy_drop", one) == pytest.approx(max([0, *drops]), abs=1e-5)


def test_an_area_weighs_rounds_not_evaluations() -> None:
    assert measured("accuracy_area", history([0.0, 1.0, None, None, 1.0])) == pytest.approx(0.875)


def test_a_curve_is_monotone_within_a_tolerance() -> None:
    one = history([0.5, 0.6, 0.58, 0.59, 0.7])
    assert verdict("accuracy_drop", one, at_most=0.02).passed
    assert not verdict("accuracy_drop", one, at_most=0.019).passed


# Bytes


@pytest.mark.parametrize(("direction", "sent"), [("up", 200), ("down", 2000), ("both", 2200)])
def test_bytes_are_counted_until_the_target(direction: str, sent: int) -> None:
    one = history([0.5, 0.8, 0.9], bytes_up=100, bytes_down=1000)
    keys = {"target": 0.8, "direction": direction}
    found = verdict("bytes_to_accuracy", one, at_most=sent, **keys)
    assert (found.measured, found.passed) == (sent, True)
    assert found.expected == f"0.8 within {sent} bytes ({direction})"
    assert not verdict("bytes_to_accuracy", one, at_most=sent - 1, **keys).passed


# Clients and labels

CLIENTS = tuple(n / 20 for n in range(20, 0, -1))  # twenty clients: 1.0, 0.95, ... 0.05


@pytest.mark.parametrize("personalized", [False, True])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("client_accuracy", np.mean(CLIENTS)),
        ("worst_client_accuracy", 0.05),
        ("worst_tenth_accuracy", 0.075),
        ("client_accuracy_deviation", np.std(CLIENTS)),
    ],
)
def test_client_figures_follow_their_definitions(
    name: str, expected: float, personalized: bool
) -> None:
    field, other = "client_accuracy", "personalized_accuracy"
    given = {other: CLIENTS, field: (0.5,)} if personalized else {field: CLIENTS, other: (0.5,)}
    found = measured(name, history([0.5], **given), personalized=personalized)
    assert found == pytest.approx(expected, abs=1e-5)
    shown = verdict(name, history([0.5], **given), at_most=1, personalized=personalized).expected
    assert shown == ("<= 1 (personalized)" if personalized else "<= 1")


@pytest.mark.parametrize(("clients", "worst"), [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_a_tenth_is_rounded_up(clients: int, worst: int) -> None:
    """The worst tenth is exactly the `worst` clients that have accuracy 0."""
    accuracies = (0.0,) * worst + (1.0,) * (clients - worst)
    assert measured("worst_tenth_accuracy", history([0.5], client_accuracy=accuracies)) == 0
    fewer = (0.0,) * (worst - 1) + (1.0,) * (clients - worst + 1)
    found = measured("worst_tenth_accuracy", history([0.5], client_accuracy=fewer))
    assert found == pytest.approx(1 / worst, abs=1e-5)


def test_recall_of_a_label_or_of_the_worst() -> None:
    one = history([0.5], class_recall=(0.9, None, 0.4))
    assert measured("class_recall", one, label=0) == 0.9
    assert measured("class_recall", one) == 0.4
    missing = verdict("class_recall", one, at_least=0, label=1)
    assert not missing.passed and missing.note == "label 1 not in the test set in 1 of 1 seed(s)"
    assert missing.expected == ">= 0 (label 1)"


def test_class_recall_finds_a_label_by_its_name() -> None:
    one = history([0.5], class_recall=(0.9, 0.4), label_names=("died", "survived"))
    assert measured("class_recall", one, label="survived") == 0.4
    unknown = verdict("class_recall", one, at_least=0, label="dyed")
    assert not unknown.passed
    assert unknown.note == "no label 'dyed' among died, survived in 1 of 1 seed(s)"
    stars = history([0.5], class_recall=(0.9, 0.4), label_names=("1", "5"))
    assert measured("class_recall", stars, label=5) == 0.4, "a number is a name, too"
    assert not verdict("class_recall", stars, at_least=0, label=0).passed


# Privacy and time


@pytest.mark.parametrize(("delta", "passed"), [(None, True), (1e-5, True), (1e-6, False)])
def test_epsilon_belongs_to_its_delta(delta: Optional[float], passed: bool) -> None:
    one = history([0.5], epsilon=2.0, delta=1e-5)
    found = verdict("epsilon", one, at_most=3.0, delta=delta)
    assert found.passed is passed
    assert found.measured == (2.0 if passed else None)
    assert not verdict("epsilon", one, at_most=1.9).passed


def test_time_is_judged_on_request_only() -> None:
    chosen = expect(seconds_per_round={"at_most": 0.5})
    slow = [history([0.1] * 4, seconds=(9.0, 0.6, 0.7, 0.8))]
    (off,) = judge(chosen, slow)
    assert (off.passed, off.outcome, off.measured) == (True, "not judged", None)
    (on,) = judge(chosen, slow, benchmark=True)
    assert (on.passed, on.measured, on.margin) == (False, 0.7, pytest.approx(-0.2))


# Functions of the user


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "figures_of_mine.py").write_text(
        "import numpy as np\n"
        "def last(history, times=1): return np.float32(times * history.evaluated[-1].accuracy)\n"
        "def broken(history): raise KeyError('x')\n"
        "def word(history): return 'good'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "figures_of_mine"


def test_a_function_of_the_user_is_measured(module: str) -> None:
    found = verdict(
        "custom", history([0.25]), function=f"{module}:last", args={"times": 2}, at_least=0.5
    )
    assert (found.measured, found.passed) == (0.5, True)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            "figures_of_mine:broken",
            r": figures_of_mine:broken raised KeyError: 'x' "
            r"\(line \d+ of .*/figures_of_mine\.py: .*\)",
        ),
        ("figures_of_mine:word", ": figures_of_mine:word gave 'good'; it must give a number"),
        (
            "figures_of_mine:none",
            r"\.function: the module 'figures_of_mine' has no function 'none'",
        ),
        (
            "no_such_module:f",
            r"\.function: ModuleNotFoundError: No module named 'no_such_module'; looked in .*",
        ),
    ],
)
def test_a_function_that_fails_is_named(module: str, function: str, said: str) -> None:
    with pytest.raises(FederatedError) as error:
        verdict("custom", history([0.25]), function=function, at_least=0)
    assert re.fullmatch(f"expect\\.custom{said}", str(error.value))


# What was not measured

NOT_MEASURED = {
    "bytes_to_accuracy": "bytes not measured",
    "client_accuracy": "accuracy of clients not measured",
    "worst_client_accuracy": "accuracy of clients not measured",
    "worst_tenth_accuracy": "accuracy of clients not measured",
    "client_accuracy_deviation": "accuracy of clients not measured",
    "class_recall": "recall not measured",
    "epsilon": "no differential privacy",
}


@pytest.mark.parametrize("name", NOT_MEASURED)
def test_a_missing_measurement_fails(name: str) -> None:
    keys = {"target": 0.1} if name == "bytes_to_accuracy" else {}
    found = verdict(name, history([0.5]), history([0.5]), at_most=1, **keys)
    assert (found.passed, found.measured) == (False, None)
    assert found.note == f"{NOT_MEASURED[name]} in 2 of 2 seed(s)"


# Compared with other trainings

SCENARIO = """\
schema: 1
name: a
data: {dataset: digits}
clients: {count: 4, split: {kind: dirichlet, alpha: 1}}
model: mlp
training: {rounds: 2}
seeds: [0, 1]
"""
MATRIX = SCENARIO + "matrix: {clients.split.alpha: [0.1, 1, 100]}\n"
GAP = 'expect: {gap: {relative_to: "[alpha=100]", at_most: 0.2}}\n'


@pytest.fixture
def file(tmp_path: Path) -> Any:
    (tmp_path / "pytest.ini").touch()

    def write(text: str) -> Path:
        (tmp_path / "a.yaml").write_text(text)
        return tmp_path / "a.yaml"

    return write


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, int]]:
    """Logs which trainings are run; accuracy falls with the skew, and differs by seed."""
    log: list[tuple[str, float, int]] = []

    def train(scenario: Any, seed: int, options: Any, observer: Any, *rest: Any) -> TrainingHistory:
        kind = scenario.training.algorithm.kind
        alpha = scenario.clients.split.alpha
        log.append((kind, alpha, seed))
        reached = {0.1: 0.6, 1: 0.7, 100: 0.8}[alpha] + seed / 10
        reached += {"fedavg": 0, "centralized": 0.05 + seed / 100, "local_only": -0.3}[kind]
        return followed(history([0.1, reached], seed=seed), observer)

    monkeypatch.setattr(TRAIN, train)
    return log


@pytest.fixture
def both_algorithms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers stand-ins for those that are missing; nothing is trained here."""
    monkeypatch.setattr(algorithms, "_entries", algorithms.entries())
    for name in ("centralized", "local_only"):
        if name not in algorithms:

            def stand_in(*arguments: Any) -> Any:
                raise AssertionError("never called")

            algorithms(name)(stand_in)


def test_a_variant_is_compared_with_another_seed_by_seed(file: Any, trained: Any) -> None:
    cases = load_file(file(MATRIX + GAP))
    options = Options()
    found = {case.variant: run(case, options) for case in cases}
    (strong,) = found["alpha=0.1"].verdicts
    assert strong.figures == (pytest.approx(0.2), pytest.approx(0.2))
    assert strong.spread == pytest.approx(0, abs=1e-6)  # the seeds' own differences cancel out
    (mild,) = found["alpha=1"].verdicts
    assert mild.measured == pytest.approx(0.1)
    assert found["alpha=100"].verdicts == ()
    assert sorted(trained) == [
        ("fedavg", alpha, seed) for alpha in (0.1, 1, 100) for seed in (0, 1)
    ]


def test_trainings_to_compare_with_are_kept_like_others(
    file: Any, trained: Any, tmp_path: Path
) -> None:
    case = load_file(file(MATRIX + GAP))[0]
    for _ in range(2):
        options = Options(store=Store(tmp_path / "kept"))  # as two sessions of pytest
        run(case, options)
    assert len(trained) == 4


@pytest.mark.usefixtures("both_algorithms")
def test_gaps_to_other_algorithms_are_measured(file: Any, trained: Any) -> None:
    text = SCENARIO + (
        "expect: {gap_to_centralized: {at_most: 0.05}, gain_over_local: {at_least: 0.3}}\n"
    )
    (case,) = load_file(file(text))
    calls: list[tuple[str, int, int]] = []

    class Log(Observer):
        def begin(self, run: Run) -> None:
            self.run = run
            calls.append(("begin", run.position, run.seed))

        def after_round(self, progress: Progress) -> bool:
            calls.append(("round", self.run.position, progress.rounds[-1].round))
            return False

        def end(self, history: Optional[TrainingHistory]) -> None:
            assert history is not None and history.seed == self.run.seed
            calls.append(("end", self.run.position, self.run.is_reference))

    result = run(case, observers=[Log()])
    gap, gain = result.verdicts
    assert gap.figures == (pytest.approx(0.05), pytest.approx(0.06))
    assert not gap.passed and gap.outcome == "inconclusive"
    assert gain.measured == pytest.approx(0.3) and gain.passed
    assert {kind for kind, _, _ in trained} == {"fedavg", "centralized", "local_only"}
    assert calls == [
        call
        for place in range(6)
        for call in (
            ("begin", place, place % 2),
            *(("round", place, number) for number in (1, 2)),
            ("end", place, place >= 2),
        )
    ]
    assert [h.evaluated[-1].accuracy for h in result.histories] == [0.7, 0.8]


def test_the_gain_over_local_compares_with_clients_that_all_trained(file: Any) -> None:
    """Whoever takes part in the scenario: otherwise models that never trained would count."""
    text = SCENARIO + "expect: {gain_over_local: {at_least: 0}, gap_to_centralized: {at_most: 1}}\n"
    (plain,) = load_file(file(text))
    taking_part = (
        "per_round: 1, sampling: with_replacement, dropout: {rate: 0.5}, "
        "stragglers: {kind: steps, share: 1.0}, attacks: {kind: label_flip, share: 0.25}"
    )
    (some,) = load_file(file(text.replace("count: 4", f"count: 4, {taking_part}")))
    alone = compared(some)["gain_over_local"]
    assert alone == compared(plain)["gain_over_local"]
    assert alone.training.algorithm.kind == "local_only"  # type: ignore[attr-defined]
    assert alone.clients.cohort_size(4) == 4
    together = compared(some)["gap_to_centralized"]
    assert together.clients == some.scenario.clients  # it trains on the same examples


def test_a_reference_that_diverged_fails_the_gap(
    file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(scenario: Any, seed: int, *rest: Any) -> TrainingHistory:
        gone = "diverged in round 1" if scenario.clients.split.alpha == 100 and seed == 0 else None
        return history([None] if gone else [0.5], seed=seed, diverged=gone)

    monkeypatch.setattr(TRAIN, train)
    case = load_file(file(MATRIX + GAP))[0]
    result = run(case)
    (found,) = result.verdicts
    assert result.status == "failed"
    assert found.note == "the training to compare with diverged in 1 of 2 seed(s)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            MATRIX + GAP.replace("100", "10"),
            "expect.gap.relative_to: got '[alpha=10]'; no such variant; allowed: alpha=0.1, "
            "alpha=1, alpha=100; did you mean 'alpha=100'?",
        ),
        (
            SCENARIO + GAP,
            "expect.gap.relative_to: got '[alpha=100]'; no such variant; there is no matrix",
        ),
    ],
)
def test_a_missing_variant_to_compare_with_is_named(file: Any, text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load_file(file(text))
    assert said in str(error.value)
    (line,) = {p.line for p in error.value.problems}
    assert line == text.splitlines().index(text.splitlines()[-1]) + 1


def test_a_cut_off_run_is_compared_with_nothing(file: Any, trained: Any) -> None:
    case = load_file(file(MATRIX + GAP))[0]
    options = Options(rounds=1)
    result = run(case, options)
    assert result.status == "not judged"
    assert {alpha for _, alpha, _ in trained} == {0.1}


def test_a_timed_scenario_is_always_trained(file: Any, trained: Any, tmp_path: Path) -> None:
    (case,) = load_file(file(SCENARIO + "expect: {seconds_per_round: {at_most: 60}}\n"))
    run(case.scenario, Options(store=Store(tmp_path / "kept")))
    run(case.scenario, Options(store=Store(tmp_path / "kept")))
    assert len(trained) == 2
    (timed,) = run(case.scenario, Options(store=Store(tmp_path / "kept"), benchmark=True)).verdicts
    assert len(trained) == 4
    assert timed.passed and timed.measured is not None and timed.measured > 0
