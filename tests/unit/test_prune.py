"""Leftovers of deleted scenarios are named, and deleted only on request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from example_results import example_result
from pytest_federated.__main__ import main
from pytest_federated.core.files import write_text
from pytest_federated.expectations.baselines import baseline_file, baseline_of, write_baseline
from pytest_federated.report.pages import write_report
from pytest_federated.report.pictures import plots

SCENARIO = """\
schema: 1
name: {name}
data: {{dataset: digits}}
clients: {{count: 2}}
model: mlp
training: {{rounds: 2}}
{more}
"""
MATRIX = "matrix: {training.batch_size: [10, 20]}"


def scenario(file: str, name: str, more: str = "") -> Path:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCENARIO.format(name=name, more=more))
    return path


def baseline(folder: Path, name: str) -> Path:
    path = baseline_file(folder, name)
    write_baseline(baseline_of(example_result(name)), path)
    return path


@pytest.fixture
def suite(tmp_path: Path, undrawn: None, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Scenario files with baselines and a report; returns the baselines of deleted scenarios."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    one = scenario("scenarios/one.yaml", "one", MATRIX)
    two = scenario("scenarios/deep/two.yaml", "two")
    kept = ["one[batch_size=10]", "one[batch_size=20]", "two"]
    for beside, name in ((one, kept[0]), (one, kept[1]), (two, kept[2])):
        baseline(beside, name)
    gone = [baseline(one, "one[batch_size=5]"), baseline(one, "two")]
    gone.append(baseline(Path("scenarios/empty/three.yaml"), "three"))
    results = [example_result(name) for name in (*kept, "three", "four")]
    write_report(results, Path("reports"))
    for plot, picture in plots(results).items():  # as blocks of documentation ask for
        write_text(Path("reports/plots") / plot, picture.svg())
    return sorted(gone)


def files(folder: str = ".") -> set[str]:
    return {p.as_posix() for p in Path(folder).rglob("*") if p.is_file()}


def test_prune_names_leftovers(suite: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = files()
    assert main(["prune", "scenarios"]) == 0
    *named, summary = capsys.readouterr().out.splitlines()
    assert sorted(named) == [str(file) for file in suite]
    assert summary == "3 file(s) or folder(s) left; --delete deletes them"
    assert files() == before


def test_prune_deletes_leftovers_and_nothing_else(suite: list[Path]) -> None:
    before = files()
    assert main(["prune", "scenarios", "--delete"]) == 0
    assert before - files() == {str(file) for file in suite}
    before = files()
    assert main(["prune", "scenarios", "--delete", "--report", "reports"]) == 0
    deleted = before - files()
    assert {"reports/records/three.json", "reports/records/four.json"} < deleted
    plots = {f for f in before if f.startswith(("reports/plots/three.", "reports/plots/four."))}
    assert plots and plots < deleted
    assert len(deleted) == 2 + len(plots)
    assert main(["prune", "scenarios", "--delete", "--report", "reports"]) == 0
    assert files() == before - deleted


def test_pruning_a_part_of_the_suite_keeps_the_baselines_of_the_rest(suite: list[Path]) -> None:
    before = files()
    assert main(["prune", "scenarios/deep", "--delete"]) == 0
    assert files() == before
    assert main(["prune", "scenarios/one.yaml", "--delete"]) == 0
    assert before - files() == {str(f) for f in suite if f.parts[1] == "baselines"}


def test_a_file_that_cannot_be_read_keeps_everything(
    suite: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("scenarios/bad.yaml").write_text("name: [")
    before = files()
    assert main(["prune", "scenarios", "--delete"]) == 1
    assert "scenarios/bad.yaml:" in capsys.readouterr().err
    assert main(["prune", "scenarois", "--delete"]) == 1
    Path("none").mkdir()
    assert main(["prune", "none", "--delete", "--report", "reports"]) == 1
    assert "no scenario files in none" in capsys.readouterr().err
    assert files() == before


def test_other_files_are_left_alone(suite: list[Path]) -> None:
    for other in ("scenarios/baselines/notes.json", "reports/plots/by-hand.svg"):
        Path(other).write_text("{}")
    hidden = Path("scenarios/.venv/baselines/three.json")
    hidden.parent.mkdir(parents=True)
    hidden.write_bytes(suite[0].read_bytes())
    assert main(["prune", "scenarios", "--delete", "--report", "reports"]) == 0
    assert {"scenarios/baselines/notes.json", "reports/plots/by-hand.svg", str(hidden)} < files()


def test_a_report_is_rendered_without_touching_records(suite: list[Path]) -> None:
    for file in files("reports"):
        os.utime(file, (1, 1))
    texts = {file: Path(file).read_bytes() for file in files("reports")}
    assert main(["report", "reports"]) == 0
    assert {file: Path(file).read_bytes() for file in files("reports")} == texts
    assert {Path(file).stat().st_mtime for file in texts} == {1.0}  # pictures and pages, too
    for page in (Path("reports/index.md"), Path("reports/pages/scenarios.md")):
        page.write_text(f"{page.read_text()}changed")
    assert main(["report", "reports"]) == 0
    assert {file: Path(file).read_bytes() for file in files("reports")} == texts
    records = files("reports/records")
    assert {Path(file).stat().st_mtime for file in records} == {1.0}


def test_checkpoints_of_deleted_scenarios_are_deleted_on_request(suite: list[Path]) -> None:
    store = Path(".pytest_cache/d/federated")
    for name in ("two", "one-batch_size=10", "one-batch_size=5", "three"):
        kept = store / "checkpoints" / name / "seed-0" / "key" / "round-1"
        kept.mkdir(parents=True)
        (kept / "saved_model.pb").touch()
    before = files()
    assert main(["prune", "scenarios", "--cache", ".pytest_cache"]) == 0
    assert files() == before
    assert main(["prune", "scenarios", "--cache", ".pytest_cache", "--delete"]) == 0
    assert {f.name for f in (store / "checkpoints").iterdir()} == {"two", "one-batch_size=10"}
