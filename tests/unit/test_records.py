"""Records: what they derive from figures, how their files are named, and earlier figures."""

from __future__ import annotations

import math
import subprocess
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from example_results import example_result, history
from pydantic import ValidationError
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.baselines import baseline_of
from pytest_federated.expectations.looks import Look
from pytest_federated.report.pages import write_report
from pytest_federated.results.record import Compared, Result, Status, Verdict
from pytest_federated.results.runs import Run, committed_files, read_runs
from pytest_federated.results.select import select
from pytest_federated.results.store import (
    LONGEST_NAME,
    count_records,
    file_name,
    json_text,
    natural,
    parse_result,
    read_result,
    read_results,
    record_file,
    with_earlier_figures,
    write_result,
)
from pytest_federated.results.tuning import GridPoint, Tuning
from pytest_federated.training.final_model import FinalModel


def test_accuracies_are_those_of_the_last_evaluation_of_each_seed() -> None:
    curves: list[list[Optional[float]]] = [[0.1, 0.5, 0.7, 0.6], [0.5, 0.0], [0.4, None], [None]]
    trainings = tuple(history(curve) for curve in curves)
    one = example_result().model_copy(update={"histories": trainings})
    assert one.accuracies == [0.6, 0.0, 0.4]


@pytest.mark.parametrize(
    ("status", "is_earlier"),
    [("skipped", True), ("not reached", True), ("passed", False), ("errored", False)],
)
def test_figures_of_scenarios_that_did_not_run_are_earlier_ones(
    status: Status, is_earlier: bool
) -> None:
    one = example_result(status=status)
    assert one.is_earlier is is_earlier and one.is_shown
    empty = one.model_copy(update={"histories": ()})
    assert not empty.is_earlier and empty.is_shown is (status == "errored")


@pytest.mark.parametrize(("passed", "outcome"), [(True, "pass"), (False, "fail")])
def test_a_verdict_without_an_outcome_takes_it_from_passed(passed: bool, outcome: str) -> None:
    keys: dict[str, Any] = {"expectation": "loss", "expected": "<= 1", "passed": passed}
    assert Verdict(**keys).outcome == outcome
    assert Verdict(**keys, outcome="inconclusive").outcome == "inconclusive"
    one = Verdict(**keys)
    assert Verdict.model_validate(one) is one
    with pytest.raises(ValidationError, match="passed"):
        Verdict.model_validate({"expectation": "loss", "expected": "<= 1"})


def test_a_record_without_a_section_of_its_settings_is_refused() -> None:
    with pytest.raises(ValidationError, match="without clients, seeds"):
        Result(id="a", settings={"data": 1, "model": 1, "training": 1}, status="passed")


def test_facts_about_this_session_are_not_in_the_record() -> None:
    assert example_result().reused == 0
    one = example_result(reused=2, local_reason="here")
    assert not {"reused", "local_reason", "compared"} & set(one.model_dump())


def test_what_a_record_leaves_out_is_left_out_of_what_reports_are_made_of() -> None:
    """So a session of one process has the same as one of several, whose reports are JSON."""
    result = example_result(accuracies=(0.5, math.nan))
    model = FinalModel((np.ones(2),))
    histories = [h.model_copy(update={"seconds": (1.0,), "model": model}) for h in result.histories]
    full = result.model_copy(
        update={"local_reason": "here", "reused": 1, "histories": tuple(histories)}
    )
    assert repr(full.recorded) == repr(Result.model_validate(full.model_dump(mode="json")))
    assert full.recorded.model_weights == {}


@pytest.mark.parametrize("figures", [{"seconds": (1.0,)}, {"model": FinalModel((np.ones(2),))}, {}])
def test_times_and_models_are_left_out_one_without_the_other(figures: dict[str, Any]) -> None:
    result = example_result()
    histories = tuple(h.model_copy(update=figures) for h in result.histories)
    bare = result.model_copy(update={"histories": histories}).recorded
    assert [(h.seconds, h.model) for h in bare.histories] == [((), None)] * 2


def test_how_a_scenario_compares_with_its_baseline_is_in_the_record(tmp_path: Path) -> None:
    """So the report made from records has the column that the session's report has."""
    compared = Compared(metric="loss", before=1.0, now=0.5, change="better", passed=True)
    one = example_result(compared=(compared,))
    write_report([one], tmp_path)
    assert "▲ better" in (tmp_path / "index.md").read_text(encoding="utf-8")
    assert read_results(tmp_path) == [one]
    assert main(["report", str(tmp_path), "--check"]) == 0


def test_an_earlier_run_keeps_its_comparison(tmp_path: Path) -> None:
    compared = Compared(metric="loss", before=1.0, now=0.5, change="better", passed=True)
    one = example_result(compared=(compared,))
    write_result(one, tmp_path)
    skipped = one.model_copy(update={"status": "skipped", "histories": (), "compared": ()})
    assert with_earlier_figures(skipped, tmp_path).compared == (compared,)


# Files


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a", "a.json"),
        ("a[alpha=0.1,x=y_z-2]", "a-alpha=0.1,x=y_z-2.json"),
        ("é" * 50, f"{'é' * 50}.json"),
        ("a" * LONGEST_NAME, f"{'a' * LONGEST_NAME}.json"),
    ],
)
def test_a_plain_name_names_its_file(name: str, file: str) -> None:
    assert file_name(name) == file


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("a b", "a_b-"),
        ("a/b", "a_b-"),
        ("a" * (LONGEST_NAME + 1), f"{'a' * LONGEST_NAME}-"),
        ("é" * 51, f"{'é' * 50}-"),
        ("a" + "é" * 50, f"a{'é' * 49}-"),
    ],
)
def test_any_other_name_is_cut_and_has_eight_digits_of_its_hash(name: str, begin: str) -> None:
    file = file_name(name)
    assert file.startswith(begin) and len(file) == len(begin) + len("01234567.json")


def test_numbers_in_names_are_sorted_by_their_size() -> None:
    names = ["b", "a", "a[x=10]", "a[x=2]", "a[x=0.5]", "a[x=2.5]", "10", "9"]
    assert sorted(names, key=natural) == [
        *("9", "10", "a", "a[x=0.5]", "a[x=2]", "a[x=2.5]", "a[x=10]", "b")
    ]


def test_figures_that_are_not_finite_are_read_back_everywhere(tmp_path: Path) -> None:
    one = example_result().model_copy(
        update={"histories": (history([0.5, 0.6], [math.nan, math.inf], seed=3),)}
    )
    back = read_result(write_result(one, tmp_path))
    assert repr([r.loss for r in back.histories[0].rounds]) == "[nan, inf]"
    assert json_text(back) == json_text(one)


def test_records_are_counted_by_scenario(tmp_path: Path) -> None:
    assert count_records(tmp_path) == 0
    write_result(example_result(), tmp_path)
    write_result(example_result(reason="another"), tmp_path)
    assert count_records(tmp_path) == 1
    write_result(example_result("other"), tmp_path)
    assert count_records(tmp_path) == 2


@pytest.mark.parametrize("status", ["skipped", "not reached"])
def test_a_scenario_that_did_not_run_has_the_figures_of_its_record(
    tmp_path: Path, status: Status
) -> None:
    earlier = example_result(accuracies=(0.1, 0.2))
    gone = example_result(status=status, reason="why", local_reason="here", histories=())
    assert with_earlier_figures(gone, tmp_path) == gone  # there is no record
    write_result(earlier, tmp_path)
    found = with_earlier_figures(gone, tmp_path)
    assert (found.status, found.reason, found.local_reason) == (status, "why", "here")
    assert found.histories == earlier.histories
    write_result(gone, tmp_path)  # a record without figures lends none
    assert with_earlier_figures(gone, tmp_path) == gone


def settings_with(**sections: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of an example, with some keys of its sections replaced."""
    settings = example_result().settings
    return {**settings, **{name: {**settings[name], **keys} for name, keys in sections.items()}}


@pytest.mark.parametrize(
    ("sections", "has_figures"),
    [
        ({}, True),
        ({"data": {"test_fraction": 0.3}}, False),
        ({"clients": {"count": 9}}, False),
        ({"clients": {"split": {"kind": "iid", "new": 1}}}, True),  # no key of the older version
        ({"clients": {"split": "iid"}}, False),
        ({"model": {"kind": "linear"}}, False),
        ({"model": {"outputs": None}}, True),  # the run itself finds it
        ({"model": {"outputs": "logits"}}, False),
        ({"model": {"hidden": None}}, False),
        ({"training": {"rounds": 9}}, False),
        ({"training": {"new": 1}}, True),
    ],
)
def test_figures_of_other_trainings_are_not_shown(
    tmp_path: Path, sections: dict[str, Any], has_figures: bool
) -> None:
    earlier = example_result(settings=settings_with(model={"outputs": "probabilities"}))
    write_result(earlier, tmp_path)
    outputs = {"outputs": "probabilities", **sections.pop("model", {})}
    now = settings_with(model=outputs, **sections)
    gone = example_result(status="skipped", histories=(), settings=now)
    assert bool(with_earlier_figures(gone, tmp_path).histories) == has_figures


def test_verdicts_of_other_expectations_are_not_shown(tmp_path: Path) -> None:
    verdict = Verdict(expectation="accuracy", expected=">= 0.1", measured=0.5, passed=True)
    settings = settings_with()
    alike = {**settings, "expect": {"accuracy": {"at_least": 0.1}}}
    other = {**settings, "expect": {"accuracy": {"at_least": 0.2}}}
    compared = Compared(metric="loss", before=1.0, now=0.5, change="better", passed=True)
    write_result(
        example_result(settings=alike, verdicts=(verdict,), compared=(compared,)), tmp_path
    )
    margins = {**alike, "baseline": {"accuracy": {"margin": 0.1}}}
    older = {key: value for key, value in alike.items() if key != "baseline"}
    for now, verdicts in (
        (alike, (verdict,)),
        (older, (verdict,)),
        (other, ()),
        (margins, ()),
    ):
        gone = example_result(status="skipped", histories=(), settings=now)
        found = with_earlier_figures(gone, tmp_path)
        assert (found.verdicts, found.settings["expect"]) == (verdicts, now["expect"])
        assert found.compared == (() if now is margins else (compared,))
        assert found.settings.get("baseline") == now.get("baseline")


@pytest.mark.parametrize(
    ("file", "shown"), [("", "earlier.yaml"), ("now.yaml", "now.yaml")], ids=["from Python", "file"]
)
def test_earlier_figures_are_of_the_file_that_has_the_scenario_now(
    tmp_path: Path, file: str, shown: str
) -> None:
    write_result(example_result(file="earlier.yaml"), tmp_path)
    gone = example_result(status="skipped", histories=(), file=file)
    assert with_earlier_figures(gone, tmp_path).file == shown


@pytest.mark.parametrize(("seeds", "trainings"), [(1, 5), (2, 4), (3, 4)])
def test_trainings_of_a_grid_count_and_the_chosen_ones_once(seeds: int, trainings: int) -> None:
    """Two points of two trainings; the chosen one has two seeds of its own after these."""
    one, two = (
        GridPoint(name=f"{n}", values={"training.rounds": n}, figures=(0.1, 0.2)) for n in (1, 2)
    )
    tuning = Tuning(
        metric="loss",
        by="validation",
        sign=-1,
        seeds=tuple(range(seeds)),
        points=(one, two),
        chosen=0,
    )
    assert example_result().model_copy(update={"tuning": tuning}).trainings == trainings
    assert example_result().trainings == 2


def test_the_record_of_another_scenario_lends_no_figures(tmp_path: Path) -> None:
    gone = example_result(status="skipped", reason="why", histories=())
    other = write_result(example_result("other"), tmp_path)
    other.rename(record_file("tiny", tmp_path))
    assert with_earlier_figures(gone, tmp_path) == gone


def test_a_folder_without_records_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(FederatedError) as error:
        read_results(tmp_path)
    said = f"{tmp_path}/records: no records there; make some with --fed-report={tmp_path}"
    assert str(error.value) == said


def test_a_record_is_indented_text_in_any_alphabet(tmp_path: Path) -> None:
    one = example_result(status="skipped", reason="größer", histories=())
    lines = write_result(one, tmp_path).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "{" and ' "reason": "größer",' in lines


def test_a_scenario_that_ran_or_erred_keeps_its_own_figures(tmp_path: Path) -> None:
    write_result(example_result(accuracies=(0.1, 0.2)), tmp_path)
    for one in (
        example_result(status="errored", histories=()),
        example_result(status="skipped", accuracies=(0.8,)),
    ):
        assert with_earlier_figures(one, tmp_path) == one


def test_a_file_that_is_no_record_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(FederatedError, match=r"gone\.json: cannot be read: No such file"):
        read_result(tmp_path / "gone.json")
    with pytest.raises(FederatedError, match=r"^a: not a result record \(not UTF-8\)$"):
        parse_result(b"\xff", "a")
    with pytest.raises(FederatedError, match=r"^a: not a result record \(id: Field"):
        parse_result(b"{}", "a")


# Selecting by name


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], ["a[x=1]", "a[x=2]", "b"]),
        (["a*"], ["a[x=1]", "a[x=2]"]),
        (["b", "a[x=?]"], ["a[x=1]", "a[x=2]", "b"]),
        (["a[x=1]"], ["a[x=1]"]),
    ],
)
def test_results_are_selected_by_shell_patterns(patterns: list[str], names: list[str]) -> None:
    results = [example_result(name) for name in ("a[x=1]", "a[x=2]", "b")]
    assert [r.id for r in select(results, patterns)] == names
    with pytest.raises(FederatedError, match=r"no scenario is named c\*; "):
        select(results, [*patterns, "c*"])


# Runs


def test_a_run_leaves_out_skipped_scenarios_and_earlier_figures(tmp_path: Path) -> None:
    write_result(example_result("b"), tmp_path)
    write_result(example_result("gone", status="skipped"), tmp_path)
    write_result(example_result("a[x=10]", status="not reached"), tmp_path)
    write_result(example_result("a[x=9]", status="errored", histories=()), tmp_path)
    (run,) = read_runs([str(tmp_path)])
    assert {name: len(one.histories) for name, one in run.results.items()} == {
        **{"a[x=9]": 0, "a[x=10]": 0, "b": 2}
    }
    assert list(run.results) == ["a[x=9]", "a[x=10]", "b"]


def test_a_run_in_which_nothing_ran_is_refused(tmp_path: Path) -> None:
    write_result(example_result("gone", status="skipped"), tmp_path)
    with pytest.raises(FederatedError, match="no scenario ran there"):
        read_runs([str(tmp_path)])


def test_committed_files_are_read_to_the_byte(tmp_path: Path) -> None:
    files = {"a.json": b"{}\n\n", "empty": b"", "b": b"\x00 blob 3\nx"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "first")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    names = [f"HEAD:{name}" for name in files]
    assert committed_files(names, tmp_path) == list(files.values())
    assert committed_files([], tmp_path) == []


def test_a_folder_named_with_dots_is_no_range_of_revisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_result(example_result(), Path("a..b"))
    (run,) = read_runs(["a..b"])
    assert run.name == "a..b" and list(run.results) == ["tiny"]


def test_a_folder_named_records_may_be_the_folder_of_a_report(tmp_path: Path) -> None:
    write_result(example_result("inner"), tmp_path / "records")
    write_result(example_result("outer"), tmp_path)
    (run,) = read_runs([str(tmp_path / "records")])
    assert list(run.results) == ["inner"]
    with pytest.raises(FederatedError, match="the same run as"):
        read_runs([str(tmp_path), f"{tmp_path}/records/.."])


# Final models


def test_the_models_that_were_kept_are_saved_by_seed(in_tmp_path: Path) -> None:
    one = example_result("a", (0.5, 0.6, 0.7))
    models = [FinalModel((np.full((2, 3), 1.0 * seed),)) if seed else None for seed in range(3)]
    histories = [h.model_copy(update={"model": m}) for h, m in zip(one.histories, models)]
    files = one.model_copy(update={"histories": tuple(histories)}).save(Path("saved"))
    assert files == [Path("saved/seed-1.npz"), Path("saved/seed-2.npz")]
    (weights,) = np.load(files[1]).values()
    assert weights.tolist() == [[2.0] * 3] * 2


def test_a_result_without_a_model_has_none_to_save(in_tmp_path: Path) -> None:
    with pytest.raises(FederatedError, match=r"^a has no model to save: "):
        example_result("a").save(Path("saved"))
    assert not Path("saved").exists()


# What others read cannot be changed under their hands


@pytest.mark.parametrize(
    "one",
    [
        example_result("a"),
        Verdict(expectation="accuracy", expected="", passed=True),
        Compared(metric="accuracy", change="same", passed=True),
        baseline_of(example_result("a")),
        Run("now", {}),
        Look(3),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_was_judged_stays_as_it_is(one: Any) -> None:
    name = next(iter(vars(one)))
    with pytest.raises((ValidationError, FrozenInstanceError), match=r"frozen|cannot assign"):
        setattr(one, name, None)


def test_a_comparison_has_no_pairs_by_default() -> None:
    assert Compared(metric="accuracy", change="worse", passed=False).pairs == 0
