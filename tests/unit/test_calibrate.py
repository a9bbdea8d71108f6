"""Proposed thresholds, how often they are missed, and what becomes of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_results import history
from paths import ROOT
from pytest_federated import load_file, load_scenarios
from pytest_federated.__main__ import main
from pytest_federated.cli.calibrate import Calibrated, rewritten
from pytest_federated.expectations.calibrating import Proposal, loosest, propose
from scipy import stats

SHIPPED = ROOT / "scenarios"


@pytest.mark.parametrize(("key", "sign"), [("at_least", -1), ("at_most", 1)])
def test_a_bound_is_the_end_of_a_prediction_interval(key: str, sign: int) -> None:
    figures = [2.0, 2.5, 3.0, 2.2, 2.8]
    reach = stats.t.ppf(0.99, 4) * np.std(figures, ddof=1) * np.sqrt(1 / 3 + 1 / 5)
    found = propose("custom", [key], figures, 3, 0.01)
    assert found.bounds[key] == pytest.approx(2.5 + sign * reach, abs=0.01)
    assert sign * (found.bounds[key] - (2.5 + sign * reach)) >= 0  # pyright: ignore


def test_the_bound_is_missed_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    missed, repeats = 0, 4000
    for _ in range(repeats):
        drawn = rng.normal(50, 2, size=13)
        bound = propose("custom", ["at_least"], drawn[:10].tolist(), 3, 0.05).bounds["at_least"]
        missed += bool(drawn[10:].mean() < bound)  # pyright: ignore
    assert missed / repeats == pytest.approx(0.05, abs=0.012)  # rounding is below one in 500


@pytest.mark.parametrize(
    ("name", "keys", "figures", "bounds"),
    [
        ("accuracy", ["at_least"], [0.9611, 0.9611], {"at_least": 0.96}),
        ("accuracy", ["at_least"], [0.965, 0.965], {"at_least": 0.965}),
        ("accuracy", ["at_least"], [0.01, 0.2, 0.3], {"at_least": 0.0}),
        ("accuracy", ["between"], [0.9611, 0.9611], {"between": [0.96, 0.965]}),
        ("gap_to_centralized", ["at_most"], [-0.011, -0.011], {"at_most": -0.01}),
        ("rounds_to_accuracy", ["at_most"], [3.5, 3.5], {"at_most": 4}),
        ("loss", ["at_most"], [0.15591, 0.15591], {"at_most": 0.156}),
        ("bytes_to_accuracy", ["at_most"], [1000.0, 1000.0], {"at_most": 1000}),
    ],
)
def test_bounds_are_rounded_to_the_generous_side(
    name: str, keys: list[str], figures: list[float], bounds: dict[str, Any]
) -> None:
    assert propose(name, keys, figures, 3, 0.01).bounds == bounds


def test_variants_share_the_loosest_bound() -> None:
    def of(low: float, high: float) -> Proposal:
        bounds = {"at_least": low, "at_most": high, "between": [low, high]}
        return Proposal("a", dict(bounds), low, 0.1)

    found = loosest([of(0.5, 0.7), of(0.4, 0.6)])
    assert found.bounds == {"at_least": 0.4, "at_most": 0.7, "between": [0.4, 0.7]}


@pytest.mark.parametrize(
    "file", sorted(SHIPPED.rglob("*.yaml")), ids=lambda f: f.relative_to(SHIPPED).as_posix()
)
def test_nothing_else_in_a_file_changes(file: Path) -> None:
    """Comments, quotes, order and layout of all shipped files."""
    text = file.read_text(encoding="utf-8")
    nothing = [Calibrated({}, [])] * text.count("name:")
    assert rewritten(text, nothing, "10 seeds") == text


TEXT = """\
# What this file is.
schema: 1
name: made
data: {dataset: digits}    # real digits
clients: {count: 4}
model: mlp
training: {rounds: 3}
seeds: [0, 1]
# Why this is expected.
expect:
  accuracy: {at_least: 0.5}          # as before
  rounds_to_accuracy: {target: 0.6, at_most: 3}
---
schema: 1
name: bare
data: {dataset: "digits"}
clients: {count: 4}
model: mlp
training: {rounds: 3}
matrix:
  clients.count: [4, 5]
"""

CALIBRATED = """\
# What this file is.
schema: 1
name: made
data: {dataset: digits}    # real digits
clients: {count: 4}
model: mlp
training: {rounds: 3}
seeds: [0, 1]
# Why this is expected.
# Calibrated on 4 seeds, false alarms 1 %: accuracy 0.915 (sd 0.013), rounds_to_accuracy 2 (sd 0)
expect:
  accuracy: {at_least: 0.86}         # as before
  rounds_to_accuracy: {target: 0.6, at_most: 2}
---
schema: 1
name: bare
data: {dataset: "digits"}
clients: {count: 4}
model: mlp
training: {rounds: 3}
matrix:
  clients.count: [4, 5]
# Calibrated on 4 seeds, false alarms 1 %: accuracy 0.915 (sd 0.013), loss 0.085 (sd 0.013)
expect:
  accuracy: {at_least: 0.845}
  loss: {at_most: 0.151}
"""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds 0, 1, 2, 3 end with accuracies 0.9, 0.91, 0.92 and 0.93."""
    monkeypatch.setattr(
        "pytest_federated.running.pipeline.train_seed",
        lambda scenario, seed, *rest: history(
            [0.5, 0.7, 0.9 + seed / 100], seed=seed, clients=4, test_examples=100
        ),
    )


@pytest.mark.usefixtures("made")
def test_a_file_is_calibrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pytest.ini").touch()
    file = tmp_path / "made.yaml"
    file.write_text(TEXT)
    assert main(["calibrate", str(file), "--seeds", "4", "--dry-run"]) == 0
    assert file.read_text() == TEXT
    shown = capsys.readouterr().out
    for _ in range(2):  # the comment is replaced, not added
        assert main(["calibrate", str(file), "--seeds", "4"]) == 0
        assert file.read_text() == CALIBRATED
    assert shown.split("\n")[2].split() == [
        *("made", "accuracy", "0.915", "(sd", "0.013)", "at_least", "0.86")
    ]
    assert len(load_scenarios(file)) == 3


@pytest.mark.usefixtures("made")
def test_expectations_of_defaults_are_written_out(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "defaults.yaml").write_text(
        "expect: {rounds_to_accuracy: {target: 0.6, at_most: 9}}\n"
    )
    file = tmp_path / "bare.yaml"
    file.write_text(TEXT.partition("---\n")[2])
    assert main(["calibrate", str(file), "--seeds", "4"]) == 0
    assert load_file(file)[0].scenario.settings()["expect"] == {
        "rounds_to_accuracy": {"target": 0.6, "at_most": 2}
    }


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        (["--seeds", "2"], "got '2'; must be 3 or greater"),
        (["--seeds", "x"], "got 'x'; must be 3 or greater"),
        (["--false-alarms", "1"], "got '1'; must be between 0 and 0.5"),
        (["--false-alarms", "x"], "got 'x'; must be between 0 and 0.5"),
    ],
)
def test_invalid_arguments_are_refused(
    argument: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["calibrate", "a.yaml", *argument])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("made")
def test_a_missing_figure_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pytest.ini").touch()
    file = tmp_path / "made.yaml"
    file.write_text(TEXT.replace("target: 0.6", "target: 0.99"))
    assert main(["calibrate", str(file), "--seeds", "4"]) == 1
    said = capsys.readouterr().err
    assert said == "made: rounds_to_accuracy: not reached in 4 of 4 seed(s)\n"
