"""Baselines: what is kept, what counts as worse, and how often that is wrong."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import pytest
from example_results import example_scenario
from paths import ROOT
from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.baselines import (
    Baseline,
    baseline_file,
    baseline_of,
    changed,
    read_baseline,
    write_baseline,
)
from pytest_federated.expectations.regression import (
    FALSE_ALARMS,
    added,
    apart,
    compare_with_baseline,
    keys_of,
    leans_to_worse,
    level_for,
    unmeasured,
)
from pytest_federated.results.record import Compared, Result, Verdict
from pytest_federated.results.store import json_text
from pytest_federated.training.history import Round, TrainingHistory


@functools.cache
def settings(expect: str) -> dict[str, Any]:
    """The settings of a scenario with these expectations, given as JSON."""
    data = {"dataset": "digits", "holdout": "per_client"}
    training = {"rounds": 2, "personalize": {"steps": 1}}
    chosen = {"clients": {"count": 2}, "data": data, "training": training}
    return example_scenario(seeds=[0], **chosen, expect=json.loads(expect)).settings()


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
    fields = {"versions": {"numpy": "1.25.2"}, **more}
    return Result(
        id="a",
        settings=dict(settings(json.dumps(expect or {}))),
        status="passed",
        histories=tuple(histories),
        **fields,
    )


def compared(before: Result, now: Result, **options: Any) -> dict[str, Compared]:
    found = compare_with_baseline(now, baseline_of(before), **options)
    return {c.metric: c for c in found}


GOOD = (0.90, 0.91, 0.92, 0.91, 0.90)
METRICS = ["accuracy", "accuracy_area", "loss"]


def test_identical_figures_compare_as_the_same() -> None:
    found = compared(result(GOOD), result(GOOD))
    assert list(found) == METRICS
    assert all(c.passed and c.change == "same" and c.low == c.high == 0 for c in found.values())


@pytest.mark.parametrize(
    ("fall", "change"), [(0.002, "same"), (0.0095, "undecided"), (0.05, "worse"), (-0.05, "better")]
)
def test_runs_of_the_same_seeds_are_pairs(fall: float, change: str) -> None:
    """Seeds differ by more than the fall, which is the same in each to within 0.001."""
    before = result(GOOD, [0.3] * 5)
    noise = (0.001, 0, -0.001, 0, 0.001)
    found = compared(before, result([a - fall + e for a, e in zip(GOOD, noise)], [0.3] * 5))
    assert found["accuracy"].pairs == 5
    assert found["accuracy"].change == change
    assert found["accuracy"].passed == (change != "worse")
    assert found["accuracy"].worsening == pytest.approx(fall - 0.0002)


@pytest.mark.parametrize(("fall", "change"), [(0.005, "undecided"), (0.05, "worse")])
def test_runs_of_different_seeds_are_not_paired(fall: float, change: str) -> None:
    found = compared(result(GOOD), result([a - fall for a in GOOD], seeds=range(10, 15)))
    assert found["accuracy"].change == found["loss"].change == change
    assert found["accuracy"].pairs == 0


def test_a_significant_difference_may_not_matter() -> None:
    """0.6 points lower in each seed: beyond noise, but within the margin of a point."""
    noise = (0.001, 0, -0.001, 0, 0.001)
    now = result([a - 0.006 + e for a, e in zip(GOOD, noise)], [0.3] * 5)
    found = compared(result(GOOD, [0.3] * 5), now)["accuracy"]
    assert found.high is not None and found.high < 0
    assert (found.change, found.margin) == ("same", 0.01)
    stricter = compared(result(GOOD, [0.3] * 5), now, margins={"accuracy": 0.003})["accuracy"]
    assert (stricter.change, stricter.margin) == ("worse", 0.003)


def test_the_file_may_state_the_margin() -> None:
    own = result(GOOD, [0.3] * 5)
    own.settings["baseline"] = {"loss": {"margin": 0.2}}
    before = result(GOOD, [0.2, 0.2, 0.21, 0.2, 0.21])
    assert compared(before, own)["loss"].change == "same"
    assert compared(before, result(GOOD, [0.3] * 5))["loss"].change == "worse"
    assert compared(before, own, margins={"loss": 0.01})["loss"].change == "worse"


def test_a_margin_is_at_least_one_step() -> None:
    """One of 36 examples is 2.8 points, so one fewer in each seed does not matter."""
    before, now = result([35 / 36] * 3, examples=36), result([34 / 36] * 3, examples=36)
    found = compared(before, now)["accuracy"]
    assert found.margin == pytest.approx(1 / 36, abs=1e-6)
    assert found.change != "worse"
    assert compared(before, result([18 / 36] * 3, examples=36))["accuracy"].change == "worse"


@pytest.mark.parametrize(
    ("before", "now", "passed"),
    [
        (0.9, 0.9, True),
        (0.9, 0.86, True),  # three standard errors of 0.9 on 400 examples: 0.045
        (0.9, 0.85, False),
        (0.9, 1.0, True),
        (1.0, 0.9925, True),  # as if one of 400 had been wrong: 0.0075
        (1.0, 0.98, False),  # more than that, and more than a point
    ],
)
def test_one_seed_has_a_tolerance(before: float, now: float, passed: bool) -> None:
    found = compared(result([before], [1.0]), result([now], [1.0]))["accuracy"]
    assert found.passed is passed
    assert found.change == ("same" if before == now else "undecided" if passed else "worse")


@pytest.mark.parametrize(("now", "passed"), [(1.24, True), (1.26, False), (0.5, True)])
def test_the_tolerance_of_a_loss_is_a_quarter(now: float, passed: bool) -> None:
    assert compared(result([0.9], [1.0]), result([0.9], [now]))["loss"].passed is passed


def test_one_seed_is_compared_with_the_same_one() -> None:
    """As with --fed-seeds=1 against a baseline of several seeds."""
    before = result((0.5, 0.9), [1.0, 1.0], seeds=[3, 4])
    assert compared(before, result([0.5], [1.0], seeds=[3]))["accuracy"].change == "same"
    assert not compared(before, result([0.5], [1.0], seeds=[4]))["accuracy"].passed


@pytest.mark.parametrize("now", [0.5, 1.5])
def test_the_tolerance_of_one_seed_is_that_of_the_seeds_in_common(now: float) -> None:
    """A quarter of 1.0, not of the mean 5.0 of the baseline's two seeds."""
    expect = {"loss": {"between": [1, 9]}}
    before = result((0.9, 0.9), [1.0, 9.0], expect=expect, seeds=[3, 4])
    after = result([0.9], [now], expect=expect, seeds=[3])
    assert not compared(before, after, margins={"loss": 0.1})["loss"].passed


@pytest.mark.parametrize(
    ("before", "now"), [([0], [1]), ([0], [1, 2]), ([0, 1], [2]), ([5], [0, 1, 2, 3])]
)
def test_one_seed_says_nothing_about_other_seeds(before: list[int], now: list[int]) -> None:
    def of(seeds: list[int]) -> Result:
        return result([0.9] * len(seeds), seeds=seeds)

    assert not compared(of(before), of(now))
    reason = apart(of(now), baseline_of(of(before)))
    assert reason.startswith(f"the baseline has seed{'s' * (len(before) > 1)} {before[0]}")
    assert reason.endswith("a single seed is compared with the same seed only")


@pytest.mark.parametrize(
    ("before", "now"), [([0], [0]), ([0], [1, 0]), ([0, 1], [1]), ([0, 1], [2, 3])]
)
def test_a_seed_in_common_or_two_on_both_sides_are_compared(
    before: list[int], now: list[int]
) -> None:
    sides = [result([0.9] * len(seeds), seeds=seeds) for seeds in (before, now)]
    assert not apart(sides[1], baseline_of(sides[0]))
    assert list(compared(*sides)) == METRICS


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 1e200])
@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_a_value_not_finite_in_one_seed_is_worse(wrong: float, seeds: int) -> None:
    losses = [0.1] * seeds
    found = compared(result([0.9] * seeds, losses), result([0.9] * seeds, [*losses[1:], wrong]))
    assert found["accuracy"].passed
    assert not found["loss"].passed and found["loss"].note == "not finite"
    assert (found["loss"].before, found["loss"].now) == (0.1, None)


def test_a_figure_that_is_no_longer_reached_is_worse() -> None:
    expect = {"rounds_to_accuracy": {"target": 0.5, "at_most": 9}}
    before = result(GOOD, expect=expect, verdicts=(verdict("rounds_to_accuracy", [3] * 5),))
    missed = verdict("rounds_to_accuracy", []).model_copy(update={"note": "not reached in 1 of 5"})
    found = compared(before, result(GOOD, expect=expect, verdicts=(missed,)))
    assert not found["rounds_to_accuracy"].passed
    assert found["rounds_to_accuracy"].note == "not reached in 1 of 5"


def test_without_test_examples_nothing_is_the_same() -> None:
    found = compared(result(GOOD), result(GOOD, examples=0))
    assert {c.note for c in found.values()} == {"no test examples"}
    assert not any(c.passed for c in found.values())


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
    assert list(compared(before, after)) == METRICS


def test_a_figure_that_one_side_lacks_is_not_compared() -> None:
    more = result(GOOD, verdicts=(verdict("best_accuracy", GOOD),))
    assert "best_accuracy" not in compared(more, result(GOOD))
    assert unmeasured(result(GOOD), baseline_of(more)) == ["best_accuracy is not measured now"]
    assert "best_accuracy" not in compared(result(GOOD), more)
    assert added(more, baseline_of(result(GOOD))) == ["best_accuracy"]
    assert not unmeasured(more, baseline_of(more)) and not added(more, baseline_of(more))


@pytest.mark.parametrize(
    ("name", "bounds", "figures", "problem"),
    [
        (
            "best_accuracy",
            {"at_least": 0.5},
            [-1] * 5,
            "best_accuracy is not between 0 and 1 there",
        ),
        ("gap", {"at_most": 0.5}, [2] * 5, "gap is not between -1 and 1 there"),
        ("acuracy", {}, GOOD, "acuracy is not measured now"),
        ("seconds_per_round", {"at_most": 5}, GOOD, "seconds_per_round is not measured now"),
    ],
)
def test_impossible_and_unknown_figures_are_named(
    name: str, bounds: Any, figures: Sequence[float], problem: str
) -> None:
    now = result(GOOD, verdicts=(verdict(name, GOOD),) if bounds else ())
    before = baseline_of(result(GOOD, verdicts=(verdict(name, figures),)))
    assert unmeasured(now, before) == [problem]


@pytest.mark.parametrize("pairs", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seeds", [pytest.param(2, marks=pytest.mark.slow), 5])
def test_false_alarms_are_as_rare_as_promised(seeds: int, pairs: bool) -> None:
    """With normal figures, accuracy and loss independent: the worst case for two tests."""
    rng = np.random.default_rng(0)
    alarms, repeats = 0, 300
    for _ in range(repeats):
        sides = [
            result(
                rng.normal(0.9, 0.01, seeds).tolist(),
                rng.normal(0.3, 0.05, seeds).tolist(),
                seeds=range(seeds) if pairs else range(first, first + seeds),
            )
            for first in (0, 10)
        ]
        found = compared(*sides, margins=dict.fromkeys(METRICS, 1e-9))
        alarms += not all(c.passed for c in found.values())
    error = (FALSE_ALARMS * (1 - FALSE_ALARMS) / repeats) ** 0.5
    assert alarms / repeats <= FALSE_ALARMS + 3 * error


@pytest.mark.parametrize(("scenarios", "level"), [(0, 0.01), (1, 0.01), (5, 0.01), (100, 0.0005)])
def test_many_scenarios_share_the_false_alarms_of_a_session(scenarios: int, level: float) -> None:
    assert level_for(scenarios) == pytest.approx(level)


def test_the_most_sensitive_metric_has_most_of_the_level() -> None:
    """The mean over rounds shows a difference that is not significant at the others' level."""
    before = result(GOOD, [0.3, 0.31, 0.3, 0.3, 0.3])
    noise = np.array([0.02, -0.01, 0, 0.015, -0.02])
    now = result([a - 0.045 + e for a, e in zip(GOOD, noise)], [0.3, 0.31, 0.3, 0.3, 0.3])
    found = compared(before, now, level=0.004)
    assert found["accuracy_area"].change == "worse"
    assert found["accuracy"].change == "undecided"


@pytest.mark.parametrize(
    ("changes", "leans"),
    [
        ([("same", 0.0)], False),
        ([("better", -0.1), ("undecided", -0.1)], False),
        ([("same", 0.0), ("undecided", 0.1)], True),
        ([("worse", 0.1)], True),
        ([("worse", None)], True),
    ],
)
def test_a_scenario_that_may_be_worse_is_checked_again(changes: Any, leans: bool) -> None:
    found = [
        Compared(metric="loss", change=change, passed=change != "worse", worsening=worsening)
        for change, worsening in changes
    ]
    assert leans_to_worse(found) is leans


# The file


def test_a_baseline_is_small_sorted_and_comes_back(tmp_path: Path) -> None:
    one = baseline_of(result((0.912345, 0.9), [0.0123456, 1 / 3]))
    path = baseline_file(tmp_path / "a.yaml", "a[alpha=0.1]")
    assert path == tmp_path / "baselines" / "a-alpha=0.1.json"
    assert write_baseline(one, path)
    text = path.read_text(encoding="utf-8")
    read = json.loads(text)
    assert read["figures"] == {
        "accuracy": [0.912345, 0.9],
        "accuracy_area": [0.912345, 0.9],
        "loss": [0.0123456, 0.333333],
    }
    assert text == json.dumps(read, indent=1, sort_keys=True) + "\n"
    assert not {"rounds", "histories", "name", "expect", "description"} & set(read["settings"])
    assert len(text) < 3000
    assert read_baseline(path) == one
    assert not write_baseline(one, path)


DEEP = b'{"settings": ' + b'{"a": ' * 9999 + b"1" + b"}" * 10000


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"\xff", b'{"baseline": 1}', b"[]", b"null", b"<<<<<<< HEAD\n{}", DEEP],
    ids=range(8),
)
def test_a_file_that_is_no_baseline_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(FederatedError, match=r"a\.json: not a baseline; --fed-baseline=update"):
        read_baseline(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"baseline": 1}, "baseline: Input should be 2"),
        ({"baseline": None}, "baseline: Field required"),
        ({"id": ""}, "id: "),
        ({"seeds": []}, "seeds: "),
        ({"seeds": [0, 0]}, "seeds: the same one twice"),
        ({"seeds": [0, -1]}, "seeds.1: "),
        ({"seeds": ["0", "1"]}, "seeds.0: "),
        ({"figures": {}}, "figures: accuracy is missing"),
        ({"figures": {"accuracy": [0.9, 0.8]}}, "figures: accuracy_area is missing"),
        (
            {"figures": {"los": [0.9, 0.8], "accuracy": [1, 1], "accuracy_area": [1, 1]}},
            "figures: loss is missing",
        ),
        ({"accuracy": []}, "figures: accuracy has 0 for 2 seed(s)"),
        ({"accuracy": [0.9]}, "figures: accuracy has 1 for 2 seed(s)"),
        ({"accuracy": [0.9, 0.8, 0.7]}, "figures: accuracy has 3 for 2 seed(s)"),
        ({"other": [0.9]}, "figures: other has 1 for 2 seed(s)"),
        ({"accuracy": ["nan", "nan"]}, "figures.accuracy.0: "),
        ({"accuracy": [0.9, math.nan]}, "figures.accuracy.1: got nan; must be a finite number"),
        ({"loss": [math.inf, 0.1]}, "figures.loss.0: got inf; must be a finite number"),
        ({"loss": [1e308, 0.1]}, "figures.loss.0: got 1e+308; must be a finite number"),
        ({"loss": [None, 0.1]}, "figures.loss.0: "),
        ({"loss": [True, 0.1]}, "figures.loss.0: "),
        ({"loss": 0.1}, "figures.loss: "),
        ({"keys": {"other": {}}}, "keys: other is no figure"),
        ({"test_examples": 0}, "test_examples: "),
        ({"test_examples": -5}, "test_examples: "),
        ({"settings": None}, "settings: Field required"),
        ({"versions": {"numpy": 1}}, "versions.numpy: "),
        ({"figure": {}}, "figure: Extra inputs are not permitted"),
    ],
)
def test_a_baseline_is_complete_or_refused(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "a.json"
    write_baseline(baseline_of(result((0.9, 0.8))), path)
    kept = json.loads(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        of = kept["figures"] if key in ("accuracy", "loss", "other") else kept
        of[key] = value
        if value is None:
            del of[key]
    path.write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(FederatedError) as refused:
        read_baseline(path)
    said = str(refused.value)
    message = f"{tmp_path.name}/a.json: not a baseline; --fed-baseline=update rewrites it"
    assert said.startswith(f"{message} ({problem}")
    assert "\n" not in said


def _linked_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Path.mkdir, "a.json: cannot be read: it is a folder; remove it"),
        (os.mkfifo, "a.json: cannot be read: it is not a regular file; remove it"),
        (_linked_to_itself, "a.json: cannot be read: Too many levels of symbolic links"),
    ],
)
def test_a_folder_is_not_taken_for_a_missing_file(
    tmp_path: Path, make: Callable[[Path], None], problem: str
) -> None:
    path = tmp_path / "a.json"
    make(path)
    with pytest.raises(FederatedError, match=problem):
        read_baseline(path)
    one = baseline_of(result(GOOD))
    if path.is_dir():
        with pytest.raises(FederatedError, match=r"a\.json: cannot be written: Is a directory"):
            write_baseline(one, path)
    else:
        assert write_baseline(one, path)
        assert read_baseline(path) == one


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    path = baseline_file(tmp_path / "a.yaml", "a")
    path.parent.write_text("", encoding="utf-8")
    for go in (
        lambda: read_baseline(path),
        lambda: write_baseline(baseline_of(result(GOOD)), path),
    ):
        with pytest.raises(FederatedError, match=r"^baselines: not a folder; move it"):
            go()


def test_a_file_that_may_not_be_read_is_named_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}", encoding="utf-8")
    path.chmod(0)
    opened = Path.open

    def denied(self: Path, *arguments: Any, **more: Any) -> Any:
        """Fails as it does for everybody but root."""
        if self == path and self.stat().st_mode & 0o400 == 0:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **more)

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(
        FederatedError, match=r"a\.json: cannot be read: Permission denied; make it"
    ):
        read_baseline(path)
    one = baseline_of(result(GOOD))
    assert write_baseline(one, path)
    assert read_baseline(path) == one


@pytest.mark.parametrize("text", [b"", b"\xff", b"{}", DEEP], ids=range(4))
def test_a_damaged_baseline_is_rewritten(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text)
    one = baseline_of(result(GOOD))
    assert write_baseline(one, path)
    assert read_baseline(path) == one


@pytest.mark.parametrize(
    ("lacking", "problem"),
    [
        (result([0.9, 0.8], [0.1, math.nan]), "figures.loss.1: got nan"),
        (result([0.9, 0.8], [0.1, None]), "figures: loss has 1 for 2 seed(s)"),  # pyright: ignore
        (result([0.9, 0.8], examples=0), "test_examples: "),
        (
            result(
                [0.9, 0.8],
                verdicts=(Verdict(expectation="own", expected="", passed=True, figures=(1.0,)),),
            ),
            "figures: own has 1 for 2 seed(s)",
        ),
    ],
)
def test_an_incomplete_run_does_not_become_a_baseline(lacking: Result, problem: str) -> None:
    with pytest.raises(FederatedError) as refused:
        baseline_of(lacking)
    assert str(refused.value).startswith(f"a: gives no baseline ({problem}")


def test_the_shipped_baselines_are_complete() -> None:
    files = sorted((ROOT / "scenarios").rglob("baselines/*.json"))
    assert len(files) > 90
    for file in files:
        kept = read_baseline(file)
        assert kept is not None
        assert file == baseline_file(file.parent.with_name("a.yaml"), kept.id)
        assert json_text(kept) == file.read_text(encoding="utf-8")


def reaching(target: float, **own: Any) -> Result:
    """A result whose baseline has the figures of two expectations with keys of their own."""
    expect = {
        "accuracy": {"at_least": 0.1},
        "rounds_to_accuracy": {"target": target, "at_most": 9},
        "client_accuracy": {"at_least": 0.1, **own},
    }
    verdicts = (verdict("rounds_to_accuracy", [3] * 5), verdict("client_accuracy", GOOD))
    return result(GOOD, expect=expect, verdicts=verdicts)


def test_a_baseline_has_what_its_expectations_measure(tmp_path: Path) -> None:
    one = reaching(0.5)
    kept = baseline_of(one, keys=keys_of(one))
    assert kept.keys == {
        "rounds_to_accuracy": {"target": 0.5},
        "client_accuracy": {"personalized": False},
    }
    write_baseline(kept, tmp_path / "a.json")
    assert read_baseline(tmp_path / "a.json") == kept
    assert "keys" not in json.loads(json_text(baseline_of(one)))  # as in older baselines
    assert not unmeasured(one, kept)
    assert unmeasured(reaching(0.6), kept) == ["rounds_to_accuracy.target was 0.5, is 0.6"]
    assert unmeasured(reaching(0.5, personalized=True), kept) == [
        "client_accuracy.personalized was False, is True"
    ]


def test_keys_missing_in_a_baseline_have_their_defaults() -> None:
    one = reaching(0.5)
    younger = baseline_of(one, keys={"client_accuracy": {}})
    assert not unmeasured(one, younger)
    assert unmeasured(reaching(0.5, personalized=True), younger)
    assert not unmeasured(reaching(0.6), baseline_of(one))  # nobody knows its target


def test_a_baseline_may_be_missing(tmp_path: Path) -> None:
    assert read_baseline(tmp_path / "a.json") is None


def test_changed_keys_are_listed() -> None:
    before = {
        "training": {"rounds": 5, "of": {"kind": "sgd"}},
        "seed": 1,
        "gone": [1],
        "nothing": None,
    }
    now = {"training": {"rounds": 6, "of": {"kind": "adam"}}, "seed": 1, "new": True}
    assert changed(before, now) == [
        "gone was [1], is not there",
        "new was not there, is True",
        "nothing was null, is not there",
        "training.of.kind was sgd, is adam",
        "training.rounds was 5, is 6",
    ]
    assert changed(now, now) == []


def test_a_baseline_does_not_say_whether_there_was_one_before() -> None:
    one = result(GOOD)
    found = compare_with_baseline(one, baseline_of(one))
    assert found
    with_it = one.model_copy(update={"compared": found})
    assert baseline_of(with_it) == baseline_of(one)
    assert isinstance(baseline_of(one), Baseline)
