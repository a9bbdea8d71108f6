"""A run ends early once its verdict is certain, and never before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from example_results import history
from hypothesis import given
from hypothesis import strategies as st
from pytest_federated.expectations.ending_early import certain
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.judging import judge
from pytest_federated.report.tables.summary import summary_row
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.running.store import Store
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.observer import Progress


def expect(**names: Any) -> Any:
    return {name: expectations[name].params.model_validate(keys) for name, keys in names.items()}


curves = st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=3, max_size=3)


@given(st.lists(curves, min_size=1, max_size=3), st.integers(0, 20), st.integers(1, 4), st.data())
def test_what_is_certain_is_what_comes_out(
    accuracies: list[list[float]], threshold: int, rounds: int, data: st.DataObject
) -> None:
    """Wherever a run is cut off, a certain verdict equals that of the whole run."""
    name = data.draw(st.sampled_from(["best_accuracy", "accuracy_drop", "rounds_to_accuracy"]))
    keys: dict[str, Any] = {"at_most": threshold / 20}
    if name == "best_accuracy":
        keys = {data.draw(st.sampled_from(["at_least", "at_most"])): threshold / 20}
    if name == "rounds_to_accuracy":
        keys = {"target": threshold / 20, "at_most": rounds}
    chosen = expect(**{name: keys})
    whole = [history(list(curve)) for curve in accuracies]
    finished = data.draw(st.integers(0, len(whole) - 1))
    begun = whole[finished].rounds[: data.draw(st.integers(0, 3))]
    found = certain(chosen, whole[:finished], begun, len(whole))
    if found is not None:
        (after,) = judge(chosen, whole)
        assert [v.passed for v in found] == [after.passed]


def scenario(seeds: int = 2, rounds: int = 9, **expected: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "a",
            "data": {"dataset": "digits"},
            "clients": {"count": 4},
            "model": "mlp",
            "training": {"rounds": rounds},
            "seeds": list(range(seeds)),
            "expect": expected,
        }
    )


@pytest.fixture
def rising(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Trainings that reach 0.1 in round 1, 0.2 in round 2, ...; their rounds are counted."""
    log: list[int] = []

    def train(one: Any, seed: int, options: Any, observer: Any, *rest: Any) -> Any:
        whole = history([n / 10 for n in range(1, one.training.rounds + 1)], seed=seed)
        for number in range(1, len(whole.rounds) + 1):
            log.append(seed)
            if observer.after_round(Progress(whole.rounds[:number], None)):
                return whole.model_copy(update={"rounds": whole.rounds[:number]})
        return whole

    monkeypatch.setattr("pytest_federated.running.pipeline.train_seed", train)
    return log


def early() -> Options:
    return Options(early_stop=True)


def test_a_run_that_can_no_longer_pass_ends(rising: list[int], tmp_path: Path) -> None:
    """The first seed needs 6 rounds, so both need more than 3 on average once it has run 5."""
    one = scenario(rounds_to_accuracy={"target": 0.6, "at_most": 3}, accuracy={"at_least": 0.1})
    result = run(one, Options(early_stop=True, store=Store(tmp_path)))
    assert rising == [0] * 5
    assert (result.status, result.reason) == ("failed", "ended early, after round 5 of seed 0")
    missed, other = result.verdicts
    assert (missed.outcome, missed.note) == ("fail", "can no longer hold: 3.5 or more")
    assert (other.outcome, other.passed) == ("not judged", True)
    run(one, Options(store=Store(tmp_path)))  # the run that was cut off was not stored
    assert rising == [0] * 5 + [0] * 9 + [1] * 9


def test_a_run_that_can_no_longer_fail_ends(rising: list[int]) -> None:
    result = run(scenario(best_accuracy={"at_least": 0.15}), early())
    assert rising == [0, 0, 0]  # 0.3 in the first seed is enough for both
    assert (result.status, result.reason) == ("passed", "ended early, after round 3 of seed 0")
    assert result.verdicts[0].note == "holds already: 0.15 to 1"


def test_the_figure_that_a_run_stopped_for_is_kept(rising: list[int]) -> None:
    """It is that of the whole run, with its interval and margin."""
    one = scenario(rounds_to_accuracy={"target": 0.6, "at_most": 7})
    (found,), (whole,) = run(one, early()).verdicts, run(one, Options()).verdicts
    assert rising == [0] * 9 + [1] * 6 + [0] * 9 + [1] * 9
    assert found == whole and found.measured == 6
    assert summary_row(run(one, early()))[-2:] == ["6 to 0.6", "passed"]


def test_a_target_that_nobody_waited_for_is_not_called_missed(rising: list[int]) -> None:
    """Another expectation ended the run first."""
    target = {"target": 0.9, "at_most": 9}
    result = run(scenario(1, rounds_to_accuracy=target, best_accuracy={"at_most": 0.1}), early())
    assert rising == [0, 0]
    assert summary_row(result)[-2:] == ["–", "failed"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), {"best_accuracy": {"at_least": 0.1}}),
        (Options(early_stop=True, inconclusive="fail"), {"best_accuracy": {"at_least": 0.1}}),
        (early(), {"best_accuracy": {"at_least": 0.1}, "accuracy": {"at_least": 0.1}}),
        (early(), {"loss": {"at_most": 0.1}}),
        (early(), {}),
    ],
)
def test_an_uncertain_run_goes_to_its_end(
    rising: list[int], options: Options, expected: dict[str, Any]
) -> None:
    result = run(scenario(**expected), options)
    assert rising == [0] * 9 + [1] * 9
    assert result.reason == ""


def test_a_verdict_reached_in_the_last_round_is_an_ordinary_one(rising: list[int]) -> None:
    result = run(scenario(seeds=1, rounds=3, best_accuracy={"at_least": 0.3}), early())
    assert result.reason == "" and result.verdicts[0].measured == 0.3
