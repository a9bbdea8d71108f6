"""Sessions with scenarios that are tuned, whose trainings are made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from example_results import history, with_validation
from made_trainings import TRAIN, followed
from pytest_federated.__main__ import main
from pytest_federated.results.record import Result
from pytest_federated.results.store import read_results
from pytest_federated.training.history import TrainingHistory

pytestmark = pytest.mark.usefixtures("undrawn")

RATE = "training.client_optimizer.learning_rate"
SCENARIO = f"""\
schema: 1
name: tuned
data: {{dataset: digits, validation_fraction: 0.1}}
clients: {{count: 4}}
model: {{kind: mlp, hidden: [16]}}
training: {{rounds: 3}}
seeds: [0, 1]
tune: {{keys: {{{RATE}: [0.01, 0.1, 1, 10]}}}}
expect:
  accuracy: {{at_least: 0.7}}
"""
# By learning rate: on the validation set and on the test set, of which each has another best.
ACCURACIES = {0.01: (0.5, 0.5), 0.1: (0.9, 0.8), 1: (0.8, 0.95), 10: (0.1, 0.1)}


class Trainings:
    """Made-up trainings, which diverge at a learning rate of 10."""

    def __init__(self) -> None:
        self.trained: list[tuple[float, int]] = []

    def train(self, scenario: Any, seed: int, options: Any, observer: Any, *_: Any) -> Any:
        rate = scenario.settings()["training"]["client_optimizer"]["learning_rate"]
        self.trained.append((rate, seed))
        validation, test = ACCURACIES[rate]
        lost = "diverged in round 1: the loss is not finite" if rate == 10 else None
        rounds = scenario.training.rounds
        one: TrainingHistory = with_validation(
            history([test - seed / 100] * rounds, seed=seed, clients=4, diverged=lost),
            [validation - seed / 100] * rounds,
        )
        return followed(one, observer)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> Trainings:
    made = Trainings()
    monkeypatch.setattr(TRAIN, made.train)
    (pytester.path / "scenarios").mkdir()
    (pytester.path / "scenarios/tuned.yaml").write_text(SCENARIO)
    return made


@pytest.fixture
def run(pytester: pytest.Pytester, trainings: Trainings) -> Callable[..., pytest.RunResult]:
    return lambda *options: pytester.runpytest_inprocess("scenarios", *options)


def changed(pytester: pytest.Pytester, old: str, new: str) -> None:
    (pytester.path / "scenarios/tuned.yaml").write_text(SCENARIO.replace(old, new))


def recorded() -> Result:
    (result,) = read_results(Path("out"))
    return result


def rate_of(result: Result) -> float:
    return result.settings["training"]["client_optimizer"]["learning_rate"]


def test_one_item_trains_the_grid_and_judges_its_best_on_the_test_set(
    run: Callable[..., pytest.RunResult], trainings: Trainings
) -> None:
    session = run("--fed-report=out", "--junitxml=out.xml")
    session.assert_outcomes(passed=1)
    assert trainings.trained == [(0.01, 0), (0.01, 1), (0.1, 0), (0.1, 1), (1, 0), (1, 1), (10, 0)]
    result = recorded()
    assert (rate_of(result), result.accuracies) == (0.1, [0.8, 0.79])
    assert result.tuning and result.tuning.best
    assert [point.mean for point in result.tuning.points] == [
        *(pytest.approx(mean) for mean in (0.495, 0.895, 0.795)),
        None,
    ]
    assert result.tuning.points[3].note == "seed 0 diverged in round 1: the loss is not finite"
    properties = {
        p.get("name"): p.get("value") for p in ElementTree.parse("out.xml").iter("property")
    }
    assert properties["fed_trainings"] == "7"
    assert properties["fed_tuned"] == "learning_rate 0.1"
    session.stdout.fnmatch_lines(
        [
            "tuned: tuned: learning_rate 0.1 is the best of 4 points by validation accuracy "
            "(0.895 after the last round, mean of 2 seeds)."
        ]
    )
    session.stdout.no_fnmatch_line("*BestAtEdge*")


def test_nothing_is_trained_twice(
    run: Callable[..., pytest.RunResult], trainings: Trainings
) -> None:
    run()
    trainings.trained.clear()
    again = run()
    assert trainings.trained == []
    again.stdout.fnmatch_lines(["7 of 7 trainings unchanged, taken from the cache*"])


def test_a_point_more_trains_that_alone(
    run: Callable[..., pytest.RunResult], trainings: Trainings, pytester: pytest.Pytester
) -> None:
    changed(pytester, "0.01, 0.1, 1, 10", "0.01, 1")
    session = run("--fed-report=out")
    session.stdout.fnmatch_lines([f"*BestAtEdge: tuned: {RATE} 1 is the largest that was tried*"])
    assert rate_of(recorded()) == 1
    trainings.trained.clear()
    changed(pytester, "0.01, 0.1, 1, 10", "0.01, 0.1, 1")
    run("--fed-report=out").assert_outcomes(passed=1)
    assert trainings.trained == [(0.1, 0), (0.1, 1)]
    assert rate_of(recorded()) == 0.1


def test_chosen_by_the_test_set_another_is_the_best(
    run: Callable[..., pytest.RunResult], trainings: Trainings, pytester: pytest.Pytester
) -> None:
    changed(pytester, "10]}", "10]}, by: test")
    run("--fed-report=out")
    assert rate_of(recorded()) == 1


def test_where_all_points_diverged_the_scenario_did(
    run: Callable[..., pytest.RunResult], trainings: Trainings, pytester: pytest.Pytester
) -> None:
    changed(pytester, f"{RATE}: [0.01, 0.1, 1, 10]", f"{RATE}: [10], training.rounds: [2, 3]")
    session = run("--fed-report=out")
    session.assert_outcomes(failed=1)
    assert recorded().status == "diverged"
    note = "seed 0 diverged in round 1: the loss is not finite"
    assert recorded().reason == (
        f"all 2 points of the grid: learning_rate=10,rounds=2: {note}; "
        f"learning_rate=10,rounds=3: {note}"
    )


def test_more_seeds_run_the_chosen_point_only(
    run: Callable[..., pytest.RunResult], trainings: Trainings
) -> None:
    run("--fed-seeds=4", "--fed-report=out")
    assert [one for one in trainings.trained if one[1] > 1] == [(0.1, 2), (0.1, 3)]
    assert recorded().seeds == (0, 1, 2, 3)
    assert recorded().trainings == 9


def test_seeds_that_are_added_until_it_is_decided_run_the_chosen_point_only(
    run: Callable[..., pytest.RunResult], trainings: Trainings, pytester: pytest.Pytester
) -> None:
    changed(pytester, "at_least: 0.7", "at_least: 0.77")
    run("--fed-decide=6", "--fed-report=out")
    more = [one for one in trainings.trained if one[1] > 1]
    assert more and {rate for rate, _ in more} == {0.1}
    assert len(recorded().seeds) == 2 + len(more)


def test_rounds_are_shown_with_the_point_that_they_are_of(
    run: Callable[..., pytest.RunResult], trainings: Trainings
) -> None:
    shown = run("-vv").stdout
    shown.fnmatch_lines(
        ["  learning_rate=0.01 seed 1/2 round 1/3: *", "  learning_rate=1 seed 2/2 *"]
    )
    added = run("-vv", "--fed-seeds=3").stdout
    added.fnmatch_lines(["  learning_rate=0.1 seed 3/3 round 1/3: *"])


def test_cut_rounds_are_tuned_and_not_judged(
    run: Callable[..., pytest.RunResult], trainings: Trainings
) -> None:
    run("--fed-rounds=1", "--fed-report=out").assert_outcomes(passed=1)
    assert (recorded().status, rate_of(recorded())) == ("not judged", 0.1)
    assert len(recorded().histories[0].rounds) == 1


def test_a_baseline_is_of_the_tuned_scenario_whatever_is_chosen(
    run: Callable[..., pytest.RunResult], trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--fed-baseline=update").stdout.fnmatch_lines(["baselines: 1 written"])
    more = [one for one in trainings.trained if one[1] > 1]
    assert more == [(0.1, seed) for seed in range(2, 10)]
    run("--fed-baseline=check").stdout.fnmatch_lines(["baselines: 1 same"])
    monkeypatch.setitem(ACCURACIES, 0.1, (0.7, 0.79))
    now = run("--fed-baseline=check", "--fed-no-cache", "--fed-report=out")
    now.assert_outcomes(passed=1)
    assert rate_of(recorded()) == 1
    since = f"since then {RATE} was 0.1, is 1"
    now.stdout.fnmatch_lines([f"  undecided: tuned: accuracy 0.795 -> 0.945 (*; {since}"])


def test_check_and_describe_say_how_many_points_there_are(
    trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "scenarios"]) == 0
    said = "1 scenario(s) in 1 file(s), 1 of them tuned over 4 points: no mistakes found"
    assert said in capsys.readouterr().out
    assert main(["describe", "scenarios/tuned.yaml"]) == 0
    said = "tuned over 4 points, from learning_rate=0.01 to learning_rate=10"
    assert said in capsys.readouterr().out


def test_check_finds_what_a_point_names_and_is_not_there(
    trainings: Trainings, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(pytester, f"{RATE}: [0.01, 0.1, 1, 10]", "model: [mlp, {keras: 'nowhere:build'}]")
    assert main(["check", "scenarios"]) != 0
    said = "tuned.yaml:8: model.keras: there is no module 'nowhere'"
    assert said in capsys.readouterr().err


def test_a_fixture_is_tuned_as_well(pytester: pytest.Pytester, trainings: Trainings) -> None:
    pytester.makepyfile(
        f"""
        def test_it(federated):
            result = federated({{
                "name": "own",
                "data": {{"dataset": "digits", "validation_fraction": 0.1}},
                "clients": {{"count": 4}},
                "model": "mlp",
                "training": {{"rounds": 3}},
                "tune": {{"keys": {{"{RATE}": [0.01, 0.1, 1]}}}},
            }})
            assert result.settings["training"]["client_optimizer"]["learning_rate"] == 0.1
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=2)
