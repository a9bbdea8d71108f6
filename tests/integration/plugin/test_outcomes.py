"""Every collected scenario is in the records and in the report, whatever stops it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from example_results import example_result
from faults import fault
from forked_programs import Program
from made_trainings import STOPPING_HOOKS
from processes import pytest_run
from pytest_federated.__main__ import main
from pytest_federated.data.splits.partition import splits
from pytest_federated.report.pages import write_record, write_report
from pytest_federated.results.record import Result
from pytest_federated.results.store import file_name, read_results
from pytest_federated.scenario.schema import Scenario
from ruamel.yaml import YAML
from scenario_texts import TINY

pytestmark = pytest.mark.usefixtures("tff")

# What a user's split does instead of splitting, by the name of the scenario that chooses it.
ENDINGS = {
    "exits": "sys.exit(3)",
    "fails": "pytest.fail('no such thing')",
    "raises": "1 / 0",
    "skips": "pytest.skip('not today')",
}
CONFTEST = "import os, signal, sys\nimport pytest, pytest_federated\n" + "".join(
    f"@pytest_federated.split('{name}')\ndef {name}(pool, rng):\n    '''Ends.'''\n    {what}\n"
    for name, what in {
        **ENDINGS,
        "dies": "os._exit(7)",
        "interrupted": "os.kill(os.getpid(), signal.SIGINT)",
    }.items()
)
# How the reason in a record begins.
REASONS = {
    "exits": "SystemExit: 3 (line 6 of conftest.py: sys.exit(3))",
    "fails": "Failed: no such thing (line ",
    "raises": "the split 'raises' raised ZeroDivisionError: division by zero (line ",
    "skips": "not today",
    "crowded": "100000 clients with at least 1 example(s) each need",
    "dies": "the process that ran it died",
    "interrupted": "the session ended before it did",
    "later": "the session ended before it did",
}


def scenario(name: str) -> str:
    """Returns a scenario that ends as its name says, or passes."""
    text = TINY.replace("name: tiny", f"name: {name}")
    if name == "crowded":
        return text.replace("count: 4", "count: 100000")
    return text.replace("count: 4", f"count: 4, split: {name}") if name in CONFTEST else text


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes scenarios with these names, and reports in which all have passed."""
    monkeypatch.setattr(splits, "_entries", splits.entries())

    def write(*names: str) -> None:
        pytester.makeconftest(CONFTEST)
        pytester.makeini("[pytest]\n")
        folder = pytester.mkdir("scenarios")
        for number, name in enumerate(names):
            (folder / f"{number}.yaml").write_text(scenario(name), encoding="utf-8")
        for report in ("before", "out"):
            write_report([earlier(name) for name in names], pytester.path / report)

    return write


def earlier(name: str) -> Result:
    """Returns a result of the scenario of this name, in which it passed."""
    with_other_split = name in CONFTEST
    text = TINY if with_other_split else scenario(name)
    settings = Scenario.model_validate(YAML(typ="safe").load(text)).settings()
    if with_other_split:  # which is not registered here
        settings["clients"]["split"] = {"kind": name}
    return example_result(name, settings=settings)


def report_text() -> str:
    """Returns the text of all pages of the report."""
    return "\n".join(page.read_text(encoding="utf-8") for page in Path("out").rglob("*.md"))


def recorded(folder: Path = Path("out")) -> dict[str, Result]:
    return {r.id: r for r in read_results(folder)}


@fault(
    "sys.exit, pytest.fail, pytest.skip and an exception in a user's function",
    outcome="errored or skipped in records, report and summaries; `compare` counts it as worse",
    times=4,
)
def test_what_stopped_a_scenario_is_in_the_record_and_in_every_summary(
    pytester: pytest.Pytester,
    project: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project(*ENDINGS, "crowded", "good")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.assert_outcomes(passed=1, failed=4, skipped=1)
    found = recorded()
    assert {name: r.status for name, r in found.items()} == {
        **dict.fromkeys((*ENDINGS, "crowded"), "errored"),
        "skips": "skipped",
        "good": "passed",
    }
    for name, one in found.items():
        assert one.reason.startswith(REASONS.get(name, ""))
    report = report_text()
    summary = Path("summary.md").read_text(encoding="utf-8")
    for text in (report, summary):
        assert "4 errored" in text and "1 skipped" in text and "1 passed" in text
        assert "division by zero" in text and "not today" in text and "need 100000" in text
        assert str(pytester.path) not in text
    result.stdout.fnmatch_lines(["passed *good*", "report: out/index.md"], consecutive=False)
    result.stdout.fnmatch_lines(["errored *crowded *"])

    capsys.readouterr()
    assert main(["compare", "before", "out", "--fail-if-worse"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "worse: crowded, exits, fails, raises\n"
    assert "passed → errored" in shown.out and "4 without a result" in shown.out


@fault(
    "os._exit in a user's function, under xdist",
    outcome="errored, the others pass, exit code 1",
)
@pytest.mark.slow
def test_a_scenario_whose_xdist_process_dies_is_errored(
    pytester: pytest.Pytester, project: Any
) -> None:
    project("good", "dies", "other")
    output = pytest_run(pytester.path, "scenarios", "-n2", "--fed-report=out")
    assert "1 failed, 2 passed" in output
    found = recorded()
    assert {name: r.status for name, r in found.items()} == {
        **{"good": "passed", "dies": "errored", "other": "passed"}
    }
    assert found["dies"].reason.startswith(REASONS["dies"])
    assert "**1 errored, 2 passed**" in Path("out/index.md").read_text(encoding="utf-8")


@fault(
    "os._exit in a user's function, in pytest's own process",
    outcome="not reached, even if an older record says passed; `compare` counts it as worse",
    times=2,
)
def test_finished_scenarios_have_records_when_pytest_itself_dies(
    pytester: pytest.Pytester, project: Any
) -> None:
    """Others are not reached, even if an older record says that they passed."""
    project("good", "dies")
    for report in ("new", "out"):
        pytest_run(pytester.path, "scenarios", f"--fed-report={report}")
        found = recorded(Path(report))
        assert {name: r.status for name, r in found.items()} == {
            **{"good": "passed", "dies": "not reached"}
        }
        assert found["dies"].is_earlier == (report == "out")
    assert not Path("new/pages").exists()  # a report is written at the end
    assert main(["report", "out"]) == 0
    assert "**1 not reached, 1 passed**" in Path("out/index.md").read_text(encoding="utf-8")
    assert main(["compare", "before", "out", "--fail-if-worse"]) == 1
    Path("scenarios/1.yaml").write_text(scenario("other"), encoding="utf-8")
    assert main(["prune", "scenarios", "--report", "out", "--delete"]) == 0
    assert set(recorded()) == {"good"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("interrupted", []),
        pytest.param("crowded", ["-x"], marks=pytest.mark.slow),
        pytest.param("crowded", ["-x", "-n1"], marks=pytest.mark.slow),
    ],
)
def test_a_scenario_that_is_not_reached_keeps_its_figures_and_says_so(
    pytester: pytest.Pytester, project: Any, name: str, options: list[str]
) -> None:
    project("good", name, "later")
    output = pytest_run(pytester.path, "scenarios", "--fed-report=out", *options)
    found = recorded()
    state = {"status": "not reached", "reason": REASONS["later"], "file": "scenarios/2.yaml"}
    kept = earlier("later").model_copy(update=state)
    assert found["good"].status == "passed"
    assert found[name].reason.startswith(REASONS[name])
    assert found["later"] == kept
    assert "scenario(s) not reached" in output
    report = report_text()
    assert "what follows is of an earlier run" in report
    assert main(["compare", "before", "out", "--fail-if-worse"]) == 1


def test_a_hook_may_stop_a_scenario_before_or_after_it_runs(
    pytester: pytest.Pytester, project: Any
) -> None:
    project("before", "skipped", "after")
    pytester.makeconftest(STOPPING_HOOKS)
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.assert_outcomes(passed=1, errors=2, skipped=1)
    found = recorded()
    assert {name: r.status for name, r in found.items()} == {
        **{"before": "errored", "skipped": "skipped", "after": "errored"}
    }
    assert not found["before"].histories and found["after"].accuracies[0] > 0.3
    assert found["after"].reason.startswith("OSError: no disk left")


def test_a_skip_in_code_of_the_user_fails_when_strict(
    pytester: pytest.Pytester, project: Any
) -> None:
    project("skips")
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out", "--fed-strict")
    result.assert_outcomes(failed=1)
    assert recorded()["skips"].reason == "skipped by its own code: not today"


@fault(
    "a baseline that was cut off",
    outcome="errored, with the name of the file; exit code 1",
)
def test_a_damaged_baseline_is_in_the_report(pytester: pytest.Pytester, project: Any) -> None:
    project("good")
    damaged = pytester.mkdir("scenarios/baselines") / "good.json"
    damaged.write_text("{", encoding="utf-8")
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out", "--fed-baseline=check")
    result.assert_outcomes(failed=1)
    one = recorded()["good"]
    assert one.status == "errored" and one.reason.startswith("baselines/good.json: not a baseline")
    assert one.accuracies[0] > 0.3
    assert "**errored: baselines/good.json" in report_text()


def test_neither_collecting_nor_mistakes_write_anything(
    pytester: pytest.Pytester, project: Any
) -> None:
    project("good")
    before = {p: p.read_bytes() for p in Path("out").rglob("*") if p.is_file()}
    pytester.runpytest_inprocess("scenarios", "--fed-report=out", "--collect-only")
    Path("scenarios/1.yaml").write_text("name: 1\n", encoding="utf-8")
    assert pytester.runpytest_inprocess("scenarios", "--fed-report=out").ret == 4
    assert {p: p.read_bytes() for p in Path("out").rglob("*") if p.is_file()} == before


# Files that cannot be written cost no result.

LONG_MATRIX = (
    TINY
    + "matrix:\n  clients.split:\n    - iid\n    - {kind: distribution, matrix: ["
    + ", ".join(str([0.1] * 10) for _ in range(4))
    + "]}\n"
)


@pytest.mark.parametrize(
    ("text", "records"),
    [
        (LONG_MATRIX, 2),
        (TINY.replace("name: tiny", f"name: {'a' * 240}"), 1),
    ],
)
def test_a_long_name_has_a_record(pytester: pytest.Pytester, text: str, records: int) -> None:
    (pytester.mkdir("scenarios") / "a.yaml").write_text(text, encoding="utf-8")
    arguments = ("scenarios", "--fed-report=out", "--fed-baseline=update", "--fed-tensorboard=tb")
    result = pytester.runpytest_inprocess(*arguments)
    assert "not written" not in result.stdout.str()
    assert len(recorded()) == records and Path("out/index.md").is_file()
    assert max(len(path.name.encode()) for path in Path("out").rglob("*")) < 130
    written = len(list(Path("scenarios/baselines").iterdir()))
    result.assert_outcomes(passed=written, failed=records - written)
    assert written


def test_names_of_files_are_bounded_and_differ() -> None:
    names = {file_name(f"a[x={'é' * n}]") for n in range(100, 300)}
    assert len(names) == 200 and max(len(name.encode()) for name in names) < 130


@fault(
    "a file or folder in the place of the report, of its folders or of a page",
    outcome="results are shown, then the files that were not written; exit code 1",
)
@pytest.mark.parametrize("place", ["out", "out/records", "out/pages", "out/index.md"])
def test_a_report_that_cannot_be_written_is_an_error_after_the_results(
    pytester: pytest.Pytester, place: str
) -> None:
    pytester.path.joinpath("scenarios").mkdir()
    pytester.path.joinpath("scenarios/a.yaml").write_text(TINY, encoding="utf-8")
    blocked = pytester.path / place
    blocked.parent.mkdir(exist_ok=True)
    if place == "out/index.md":
        blocked.mkdir()  # a folder in the place of a file, which root cannot write either
    else:
        blocked.write_text("a file in the place of a folder")
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["passed *tiny*", "not written: *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert Path("out/records/tiny.json").is_file() == (place in ("out/index.md", "out/pages"))


@fault(
    "Ctrl-C while the report is written",
    outcome="the report is whole; exit code 2",
)
def test_ctrl_c_while_the_report_is_written(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("scenarios").mkdir()
    pytester.path.joinpath("scenarios/a.yaml").write_text(TINY, encoding="utf-8")
    pytester.makeconftest(
        """
        import os, signal
        from pytest_federated.report import pages

        def report_files(results, plainly=pages.report_files):
            os.kill(os.getpid(), signal.SIGINT)
            return plainly(results)

        pages.report_files = report_files
        """
    )
    program = Program("pytest", "scenarios", "--fed-report=out", cwd=pytester.path)
    output = program.communicate()
    assert program.wait() == pytest.ExitCode.INTERRUPTED
    assert "1 passed" in output and "report: out/index.md" in output
    assert recorded()["tiny"].status == "passed"
    assert "**1 passed**" in Path("out/index.md").read_text(encoding="utf-8")


@fault(
    "a full disk under GitHub's job summary (/dev/full)",
    outcome="says so, exit code as judged",
)
def test_a_summary_on_a_full_disk_costs_no_result(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.path.joinpath("scenarios").mkdir()
    pytester.path.joinpath("scenarios/a.yaml").write_text(TINY, encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/dev/full")
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    assert result.ret == 0 and recorded()["tiny"].status == "passed"
    result.stdout.fnmatch_lines(["not written: the job's summary: OSError: *No space left*"])


@fault(
    "a full disk under the cache, also under -W error",
    outcome="a warning, exit code as judged",
    times=2,
)
def test_a_cache_on_a_full_disk_costs_no_result(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pytest_federated.running.store.write_bytes", full)
    pytester.path.joinpath("scenarios").mkdir()
    pytester.path.joinpath("scenarios/a.yaml").write_text(TINY, encoding="utf-8")
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*NotKept: the cache of finished trainings cannot be written: *"])
    # Also if the project turns warnings into errors.
    pytester.runpytest_inprocess("scenarios", "-Werror").assert_outcomes(passed=1)


@fault(
    "a file in the place of the cache, its lock or its checkpoints",
    outcome="a warning, exit code as judged",
)
@pytest.mark.parametrize("place", [".pytest_cache/d", ".pytest_cache/d/federated/lock", "kept"])
def test_a_cache_that_cannot_be_created_costs_no_result(
    pytester: pytest.Pytester, place: str
) -> None:
    """The same holds for the cache of checkpoints, which are written after each round here."""
    pytester.path.joinpath("scenarios").mkdir()
    pytester.path.joinpath("scenarios/a.yaml").write_text(TINY, encoding="utf-8")
    if place == "kept":
        place = ".pytest_cache/d/federated/checkpoints"
    blocked = pytester.path / place
    blocked.parent.mkdir(parents=True)
    if blocked.name == "lock":
        blocked.mkdir()
    else:
        blocked.write_text("a file in the place of a folder")
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out", "--fed-checkpoint=1")
    result.assert_outcomes(passed=1, warnings=result.parseoutcomes()["warnings"])
    result.stdout.fnmatch_lines(["*cannot be written: *"])
    assert json.loads(Path("out/records/tiny.json").read_text())["status"] == "passed"


def test_curves_that_cannot_be_written_cost_no_result(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("scenarios").mkdir()
    pytester.path.joinpath("scenarios/a.yaml").write_text(TINY, encoding="utf-8")
    pytester.path.joinpath("curves").write_text("a file in the place of a folder")
    result = pytester.runpytest_inprocess("scenarios", "--fed-tensorboard=curves")
    result.assert_outcomes(passed=1, warnings=result.parseoutcomes()["warnings"])
    result.stdout.fnmatch_lines(["*what --fed-tensorboard asks for cannot be written: *"])


def test_a_record_of_another_scenario_lends_no_figures(tmp_path: Path) -> None:
    skipped = example_result(status="skipped", reason="no data").model_copy(
        update={"histories": ()}
    )
    (tmp_path / "records").mkdir()
    (tmp_path / "records/tiny.json").write_text("{", encoding="utf-8")
    assert write_record(skipped, tmp_path) == skipped  # over a damaged one
    write_record(example_result("other"), tmp_path)
    (tmp_path / "records/other.json").rename(tmp_path / "records/tiny.json")
    assert write_record(skipped, tmp_path) == skipped


def test_a_session_without_scenarios_imports_nothing_heavy(tmp_path: Path) -> None:
    """The plugin is loaded in every project where it is installed."""
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    names = {'pytest_federated.results', 'pydantic', 'numpy'}\n"
        "    print('imported:', names & set(sys.modules))\n"
    )
    (tmp_path / "test_a.py").write_text("def test_a():\n    pass\n")
    output = pytest_run(tmp_path, "-s", "-p", "no:hypothesispytest", fresh=True)
    assert "1 passed" in output and "imported: set()" in output
