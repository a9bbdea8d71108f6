"""Outcomes of scenarios whose trainings are made up."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from made_trainings import SCENARIO, STOPPING_HOOKS, FakeTrainings
from pytest_federated.__main__ import main
from pytest_federated.core.errors import DataUnavailable, FederatedError, RuntimeUnavailable
from pytest_federated.report.drawn import write_pages_once
from pytest_federated.results.record import Result
from pytest_federated.results.store import read_results, write_result
from pytest_federated.tff import health

pytestmark = pytest.mark.usefixtures("undrawn")


def add(pytester: pytest.Pytester, *names: str) -> None:
    """Adds scenarios with other trainings than the one named made."""
    for size, name in enumerate(names, start=5):
        text = SCENARIO.replace("name: made", f"name: {name}")
        text = text.replace("rounds: 3", f"rounds: 3, batch_size: {size}")
        (pytester.path / f"scenarios/{name}.yaml").write_text(text)


def recorded() -> dict[str, Result]:
    return {r.id: r for r in read_results(Path("out"))}


def test_an_error_is_in_the_record_without_folders_of_this_machine(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    add(pytester, "broken", "refused")
    made.errors["broken"] = ZeroDivisionError(f"{pytester.path}/a.csv: division\nby zero")
    made.errors["refused"] = FederatedError(f"{Path.home()}/b.csv: no column y\nsee docs")
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.assert_outcomes(passed=1, failed=2)
    found = recorded()
    assert {name: r.status for name, r in found.items()} == {
        **{"broken": "errored", "made": "passed", "refused": "errored"}
    }
    assert found["broken"].reason.startswith("ZeroDivisionError: a.csv: division")
    assert found["refused"].reason == "b.csv: no column y"
    result.stdout.fnmatch_lines(
        ["*/b.csv: no column y", "scenarios/refused.yaml::refused (line 1)", "see docs"],
        consecutive=True,
    )
    result.stdout.fnmatch_lines(["errored *broken*", "passed *made*", "errored *refused*"])


def test_an_error_says_the_line_of_its_key(pytester: pytest.Pytester, made: FakeTrainings) -> None:
    text = Path("scenarios/made.yaml").read_text()
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row.startswith("training"))
    made.errors["made"] = FederatedError("training.loss: no such loss")
    result = pytester.runpytest_inprocess("scenarios")
    said = "training.loss: no such loss"
    result.stdout.fnmatch_lines([said, f"scenarios/made.yaml::made (line {line})"])


@pytest.mark.parametrize(
    ("error", "reason", "shown"),
    [
        (DataUnavailable("no EMNIST (no route)\nmore", here="no route"), "no EMNIST", "no EMNIST "),
        (pytest.skip.Exception("not today"), "not today", "not today"),
    ],
)
def test_a_skip_is_recorded_and_fails_when_strict(
    pytester: pytest.Pytester,
    made: FakeTrainings,
    error: BaseException,
    reason: str,
    shown: str,
) -> None:
    made.errors["made"] = error
    arguments = ("scenarios", "--fed-report=out", "-rs")
    result = pytester.runpytest_inprocess(*arguments, "--fed-baseline=check")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED *made.yaml*: {shown}*"])
    result.stdout.no_fnmatch_line("baselines:*")
    assert (recorded()["made"].status, recorded()["made"].reason) == ("skipped", reason)
    pytester.runpytest_inprocess(*arguments, "--fed-strict").assert_outcomes(failed=1)
    assert recorded()["made"].status == "errored"


def test_a_skip_keeps_the_figures_of_an_earlier_run(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    made.errors["made"] = DataUnavailable("gone")
    pytester.runpytest_inprocess("scenarios", "--fed-report=out", "--cache-clear")
    assert recorded()["made"].status == "skipped"
    assert recorded()["made"].accuracies == [0.89, 0.91]


def test_a_training_that_diverged_fails_and_is_not_compared(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    made.diverged = "diverged in round 3: the loss is not finite"
    result = pytester.runpytest_inprocess(
        "scenarios", "--fed-report=out", "--fed-baseline=check", "--fed-no-cache"
    )
    result.assert_outcomes(failed=1)
    said = "seed 0 diverged in round 3: the loss is not finite"
    result.stdout.fnmatch_lines([said, "scenarios/made.yaml::made (line 1)"], consecutive=True)
    result.stdout.fnmatch_lines([f"  not compared: made: {said}"])
    assert recorded()["made"].status == "diverged"
    update = pytester.runpytest_inprocess(
        "scenarios", "--fed-baseline=update", "--fed-no-cache", "-v"
    )
    update.stdout.fnmatch_lines(["*::made FAILED*", "  kept: made: the run is diverged"])


def test_a_scenario_that_fails_is_compared_too(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    pytester.runpytest_inprocess("scenarios", "--fed-baseline=update")
    made.accuracies = {0: 0.4, 1: 0.41}
    arguments = ("scenarios", "--fed-baseline=check", "--fed-report=out", "--fed-no-cache")
    result = pytester.runpytest_inprocess(*arguments)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["accuracy 0.405 < 0.88; accuracy 0.405, baseline 0.9; *", "baselines: 1 worse"]
    )
    reason = "worse than the baseline: accuracy, accuracy_area, loss"
    assert recorded()["made"].reason == reason


def test_scenarios_that_were_not_reached_are_counted(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    add(pytester, "other", "third")
    made.errors["made"] = FederatedError("stopped")
    result = pytester.runpytest_inprocess("scenarios", "-x", "--fed-report=out")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["errored *made*", "2 scenario(s) not reached"])
    assert {name: r.status for name, r in recorded().items()} == {
        **{"made": "errored", "other": "not reached", "third": "not reached"}
    }
    assert recorded()["other"].reason == "the session ended before it did"


def test_trainings_from_the_cache_are_counted(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    first = pytester.runpytest_inprocess("scenarios")
    first.stdout.no_fnmatch_line("*taken from the cache*")
    arguments = ("scenarios", "--junitxml=out.xml")
    second = pytester.runpytest_inprocess(*arguments)
    second.stdout.fnmatch_lines(["2 of 2 trainings unchanged, taken from the cache (--fed-no*"])
    assert made.trained == [0, 1]
    properties = (pytester.path / "out.xml").read_text()
    for name, value in [("trainings", 2), ("reused_trainings", 2), ("status", "passed")]:
        assert f'name="fed_{name}" value="{value}"' in properties
    add(pytester, "other")
    third = pytester.runpytest_inprocess("scenarios")
    third.stdout.fnmatch_lines(["2 of 4 trainings unchanged*"])


def test_metrics_follow_passed_and_are_hidden_when_quiet(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    shown = pytester.runpytest_inprocess("scenarios", "-v")
    shown.stdout.fnmatch_lines(["scenarios/made.yaml::made PASSED (accuracy 0.900*"])
    quiet = pytester.runpytest_inprocess("scenarios", "-q")
    quiet.stdout.no_fnmatch_line("*federated scenarios*")
    plain = pytester.runpytest_inprocess("scenarios")
    plain.stdout.fnmatch_lines(["*= federated scenarios =*", "verdict *", "passed *made*"])


def test_a_report_that_cannot_be_written_fails_a_passed_session(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    (pytester.path / "out").write_text("a file in the place of the folder")
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["not written: the record of made: *", "not written: the report: *"]
    )
    result.stdout.no_fnmatch_line("report: *")
    assert pytester.runpytest_inprocess("scenarios").ret == pytest.ExitCode.OK


def test_the_path_of_the_report_is_shown(
    pytester: pytest.Pytester, made: FakeTrainings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = example_record(pytester, "older")
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.stdout.fnmatch_lines(["report: out/index.md", "  not in it: 1 older record(s) there*"])
    assert other.is_file()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    result = pytester.runpytest_inprocess("scenarios", f"--fed-report={elsewhere}")
    result.stdout.fnmatch_lines([f"report: {elsewhere}/index.md"])
    result.stdout.no_fnmatch_line("*not in it*")


def test_figures_of_files_that_pytest_is_told_to_ignore_stay_in_the_report(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    """Slow folders run now and then; the report of the others must not remove what they found."""
    add(pytester, "slow", "broken", "elsewhere")
    report = "--fed-report=out"
    pytester.runpytest_inprocess("scenarios", report).assert_outcomes(passed=4)
    before = (pytester.path / "out/index.md").read_bytes()
    pytester.makeconftest("collect_ignore = ['scenarios/slow.yaml']")
    result = pytester.runpytest_inprocess("scenarios", report)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["  in it as they were: 1 record(s) of scenarios in files that*"])
    result.stdout.no_fnmatch_line("*not in it*")
    assert (pytester.path / "out/index.md").read_bytes() == before

    # Neither a record of another file, nor one that is damaged; what is left out is said.
    (pytester.path / "scenarios/other").mkdir()
    (pytester.path / "scenarios/elsewhere.yaml").rename(
        pytester.path / "scenarios/other/elsewhere.yaml"
    )
    (pytester.path / "out/records/broken.json").write_text("{")
    names = "['scenarios/slow.yaml', 'scenarios/broken.yaml', 'scenarios/other/elsewhere.yaml']"
    pytester.makeconftest(f"collect_ignore = {names}")
    result = pytester.runpytest_inprocess(".", report)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  in it as they were: 1 record(s)*", "  not in it: 2 older*"])
    index = (pytester.path / "out/index.md").read_text()
    assert "[slow]" in index and "[broken]" not in index and "[elsewhere]" not in index


def test_the_command_makes_the_same_report_from_the_records(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    pytester.runpytest_inprocess("scenarios", "--fed-report=out").assert_outcomes(passed=1)
    (record,) = read_results(pytester.path / "out")
    assert record.file == "scenarios/made.yaml"
    assert (pytester.path / "out/pages/scenarios.md").is_file()
    assert main(["report", str(pytester.path / "out"), "--check"]) == 0


def example_record(pytester: pytest.Pytester, name: str) -> Path:
    from example_results import example_result

    return write_result(example_result(name), pytester.path / "out")


def test_the_summary_of_a_job_is_appended(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = pytester.path / "summary.md"
    summary.write_text("of an earlier step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    pytester.runpytest_inprocess("scenarios")
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("of an earlier step\n") and "**1 passed**" in text


def test_hooks_may_stop_a_scenario_before_or_after_it_runs(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    add(pytester, "before", "after", "skipped")
    pytester.makeconftest(STOPPING_HOOKS)
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.assert_outcomes(passed=2, errors=2, skipped=1)
    found = recorded()
    assert {name: (r.status, len(r.histories)) for name, r in found.items()} == {
        "after": ("errored", 2),
        "before": ("errored", 0),
        "made": ("passed", 2),
        "skipped": ("skipped", 0),
    }
    assert found["skipped"].reason == "not on this machine"
    assert found["before"].reason.startswith("OSError: no disk")
    assert found["after"].reason.startswith("OSError: no disk left")


def test_a_record_is_written_as_soon_as_its_scenario_ends(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    add(pytester, "second")
    pytester.makeconftest(
        """
        from pathlib import Path
        def pytest_runtest_setup(item):
            names = sorted(p.stem for p in Path("out/records").glob("*.json"))
            print(f"{item.name} after {names}")
        """
    )
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out", "-s")
    result.stdout.fnmatch_lines(["*made after [[]]*", "*second after [[]'made']*"])
    record = json.loads(Path("out/records/second.json").read_text())
    assert record["status"] == "passed" and "reused" not in record


def test_a_scenario_is_shown_with_its_line_in_the_file(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    (pytester.path / "scenarios/made.yaml").write_text(f"# words\n---\n{SCENARIO}")
    made.accuracies = {0: 0.1, 1: 0.1}
    result = pytester.runpytest_inprocess("scenarios", "--junitxml=out.xml")
    result.stdout.fnmatch_lines(["scenarios/made.yaml::made (line 3)"])


def test_all_expectations_are_shown_if_one_is_missed(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    text = SCENARIO + "  loss: {at_most: 0.5}\n  best_accuracy: {at_least: 0.95}\n"
    (pytester.path / "scenarios/made.yaml").write_text(text)
    made.accuracies = {0: 0.1, 1: 0.1}
    result = pytester.runpytest_inprocess("scenarios")
    (line,) = [line for line in result.outlines if line.startswith("FAILED ")]
    missed = line.partition(" - ")[2]
    result.stdout.fnmatch_lines(["accuracy 0.1 < *; loss 0.9 > *; best_accuracy 0.7 < *"])
    assert missed.startswith("accuracy 0.1 < ")
    pairs = [(word, "FAIL") for word in ("accuracy", "loss", "best_accuracy")]
    for word, outcome in pairs:
        result.stdout.fnmatch_lines([f"{word} *{outcome}*"])


@pytest.mark.parametrize(("option", "calls"), [("-v", 0), ("-vv", 1)])
def test_only_vv_lets_tensorflow_write_to_the_terminal(
    pytester: pytest.Pytester,
    made: FakeTrainings,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    calls: int,
) -> None:
    loud: list[str] = []
    be_loud = "pytest_federated.plugin.execution.be_loud"
    monkeypatch.setattr(be_loud, lambda: loud.append("loud"))
    pytester.runpytest_inprocess("scenarios", option).assert_outcomes(passed=1)
    assert len(loud) == calls


@pytest.mark.parametrize("is_of_xdist", [False, True])
def test_only_a_process_of_xdist_ends_with_its_parent(
    pytester: pytest.Pytester,
    made: FakeTrainings,
    monkeypatch: pytest.MonkeyPatch,
    is_of_xdist: bool,
) -> None:
    bound: list[str] = []
    end_with_parent = "pytest_federated.plugin.execution.end_with_parent"
    monkeypatch.setattr(end_with_parent, lambda: bound.append("bound"))
    if is_of_xdist:  # as far as a scenario that runs can tell
        pytester.makeconftest(
            """
            import pytest
            @pytest.hookimpl(wrapper=True)
            def pytest_runtest_call(item):
                item.config.workerinput = {}
                try:
                    return (yield)
                finally:
                    del item.config.workerinput
            """
        )
    pytester.runpytest_inprocess("scenarios").assert_outcomes(passed=1)
    assert len(bound) == is_of_xdist


@pytest.mark.parametrize(("verbosity", "is_shown"), [("-v", False), ("-vv", True)])
def test_vv_shows_the_traceback_of_a_mistake_and_not_of_a_miss(
    pytester: pytest.Pytester, made: FakeTrainings, verbosity: str, is_shown: bool
) -> None:
    made.accuracies = {0: 0.1, 1: 0.1}
    missed = pytester.runpytest_inprocess("scenarios", verbosity)
    missed.stdout.no_fnmatch_line("*Traceback*")
    made.errors["made"] = FederatedError("no column y")
    mistaken = pytester.runpytest_inprocess("scenarios", verbosity, "--fed-no-cache")
    assert ("Traceback" in mistaken.stdout.str()) == is_shown


def test_an_item_reports_its_line_counted_from_zero(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    (pytester.path / "scenarios/made.yaml").write_text(f"# words\n---\n{SCENARIO}")
    (item,) = pytester.inline_genitems("scenarios")[0]
    assert item.reportinfo() == (pytester.path / "scenarios/made.yaml", 2, "made")


def test_a_scenario_that_was_not_reached_has_a_record_in_the_end(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    add(pytester, "other")
    made.errors["made"] = FederatedError("stopped")
    pytester.runpytest_inprocess("scenarios/made.yaml", "scenarios", "-x", "--fed-report=out")
    record = json.loads(Path("out/records/other.json").read_text())
    assert record["status"] == "not reached"


def test_without_tff_no_scenario_begins(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_federated.tff.imports.missing", lambda: "no TFF here")
    result = pytester.runpytest_inprocess("scenarios")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no TFF here"])
    assert not made.trained


def test_tests_beside_scenarios_have_no_trainings(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    pytester.makepyfile("def test_it():\n    pass\n")
    pytester.runpytest_inprocess()
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["2 of 2 trainings unchanged*", "*2 passed*"])


def test_properties_of_an_earlier_try_are_removed_and_others_stay(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    pytester.makeconftest(
        """
        def pytest_itemcollected(item):
            item.user_properties += [("fed_accuracy", "old"), ("ticket", 12)]
        """
    )
    pytester.runpytest_inprocess("scenarios", "--junitxml=out.xml").assert_outcomes(passed=1)
    text = (pytester.path / "out.xml").read_text()
    assert 'name="ticket" value="12"' in text
    assert text.count('name="fed_accuracy"') == 1 and "old" not in text


def test_ctrl_c_waits_for_the_report(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return write_pages_once(*arguments)

    monkeypatch.setattr("pytest_federated.report.drawn.write_pages_once", interrupted)
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*KeyboardInterrupt*")
    assert "1 passed" in Path("out/index.md").read_text(encoding="utf-8")


def test_remote_workers_have_to_answer_before_a_scenario_begins(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise RuntimeUnavailable(f"no answer: {arguments}")

    monkeypatch.setattr(health, "require_answers", refuse)
    result = pytester.runpytest_inprocess("scenarios", "--fed-workers=a:1,b:2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no answer: (('a:1', 'b:2'), None)"])
    assert not made.trained
    pytester.runpytest_inprocess("scenarios").assert_outcomes(passed=1)


def test_a_wrong_file_that_is_ignored_hides_no_verdict(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    (pytester.path / "scenarios/wrong.yaml").write_text("schema: [\n")
    arguments = ("scenarios", "--ignore=scenarios/wrong.yaml")
    pytester.runpytest_inprocess(*arguments, "--fed-baseline=update").assert_outcomes(passed=1)
    result = pytester.runpytest_inprocess(*arguments, "--fed-baseline=check")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["baselines: 1 same"])


def test_collecting_alone_needs_no_tff_and_leaves_no_mark(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_federated.tff.imports.missing", lambda: "no TFF here")
    result = pytester.runpytest_inprocess("scenarios", "--collect-only", "--fed-report=out")
    assert result.ret == pytest.ExitCode.OK
    assert not Path("out").exists()


def test_xdist_is_not_needed(pytester: pytest.Pytester, made: FakeTrainings) -> None:
    pytester.runpytest_inprocess("scenarios", "-p", "no:xdist").assert_outcomes(passed=1)


def test_pytest_keeps_no_second_copy_of_a_result(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    add(pytester, "broken")
    made.errors["broken"] = ZeroDivisionError("division by zero")
    pytester.makeconftest(
        """
        import pytest

        LOGGED = []

        @pytest.hookimpl(trylast=True)
        def pytest_runtest_logreport(report):  # of another plugin, which may read it
            LOGGED.append((report, hasattr(report, "fed_result")))

        def pytest_unconfigure():
            carried = [report.outcome for report, had in LOGGED if had]
            held = [report.outcome for report, _ in LOGGED if hasattr(report, "fed_result")]
            print(f"carried: {sorted(carried)}, held: {held}")
        """
    )
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out", "-v")
    result.stdout.fnmatch_lines(["*PASSED *accuracy *", "carried: *'failed', 'passed'*, held: []"])
    assert {name: r.status for name, r in recorded().items()} == {
        **{"broken": "errored", "made": "passed"}
    }
