"""What a session shows in a terminal and in a file: progress, the table, failures and skips."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable

import pytest
from made_trainings import SCENARIO, TRAIN, FakeTrainings, training
from rich.cells import cell_len
from screen import screen, without_styles

OutputOf = Callable[..., str]
CURVES = {0: [0.5, 0.7, 0.89], 1: [0.4, 0.6, 0.91]}
PASSING = SCENARIO.replace("0.88", "0.5")
MATRIX = "matrix:\n  training.rounds: [2, 3]\n"
# A conftest.py by which pytest takes the output for a terminal.
TERMINAL = """
class Yes:  # true, and true when called, as pytest's own
    def __call__(self):
        return True

def pytest_sessionstart(session):
    session.config.pluginmanager.get_plugin("terminalreporter").isatty = Yes()
"""
# One by which each process of xdist has made-up trainings.
IN_ALL_PROCESSES = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parents[2] / "helpers")]}
import pytest_federated.running.pipeline as pipeline
from made_trainings import training
pipeline.train_seed = training({CURVES})
"""
EMNIST = SCENARIO.replace("name: made", "name: offline").replace("digits", "emnist")


@pytest.fixture
def project(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """A matrix of two variants, whose trainings are watched, and on which nothing else is known."""
    monkeypatch.setattr(TRAIN, training(CURVES))
    monkeypatch.delenv("CI", raising=False)
    (pytester.path / "scenarios/made.yaml").write_text(PASSING + MATRIX)
    return pytester


@pytest.fixture
def output_of(project: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> OutputOf:
    """Runs the scenarios with options, and returns all that is written, with the controls."""

    def run(*options: str) -> str:
        capsys.readouterr()
        project.runpytest_inprocess("scenarios", *options)
        return capsys.readouterr().out

    return run


def test_dots_stay_in_their_line_below_which_the_bar_comes_and_goes(
    project: pytest.Pytester, output_of: OutputOf
) -> None:
    project.makeconftest(TERMINAL)
    output = output_of()
    shown = screen(output)
    line = next(line for line in shown if line.startswith("scenarios/made.yaml"))
    assert re.fullmatch(r"scenarios/made.yaml \.\. +\[100%\]", line)
    assert not any("━" in line for line in shown), "a bar is left"
    assert "made[rounds=2] " in output
    assert "1/4 loss 0.500 accuracy 0.500" in without_styles(output)


@pytest.mark.parametrize("verbosity", ["-v", "-q"])
def test_a_bar_leaves_other_verbosities_as_they_are(
    project: pytest.Pytester, output_of: OutputOf, verbosity: str
) -> None:
    def lines() -> list[str]:
        shown = screen(output_of(verbosity, "--fed-no-cache"))
        return [line for line in shown if "%" in line or "made" in line]

    without = lines()
    project.makeconftest(TERMINAL)
    assert lines() == without != []


def test_with_s_dots_follow_what_tests_print(project: pytest.Pytester, output_of: OutputOf) -> None:
    project.makeconftest(TERMINAL)
    shown = screen(output_of("-s"))
    assert [line[:1] for line in shown].count(".") == 2


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_bar_is_one_line(
    project: pytest.Pytester,
    output_of: OutputOf,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    project.makeconftest(TERMINAL)
    (project.path / "scenarios/made.yaml").write_text(
        PASSING.replace("name: made", f"name: {'a-long-name' * 12}") + MATRIX
    )
    output = output_of()
    lines = re.split(r"[\r\n]", without_styles(output))
    frames = [line.rstrip() for line in lines if re.match(r"a-lo\S+ .*\b[0-4]/4\b", line)]
    assert len(frames) > 4 and all(cell_len(line) <= width for line in frames)


@pytest.mark.parametrize(
    "width", [40, 100, *(pytest.param(width, marks=pytest.mark.slow) for width in (80, 160))]
)
@pytest.mark.parametrize("options", [[], ["--no-header"], ["--color=yes"], ["-v"], ["-p", "xdist"]])
def test_the_table_fits(
    project: pytest.Pytester,
    output_of: OutputOf,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    options: list[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    project.makeconftest(TERMINAL)
    output = output_of(*options)
    shown = screen(output)
    start = next(n for n, line in enumerate(shown) if "= federated scenarios =" in line)
    rows = shown[start + 1 : start + 5]
    assert rows[0].startswith("verdict  scenario")
    assert [row.split()[:2] for row in rows[2:]] == [
        ["passed", "made[rounds=2]"],
        ["passed", "made[rounds=3]"],
    ]
    assert max(map(cell_len, rows)) <= width
    assert ("\x1b[32mpassed" in output) == ("--color=yes" in options)


@pytest.mark.parametrize("environment", ["", "CI", "GITHUB_ACTIONS"])
@pytest.mark.parametrize("verbosity", ["-v", "-vv"])
def test_the_short_summary_says_by_how_much_a_bound_is_missed(
    project: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
    verbosity: str,
) -> None:
    if environment:
        monkeypatch.setenv("CI", "true")
        monkeypatch.setenv(environment, "true")
    (project.path / "scenarios/made.yaml").write_text(SCENARIO + MATRIX)
    output = project.runpytest_inprocess("scenarios", verbosity).stdout
    summary = output.str().partition("short test summary info")[2].splitlines()[1:]
    assert summary[0] == (
        "FAILED scenarios/made.yaml::made[rounds=2] - accuracy 0.65 < 0.88 (inconclusive)"
    )
    assert summary[1].startswith("===="), "nothing but the first line"
    output.fnmatch_lines(
        ["accuracy 0.65 < 0.88*", "scenarios/made.yaml::made* (line 1)", "expectation *expected*"]
    )


def test_all_that_follows_the_table_fits(project: pytest.Pytester) -> None:
    """The words are those of a file, in which each sentence is a line."""
    scenarios = project.path / "scenarios"
    for name in "abcdef":
        document = PASSING.replace("name: made", f"name: {name * 9}") + "baseline: {}\n"
        (scenarios / f"{name}.yaml").write_text(document)
    options = ["scenarios", "--fed-report=report"]
    project.runpytest_inprocess(*options, "--fed-baseline=update")
    for name in "abc":
        (scenarios / f"{name}.yaml").unlink()
    parts = ["scenarios/d.yaml", *options, "--ignore=scenarios/e.yaml", "--ignore=scenarios/f.yaml"]
    in_file = after_the_table(project.runpytest_inprocess(*parts, "--fed-baseline=check"))
    project.makeconftest(TERMINAL)
    lines = after_the_table(project.runpytest_inprocess(*parts, "--fed-baseline=check"))
    assert max(map(cell_len, in_file)) > 80
    assert all(cell_len(line) <= 80 or " " not in line.strip() for line in lines)
    assert " ".join(lines).split() == " ".join(in_file).split()


def after_the_table(result: pytest.RunResult) -> list[str]:
    """Returns the lines below the table of scenarios, without the last one."""
    *lines, _ = without_styles(result.stdout.str()).splitlines()
    rule = next(n for n, line in enumerate(lines) if line.startswith("-------"))
    return [line for line in lines[rule + 1 :] if not line.startswith("passed ")]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_skip_says_why_and_names_the_cache_and_an_offline_twin(
    project: pytest.Pytester, is_terminal: bool
) -> None:
    if is_terminal:
        project.makeconftest(TERMINAL)
    (project.path / "scenarios/b.yaml").write_text(EMNIST + MATRIX)
    output = project.runpytest_inprocess("scenarios", "--fed-data-cache=cache").stdout
    reason = (
        "skipped: 2: offline[rounds=2], offline[rounds=3]: emnist is not in the data cache and "
        "could not be downloaded ([Errno 101] no network; "
        f"the cache: {project.path / 'cache'}); run once while online, or put "
        "emnist_all.sqlite into the folder that --fed-data-cache names; or use mnist_5k, "
        "which is much like it and needs no download"
    )
    lines = output.str().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("skipped: "))
    if not is_terminal:
        assert lines[start] == reason
        return
    wrapped = [lines[start]]
    for line in lines[start + 1 :]:
        if not line.startswith("  "):
            break
        wrapped.append(line.strip())
    assert " ".join(wrapped) == reason
    assert all(len(line) <= 80 or " " not in line for line in wrapped)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        from urllib.error import URLError

        raise URLError(OSError(101, "no network"))

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_vv_has_a_line_for_each_round(project: pytest.Pytester, is_terminal: bool) -> None:
    if is_terminal:
        project.makeconftest(TERMINAL)
    (project.path / "scenarios/made.yaml").write_text(PASSING)
    for _ in range(2):  # the second time from the cache
        output = project.runpytest_inprocess("scenarios", "-vv").stdout
        rounds = [line for line in output.str().splitlines() if " round " in line]
        assert rounds == [
            f"  seed {seed + 1}/2 round {number}/3: train loss 1.000 accuracy 0.500, "
            f"test loss {1 - accuracy:.3f} accuracy {accuracy:.3f}"
            for seed, curve in CURVES.items()
            for number, accuracy in enumerate(curve, start=1)
        ]
        output.no_fnmatch_line("*━*")


@pytest.mark.parametrize(
    ("verbosity", "processes"),
    [("-vv", "-n1"), ("-v", "-n2"), ("-vv", "-n2")],
)
@pytest.mark.slow
def test_under_xdist_the_rounds_come_when_a_scenario_has_ended(
    project: pytest.Pytester, verbosity: str, processes: str
) -> None:
    project.makeconftest(IN_ALL_PROCESSES)
    (project.path / "scenarios/b.yaml").write_text(EMNIST)
    output = project.runpytest("scenarios", processes, verbosity, "--fed-no-cache").stdout
    rounds = [line for line in output.str().splitlines() if " round " in line]
    assert len(rounds) == (10 if verbosity == "-vv" else 0)
    output.fnmatch_lines(["verdict  scenario *", "skipped: offline: emnist *the cache: /*"])


def test_the_table_is_readable_in_a_file(project: pytest.Pytester) -> None:
    name = "a-long-name" * 12
    (project.path / "scenarios/made.yaml").write_text(
        PASSING.replace("name: made", f"name: {name}")
    )
    output = project.runpytest_inprocess("scenarios").stdout
    output.fnmatch_lines(["verdict  scenario * accuracy *", f"passed   {name}  0.900 *"])


@pytest.mark.parametrize(("verbosity", "rounds"), [("-v", 0), ("-vv", 6)])
def test_the_fixture_shows_its_rounds_too(
    project: pytest.Pytester, verbosity: str, rounds: int
) -> None:
    project.makepyfile(
        """
        from pathlib import Path
        from ruamel.yaml import YAML

        def test_one(federated):
            federated(YAML(typ="safe").load(Path("one.txt")))
        """
    )
    (project.path / "one.txt").write_text(PASSING)
    result = project.runpytest_inprocess("-k", "test_one", verbosity)
    result.assert_outcomes(passed=1)
    output = result.stdout.str()
    assert sum(" round " in line for line in output.splitlines()) == rounds
