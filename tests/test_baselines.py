"""Baselines: what is kept, what counts as worse, and how often that is wrong."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from harness.checks import FALSE_ALARMS, compare_with_baseline
from harness.errors import HarnessError
from harness.results import Result, Verdict
from harness.results.baselines import (
    Baseline,
    baseline_file,
    baseline_of,
    changed,
    read_baseline,
    write_baseline,
)
from harness.scenario import Scenario
from harness.training.history import Round, TrainingHistory


@functools.cache
def settings(expect: str) -> dict[str, Any]:
    """Of a scenario that expects this, as JSON."""
    scenario = Scenario.model_validate(
        {
            "name": "a",
            "data": {"dataset": "digits"},
            "clients": {"count": 2},
            "model": "mlp",
            "training": {"rounds": 1},
            "expect": json.loads(expect),
        }
    )
    return scenario.settings()


def result(
    accuracies: Sequence[float],
    losses: Optional[Sequence[float]] = None,
    expect: Optional[dict[str, Any]] = None,
    seeds: Optional[Sequence[int]] = None,
    examples: int = 400,
    **more: Any,
) -> Result:
    histories = [
        TrainingHistory(
            seed=seed,
            rounds=(
                Round(
                    round=1,
                    clients=2,
                    held_examples=10,
                    examples=10,
                    train_loss=1.0,
                    train_accuracy=0.5,
                    accuracy=accuracy,
                    loss=loss,
                ),
            ),
            client_examples=(5, 5),
            test_examples=examples,
        )
        for seed, accuracy, loss in zip(
            seeds or range(len(accuracies)), accuracies, losses or [1 - a for a in accuracies]
        )
    ]
    given = {"versions": {"numpy": "1.25.2"}, **more}
    return Result(
        id="a",
        settings=dict(settings(json.dumps(expect or {}))),
        status="passed",
        histories=tuple(histories),
        **given,
    )


def compared(before: Result, now: Result) -> dict[str, Verdict]:
    found = compare_with_baseline(now, baseline_of(before))
    return {v.expectation.partition(",")[0]: v for v in found}


GOOD = (0.90, 0.91, 0.92, 0.91, 0.90)


def test_the_same_figures_are_no_worse() -> None:
    found = compared(result(GOOD), result(GOOD))
    assert list(found) == ["accuracy", "loss"]
    assert all(v.passed and v.margin == 0 and not v.note for v in found.values())


@pytest.mark.parametrize(("fall", "passed"), [(0.005, True), (0.05, False)])
def test_worse_is_what_chance_does_not_explain(fall: float, passed: bool) -> None:
    found = compared(result(GOOD), result([a - fall for a in GOOD], seeds=range(10, 15)))
    assert {v.passed for v in found.values()} == {passed}
    assert found["accuracy"].margin == pytest.approx(-fall)
    assert found["accuracy"].expected.startswith("no lower than 0.908 ± 0.0084 (p ")
    assert found["loss"].expected.startswith("no higher than 0.092 ± 0.0084 (p ")


def test_better_is_told_and_passes() -> None:
    found = compared(result(GOOD), result([a + 0.05 for a in GOOD]))
    assert all(v.passed and v.note == "better than the baseline" for v in found.values())


@pytest.mark.parametrize(
    ("before", "now", "passed"),
    [
        (0.9, 0.9, True),
        (0.9, 0.86, True),  # three standard errors of 0.9 on 400 examples: 0.045
        (0.9, 0.85, False),
        (0.9, 1.0, True),
        (1.0, 0.993, True),  # as if one of 400 had been wrong: 0.0075
        (1.0, 0.99, False),
    ],
)
def test_one_seed_has_a_tolerance(before: float, now: float, passed: bool) -> None:
    found = compared(result([before], [1.0]), result([now], [1.0]))
    assert found["accuracy"].passed is passed


@pytest.mark.parametrize(("now", "passed"), [(1.24, True), (1.26, False), (0.5, True)])
def test_the_tolerance_of_a_loss_is_a_quarter(now: float, passed: bool) -> None:
    assert compared(result([0.9], [1.0]), result([0.9], [now]))["loss"].passed is passed


def test_one_seed_is_compared_with_the_same_one() -> None:
    """pytest --fed-seeds=1 against a baseline of several."""
    before = result((0.5, 0.9), [1.0, 1.0], seeds=[3, 4])
    assert compared(before, result([0.5], [1.0], seeds=[3]))["accuracy"].margin == 0
    assert not compared(before, result([0.5], [1.0], seeds=[4]))["accuracy"].passed
    assert compared(before, result([0.7], [1.0], seeds=[9]))["accuracy"].margin == pytest.approx(0)


def verdict(name: str, figures: Any) -> Verdict:
    return Verdict(
        expectation=name, expected="", passed=True, figures=tuple(float(f) for f in figures)
    )


@pytest.mark.parametrize(
    ("bounds", "now", "passed"),
    [
        ({"at_most": 9}, 8.0, False),
        ({"at_most": 9}, 1.0, True),
        ({"between": [1, 9]}, 8.0, False),
        ({"between": [1, 9]}, 1.0, False),
    ],
)
def test_the_bound_says_which_way_is_worse(bounds: Any, now: float, passed: bool) -> None:
    spread = np.array([-0.2, 0, 0.2])
    expect = {"loss": bounds}
    before = result([0.9] * 3, list(4 + spread), expect, verdicts=(verdict("loss", 4 + spread),))
    after = result([0.9] * 3, list(now + spread), expect, verdicts=(verdict("loss", now + spread),))
    assert compared(before, after)["loss"].passed is passed


def test_rounds_come_in_steps() -> None:
    expect = {"rounds_to_accuracy": {"target": 0.5, "at_most": 9}}

    def of(rounds: Sequence[float]) -> Result:
        found = verdict("rounds_to_accuracy", rounds)
        return result([0.9] * len(rounds), [1.0] * len(rounds), expect, verdicts=(found,))

    assert compared(of([3, 3, 3]), of([4, 4, 4]))["rounds_to_accuracy"].passed
    assert not compared(of([3, 3, 3]), of([9, 9, 9]))["rounds_to_accuracy"].passed
    assert compared(of([3]), of([4]))["rounds_to_accuracy"].passed
    assert not compared(of([3]), of([5]))["rounds_to_accuracy"].passed


def test_wall_time_is_in_no_baseline() -> None:
    expect = {"seconds_per_round": {"at_most": 5}}
    before = result([0.9] * 2, expect=expect, verdicts=(verdict("seconds_per_round", [1, 1.1]),))
    after = result([0.9] * 2, expect=expect, verdicts=(verdict("seconds_per_round", [4, 4.1]),))
    assert set(compared(before, after)) == {"accuracy", "loss"}


def test_a_figure_that_one_side_lacks_is_not_compared() -> None:
    before = result(GOOD, verdicts=(verdict("best_accuracy", GOOD),))
    assert "best_accuracy" not in compared(before, result(GOOD))
    assert "best_accuracy" not in compared(result(GOOD), before)


@pytest.mark.parametrize("seeds", [2, 5])
def test_false_alarms_are_as_rare_as_they_say(seeds: int) -> None:
    """Over normal figures, accuracy and loss independent: the worst case for two tests."""
    rng = np.random.default_rng(0)
    alarms, repeats = 0, 2000
    for _ in range(repeats):
        sides = [
            result(rng.normal(0.9, 0.01, seeds).tolist(), rng.normal(0.3, 0.05, seeds).tolist())
            for _ in range(2)
        ]
        alarms += not all(v.passed for v in compared(*sides).values())
    error = (FALSE_ALARMS * (1 - FALSE_ALARMS) / repeats) ** 0.5
    assert alarms / repeats <= FALSE_ALARMS + 3 * error


# The file


def test_a_baseline_is_small_sorted_and_comes_back(tmp_path: Path) -> None:
    one = baseline_of(result((0.912345, 0.9), [0.0123456, 1 / 3]))
    path = baseline_file(tmp_path / "a.yaml", "a[alpha=0.1]")
    assert path == tmp_path / "baselines" / "a-alpha=0.1.json"
    assert write_baseline(one, path)
    text = path.read_text(encoding="utf-8")
    read = json.loads(text)
    assert read["figures"] == {"accuracy": [0.9123, 0.9], "loss": [0.01235, 0.3333]}
    assert text == json.dumps(read, indent=1, sort_keys=True) + "\n"
    assert not {"rounds", "histories", "name", "expect", "description"} & set(read["settings"])
    assert len(text) < 3000
    assert read_baseline(path) == one
    assert not write_baseline(one, path)


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b'{"baseline": 2}'])
def test_what_is_no_baseline_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(HarnessError, match=r"a\.json: not a baseline; --fed-baseline=update"):
        read_baseline(tmp_path / "a.json")


def test_there_need_not_be_one(tmp_path: Path) -> None:
    assert read_baseline(tmp_path / "a.json") is None


def test_which_keys_changed() -> None:
    before = {"training": {"rounds": 5, "of": {"kind": "sgd"}}, "seed": 1, "gone": [1]}
    now = {"training": {"rounds": 6, "of": {"kind": "adam"}}, "seed": 1, "new": True}
    assert changed(before, now) == [
        "gone was [1], is not there",
        "new was not there, is True",
        "training.of.kind was sgd, is adam",
        "training.rounds was 5, is 6",
    ]
    assert changed(now, now) == []


def test_a_record_does_not_say_whether_there_was_a_baseline() -> None:
    one = result(GOOD)
    found = compare_with_baseline(one, baseline_of(one))
    assert found
    with_it = one.model_copy(update={"compared": found})
    assert with_it.model_dump_json() == one.model_dump_json()
    assert isinstance(baseline_of(one), Baseline)
