"""Proposed thresholds, how often they are missed, and what becomes of the file."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_trainings import SCENARIO, TRAIN, FakeTrainings
from paths import ROOT
from pytest_federated import load_file, load_scenarios
from pytest_federated.__main__ import main
from pytest_federated.cli.calibrate import Calibrated, rewritten
from pytest_federated.core import progress
from pytest_federated.expectations.calibrating import (
    Proposal,
    figures_to_see_collapses,
    loosest,
    propose,
    unseen_collapse,
)
from pytest_federated.metrics.metric import metrics, spec_of
from scipy import stats

SHIPPED = ROOT / "scenarios"


@pytest.mark.parametrize(("key", "sign"), [("at_least", -1), ("at_most", 1)])
def test_a_bound_is_the_end_of_a_prediction_interval(key: str, sign: int) -> None:
    figures = [2.0, 2.5, 3.0, 2.2, 2.8]
    reach = stats.t.ppf(0.99, 4) * np.std(figures, ddof=1) * np.sqrt(1 / 3 + 1 / 5)
    found = propose("custom", [key], figures, 3, 0.01)
    assert found.bounds[key] == pytest.approx(2.5 + sign * reach, abs=0.01)
    assert sign * (found.bounds[key] - (2.5 + sign * reach)) >= 0  # pyright: ignore


def test_figures_that_reach_far_from_their_end_have_a_bound_of_a_gamma_distribution() -> None:
    figures = [0.1, 0.1, 0.1, 0.1, 10.0]
    mean, shape = np.mean(figures), (np.mean(figures) / np.std(figures, ddof=1)) ** 2
    tail = stats.norm.sf(stats.t.ppf(0.99, 4))
    expected = mean / stats.f.ppf(tail, 2 * 5 * shape, 2 * 3 * shape)
    found = propose("loss", ["at_most"], figures, 3, 0.01)
    assert found.bounds["at_most"] == pytest.approx(expected, rel=0.01)
    assert shape < 1 and found.collapsed == Proposal("loss", {}, 1.0, 0.1).collapsed == 0


def test_two_bounds_share_the_false_alarms() -> None:
    figures = [2.0, 2.5, 3.0, 2.2, 2.8]
    (both,) = propose("custom", ["between"], figures, 3, 0.02).bounds.values()
    sides = [propose("custom", [key], figures, 3, 0.01).bounds for key in ("at_least", "at_most")]
    assert both == [sides[0]["at_least"], sides[1]["at_most"]]


@pytest.mark.slow
def test_the_bound_is_missed_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    missed, repeats = 0, 4000
    for _ in range(repeats):
        drawn = rng.normal(50, 2, size=13)
        bound = propose("custom", ["at_least"], drawn[:10].tolist(), 3, 0.05).bounds["at_least"]
        missed += bool(drawn[10:].mean() < bound)  # pyright: ignore
    assert missed / repeats == pytest.approx(0.05, abs=0.012)  # rounding is below one in 500


def false_alarms(drawn: np.ndarray, seeds: int) -> float:
    """Returns the share of rows whose last `seeds` accuracies miss the bound of the others."""
    missed = 0
    for row in drawn.clip(0, 1):
        found = propose("accuracy", ["at_least"], row[:-seeds].tolist(), seeds, 0.01)
        missed += bool(row[-seeds:].mean() < found.bounds["at_least"])  # pyright: ignore
    return missed / len(drawn)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, shape: rng.normal(0.9, 0.02, shape),
        lambda rng, shape: rng.beta(50, 3, shape),
        lambda rng, shape: rng.beta(20, 1, shape),
        lambda rng, shape: rng.beta(8, 0.5, shape),  # most are near 1
        lambda rng, shape: 1 - 0.05 * rng.lognormal(0, 0.5, shape),
    ],
)
def test_skewed_accuracies_miss_their_bound_hardly_more_often_than_promised(draw: Any) -> None:
    """A normal prediction interval is missed by 3 to 7 % of the skewed ones."""
    assert false_alarms(draw(np.random.default_rng(1), (500, 15)), 5) <= 0.02


@pytest.mark.parametrize("one_in", [5, 10, 20])
def test_if_seeds_collapse_the_bound_is_missed_as_rarely_as_promised(one_in: int) -> None:
    rng = np.random.default_rng(2)
    collapses = rng.random((500, 15)) < 1 / one_in
    drawn = np.where(collapses, rng.normal(0.2, 0.03, (500, 15)), rng.normal(0.93, 0.01, (500, 15)))
    assert false_alarms(drawn, 5) <= unseen_collapse(10, 5) + 0.02


@pytest.mark.parametrize(("figures", "seeds"), [(10, 5), (3, 1), (7, 20)])
def test_the_cost_of_an_unseen_collapse_is_the_maximum_over_its_rates(
    figures: int, seeds: int
) -> None:
    well = np.linspace(0, 1, 10001)
    worst = (well**figures * (1 - well**seeds)).max()
    assert unseen_collapse(figures, seeds) == pytest.approx(worst, rel=1e-6)
    needed = figures_to_see_collapses(seeds, 0.01)
    assert unseen_collapse(needed, seeds) <= 0.01 < unseen_collapse(needed - 1, seeds)


def test_the_bound_allows_for_visible_collapses() -> None:
    figures = [0.93, 0.94, 0.92, 0.93, 0.94, 0.95, 0.93, 0.92, 0.21, 0.18]
    seen = propose("accuracy", ["at_least"], figures, 5, 0.01)
    assert seen.collapsed == 2
    room = next(n for n in range(6) if stats.betabinom.sf(n, 5, 3, 9) <= 0.005)
    rest = propose("accuracy", ["at_least"], figures[:8], 5 - room, 0.005).bounds["at_least"]
    expected = ((5 - room) * rest + room * (0.18 + rest - 0.9325)) / 5  # pyright: ignore
    assert seen.bounds["at_least"] == pytest.approx(expected, abs=0.005)
    mirrored = propose("accuracy", ["at_most"], [1 - f for f in figures], 5, 0.01)
    assert (mirrored.collapsed, mirrored.bounds["at_most"]) == (
        2,
        pytest.approx(1 - seen.bounds["at_least"]),  # pyright: ignore
    )


def test_the_room_for_collapses_has_half_of_the_false_alarms() -> None:
    well = [0.93, 0.94, 0.92, 0.95] * 4 + [0.93, 0.94, 0.93]
    seen = propose("accuracy", ["at_least"], [*well, 0.2], 10, 0.01)
    rest = propose("accuracy", ["at_least"], well, 5, 0.005).bounds["at_least"]
    room = next(n for n in range(11) if stats.betabinom.sf(n, 10, 2, 20) <= 0.005)
    assert (seen.collapsed, room) == (1, 5)  # with all of the false alarms it would be 4
    expected = (5 * rest + 5 * (0.2 + rest - statistics.fmean(well))) / 10  # pyright: ignore
    assert seen.bounds["at_least"] == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    ("well", "collapsed", "seen"), [(6, 1, 1), (5, 1, 0), (7, 5, 5), (6, 6, 0), (7, 6, 6)]
)
def test_less_than_half_have_collapsed_and_of_few_figures_none(
    well: int, collapsed: int, seen: int
) -> None:
    figures = [0.93] * well + [0.2] * collapsed
    assert propose("accuracy", ["at_least"], figures, 5, 0.01).collapsed == seen


@pytest.mark.parametrize(
    ("name", "figures", "seen"),
    [
        ("accuracy", [0.93] * 6 + [0.895], 1),
        ("accuracy", [0.93] * 5 + [0.92, 0.893], 0),  # it is near to its neighbor
        ("accuracy", [0.93] * 5 + [0.91, 0.86], 0),  # three times the others' width of 0.02
        ("accuracy", [0.93] * 5 + [0.91, 0.84], 1),
        ("accuracy", [0.95] + [0.93] * 5 + [0.88], 0),
        ("accuracy", [0.93] * 7 + [0.80, 0.20], 1),  # the widest of two gaps
        ("loss", [-0.15, -0.16, -0.15, -0.17, -0.16, -0.15, 0.5], 1),
        ("loss", [0.15, 0.16, 0.15, 0.17, 0.16, 0.15, 0.5], 1),  # has no grid
    ],
)
def test_what_has_collapsed_is_far_from_all_others(
    name: str, figures: list[float], seen: int
) -> None:
    key = "at_most" if name == "loss" else "at_least"
    assert propose(name, [key], figures, 5, 0.01).collapsed == seen


def test_a_single_seed_can_be_enough_to_see_collapses() -> None:
    assert unseen_collapse(1, 1) == 0.25
    assert figures_to_see_collapses(1, 0.25) == 1


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("accuracy", [0.90, 0.91, 0.92, 0.93, 0.95, 0.99, 0.96]),
        ("accuracy", [0.93, 0.93, 0.93, 0.93, 0.93, 0.93, 0.905]),  # three margins of 0.01
        ("rounds_to_accuracy", [2.0, 2, 2, 2, 2, 2, 4]),
        ("accuracy", [0.93, 0.93, 0.93, 0.2]),  # too few to know what is usual
        ("accuracy", [0.93, 0.93, 0.93, 0.93, 0.93, 0.93, 0.93, 0.99]),  # the good side
    ],
)
def test_a_figure_slightly_apart_has_not_collapsed(name: str, figures: list[float]) -> None:
    key = "at_most" if name == "rounds_to_accuracy" else "at_least"
    assert propose(name, [key], figures, 5, 0.01).collapsed == 0


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
        ("loss", ["at_most"], [-21.49, -21.49], {"at_most": -21.4}),
        ("bytes_to_accuracy", ["at_most"], [1000.0, 1000.0], {"at_most": 1000}),
    ],
)
def test_bounds_are_rounded_to_the_generous_side(
    name: str, keys: list[str], figures: list[float], bounds: dict[str, Any]
) -> None:
    assert propose(name, keys, figures, 3, 0.01).bounds == bounds


@pytest.mark.parametrize("name", metrics.names())
def test_figures_that_are_all_the_same_are_calibrated(name: str) -> None:
    keys = [bound for bound in spec_of(name).bounds if bound != "between"]
    for value in {max(v, spec_of(name).values.low) for v in (0.0, 0.5)}:
        found = propose(name, keys, [value] * 8, 5, 0.01)
        assert found.collapsed == 0
        for key in keys:
            bound = found.bounds[key]
            assert bound <= value if key == "at_least" else bound >= value  # pyright: ignore


def test_variants_share_the_loosest_bound() -> None:
    def of(low: float, high: float) -> Proposal:
        bounds = {"at_least": low, "at_most": high, "between": [low, high]}
        return Proposal("a", dict(bounds), low, 0.1, collapsed=1)

    found = loosest([of(0.5, 0.7), of(0.4, 0.6)])
    assert found.bounds == {"at_least": 0.4, "at_most": 0.7, "between": [0.4, 0.7]}
    assert found.collapsed == 1
    assert found.mean == 0.5, "no variant has both ends, so it is the first that is shown"
    assert loosest([of(0.5, 0.6), of(0.4, 0.7), of(0.4, 0.6)]).mean == 0.4


@pytest.mark.parametrize(
    "file", sorted(SHIPPED.rglob("*.yaml")), ids=lambda f: f.relative_to(SHIPPED).as_posix()
)
def test_nothing_else_in_a_file_changes(file: Path) -> None:
    """Comments, quotes, order and layout of all shipped files."""
    text = file.read_text(encoding="utf-8")
    nothing = [Calibrated({}, [])] * text.count("name:")
    assert rewritten(text, nothing) == text


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
# Calibrated on 4 seeds, false alarms 1 % (15 % if seeds may collapse): \
accuracy 0.915 (sd 0.013), rounds_to_accuracy 2 (sd 0)
expect:
  accuracy: {at_least: 0.845}        # as before
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
# Calibrated on 4 seeds, false alarms 1 % (8.2 % if seeds may collapse): \
accuracy 0.915 (sd 0.013), loss 0.085 (sd 0.013)
expect:
  accuracy: {at_least: 0.825}
  loss: {at_most: 0.175}
"""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds 0, 1, 2, 3 end with accuracies 0.9, 0.91, 0.92 and 0.93."""
    trainings = FakeTrainings()
    trainings.accuracies = {seed: 0.9 + seed / 100 for seed in range(4)}
    monkeypatch.setattr(TRAIN, trainings.train)


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
    lines = shown.splitlines()
    assert lines[2].split() == [
        *("made", "accuracy", "0.915", "(sd", "0.013)", "at_least", "0.845", "1", "%", "15", "%")
    ]
    assert lines[-1].endswith(
        "as 4 seeds may not show a collapse that is rare; --seeds 73 makes it 1 %"
    )
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


@pytest.mark.usefixtures("in_tmp_path")
def test_calibrating_shows_how_many_of_all_rounds_are_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TRAIN, FakeTrainings().train)
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0)
    monkeypatch.setattr(progress, "_BETWEEN_SECONDS", 0)
    shown: list[tuple[str, int, int]] = []

    @contextmanager
    def display(title: str, total: int) -> Iterator[progress.Update]:
        yield lambda done: shown.append((title, done, total))

    Path("a.yaml").write_text(f"{SCENARIO}matrix:\n  training.rounds: [2, 3]\n")
    with progress.displayed_by(display):
        assert main(["calibrate", "a.yaml", "--seeds", "3", "--dry-run"]) == 0
    total = 3 * 2 + 3 * 3
    assert shown == [("a.yaml", done, total) for done in (2, 4, 6, 9, 12, 15)]
