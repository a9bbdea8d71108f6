"""The history of results: what changed, at which commit, and what ranges cannot be read."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from example_results import example_result
from markdown_it import MarkdownIt
from pytest_federated.__main__ import main
from pytest_federated.results.record import Result
from pytest_federated.results.store import record_file, write_result

GOOD, BAD = (0.80, 0.81, 0.79), (0.70, 0.72, 0.69)


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty git repository, in which the tests run."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for key, value in (("NAME", "A"), ("EMAIL", "a@b.c"), ("DATE", "2026-11-26T12:00:00Z")):
        monkeypatch.setenv(f"GIT_AUTHOR_{key}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{key}", value)
    git("init", "-q", "-b", "main")
    commit("Nothing yet")
    git("tag", "empty")
    return folder


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has pictures cost no time, but for the tests that look at them."""
    monkeypatch.setattr(
        "pytest_federated.report.plots.style.Picture.svg", lambda picture: f"<svg>{picture.alt}"
    )


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def commit(subject: str, *results: Result) -> None:
    """Commits these records, and what else has changed."""
    for one in results:
        write_result(one, Path("reports"))
    git("add", ".")
    git("commit", "-qm", subject, "--allow-empty")


def commits(*levels: Sequence[float], name: str = "tiny", **more: Any) -> None:
    """Commits a record of a scenario with each of these accuracies by seed.

    A second scenario has other figures each time, so that each commit changes a record.
    """
    for number, accuracies in enumerate(levels, start=1):
        other = example_result("other", (0.5 + number / 10_000, 0.5))
        commit(f"Commit {number}", example_result(name, accuracies, **more), other)


def history(span: str = "empty..main") -> str:
    """Returns the page that the command writes."""
    assert main(["report", "reports", "--history", span]) == 0
    return Path("reports/history.md").read_text(encoding="utf-8")


def section(text: str, subject: str) -> str:
    """Returns the part of a page below a heading."""
    return text.partition(f"## {subject}\n")[2].partition("\n## ")[0]


def test_a_change_is_named_with_its_commit_and_its_pairs_of_seeds() -> None:
    commits(GOOD, GOOD, GOOD, BAD, BAD)
    text = history()
    assert "**1 worse, 1 the same**" in text
    told = section(text, "Commit 4")
    assert git("rev-parse", "main~1")[:10] in told and "(2026-11-26)" in told
    assert "▼ worse | 0.8 → 0.703 | -0.0967 (-0.111 to -0.0823, 3 pairs) | accuracy " in told
    assert "## Commit 1\n" not in text and "## Commit 5\n" not in text


def test_the_newest_change_comes_first_and_a_change_back_is_one() -> None:
    commits(GOOD, GOOD, GOOD, BAD, BAD, GOOD, GOOD)
    text = history()
    assert 0 < text.index("## Commit 6\n") < text.index("## Commit 4\n")
    assert "▲ better | 0.703 → 0.8" in text


def test_where_nothing_changes_nothing_is_reported() -> None:
    commits(GOOD, GOOD, GOOD)
    text = history()
    assert "**2 the same**" in text and "## Commit" not in text
    assert "plots/history-1.svg" in text and Path("reports/plots/history-1.svg").is_file()


def test_what_the_seeds_do_not_tell_is_undecided() -> None:
    commits((0.8, 0.6, 0.7), (0.8, 0.6, 0.7), (0.8, 0.6, 0.7), (0.9, 0.5, 0.8), (0.9, 0.5, 0.8))
    assert "≈ undecided | 0.7 → 0.733" in section(history(), "Commit 4")


def test_seeds_that_are_added_are_no_change() -> None:
    """The mean of five seeds is another one than that of two; the common two did not change."""
    commits((0.8, 0.9), (0.8, 0.9), (0.8, 0.9, 0.1, 0.2, 0.3), (0.8, 0.9, 0.1, 0.2, 0.3))
    assert "**2 the same**" in history()


def test_settings_that_changed_at_that_commit_are_named() -> None:
    commits(GOOD, GOOD)
    commits(BAD, BAD, split={"kind": "dirichlet", "alpha": 0.5})
    text = history()
    assert "What else changed there: clients.split.kind iid → dirichlet (1 scenario(s))." in text


def test_a_scenario_that_begins_to_fail_is_reported() -> None:
    commits(GOOD, GOOD)
    commits(GOOD, GOOD, status="failed")
    text = history()
    assert "**1 worse, 1 the same**" in text
    assert "| ▼ worse | passed → failed | –            | outcome" in text


def test_a_training_that_diverges_is_reported() -> None:
    commits(GOOD, GOOD, GOOD)
    commit("Diverges", example_result("tiny", status="diverged", reason="nan", histories=()))
    assert "passed → diverged" in section(history(), "Diverges")


def test_a_change_is_that_of_the_commit_which_was_merged() -> None:
    commits(GOOD, GOOD, GOOD)
    git("checkout", "-qb", "branch")
    commit("Not this one")
    commit("Breaks it", example_result("tiny", BAD))
    commit("Nor this one")
    git("checkout", "-q", "main")
    commit("Beside it")
    git("merge", "-q", "--no-ff", "-m", "Merge branch", "branch")
    text = history()
    assert "▼ worse" in section(text, "Breaks it")
    assert "## Merge branch" not in text


def test_a_change_on_main_before_a_merge_is_not_what_was_merged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even if it is the newer of the two, and the merge has a record of its own."""
    commits(GOOD, GOOD, GOOD)
    git("checkout", "-qb", "branch")
    commit("Breaks it", example_result("tiny", BAD))
    git("checkout", "-q", "main")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-27T12:00:00Z")
    commit("Beside it", example_result("tiny", GOOD, versions={"numpy": "1.25.3"}))
    git("merge", "-q", "--no-commit", "-s", "ours", "branch")
    commit("Merge branch", example_result("tiny", BAD, versions={"numpy": "1.25.3"}))
    text = history()
    assert "▼ worse" in section(text, "Breaks it")
    assert "## Beside it" not in text and "## Merge branch" not in text


def test_a_renamed_scenario_goes_on() -> None:
    commits(GOOD, GOOD, GOOD)
    record_file("tiny", Path("reports")).unlink()
    commits(GOOD, BAD, BAD, name="small")
    text = history()
    assert "tiny was renamed to small" in text
    assert "| small" in section(text, "Commit 2") and "▼ worse" in text


def test_a_scenario_with_two_possible_earlier_names_begins_anew() -> None:
    one, two = (example_result(name, GOOD) for name in ("one", "two"))
    commit("Two of a kind", one, two)
    for name in ("one", "two"):
        record_file(name, Path("reports")).unlink()
    commit("Both gone", example_result("three", BAD))
    assert "renamed" not in history()


def test_a_skipped_scenario_has_no_figures_of_that_commit() -> None:
    commits(GOOD, GOOD, GOOD)
    commit("No data", example_result("tiny", BAD, status="skipped", reason="no data"))
    assert "**2 the same**" in history()


def test_records_that_cannot_be_read_are_named_in_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    commits(GOOD, GOOD)
    file = record_file("tiny", Path("reports"))
    good = file.read_text(encoding="utf-8")
    file.write_text('{"record": 0}', encoding="utf-8")
    commit("Of another time")
    file.write_text(good, encoding="utf-8")
    commit("Again")
    text = history()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "cannot be read" in line]
    assert line.startswith(f"{git('rev-parse', 'main~1')[:10]}: 1 record(s) cannot be read by this")
    assert "tiny.json: not a result record" in line
    assert "1 record(s) cannot be read" in text and "**2 the same**" in text


def test_of_several_records_that_cannot_be_read_the_first_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    commits(GOOD, GOOD)
    for name, number in (("other", 0), ("tiny", -1)):
        file = record_file(name, Path("reports"))
        file.write_text(f'{{"record": {number}}}', encoding="utf-8")
    commit("Of another time")
    git("checkout", "main~1", "--", "reports")
    commit("Again")
    history()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "cannot be read" in line]
    assert ": 2 record(s) cannot be read" in line and "other.json: not a result" in line


def test_a_commit_without_records_is_named_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    commits(GOOD, GOOD)
    history()
    said = capsys.readouterr().err
    assert said == f"{git('rev-parse', 'empty')[:10]}: no records in reports/records/\n"


def test_changes_that_are_not_committed_are_said_to_be_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    commits(GOOD, GOOD, GOOD)
    write_result(example_result("tiny", BAD), Path("reports"))
    assert "**2 the same**" in history()
    assert "changes that are not committed; they are not shown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ("main", "--history: got 'main'; a range of commits, as main~50..main"),
        ("a..b..c", "--history: got 'a..b..c'; a range of commits, as main~50..main"),
        ("mian..", "--history: mian: no such file, folder or git revision; did you mean 'main'?"),
        ("main..main", "--history: no commit of main..main changes a record in reports/records/"),
        ("main..empty", "--history: main..empty: the second does not descend from the first; with"),
        ("main...orphan", "--history: main...orphan: these have no commit in common"),
        ("empty..first", "--history: fewer than two commits of empty..first have records\n"),
    ],
)
def test_a_range_without_a_history_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], span: str, said: str
) -> None:
    commits(GOOD)
    git("tag", "first")
    commits(BAD)
    git("checkout", "-q", "--orphan", "orphan")
    commit("Alone")
    assert main(["report", "reports", "--history", span]) == 1
    assert capsys.readouterr().err.removeprefix("error: ").startswith(said)
    assert not Path("reports/history.md").exists()


def test_three_dots_begin_where_the_branches_parted() -> None:
    commits(GOOD, GOOD)
    git("checkout", "-qb", "branch")
    commits(GOOD, BAD, BAD)
    git("checkout", "-q", "main")
    commits(GOOD)
    assert "▼ worse" in history("main...branch")


def test_a_shallow_clone_says_what_it_lacks(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commits(GOOD, GOOD, BAD)
    clone = repository.parent / "clone"
    git("clone", "-q", "--depth=1", repository.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    assert main(["report", "reports", "--history", "main~2..main"]) == 1
    assert "this clone is shallow; git fetch --unshallow gets" in capsys.readouterr().err


def test_outside_of_a_repository_it_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_result(example_result("tiny", GOOD), tmp_path / "alone")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert main(["report", str(tmp_path / "alone"), "--history", "a..b"]) == 1
    assert "not a git repository" in capsys.readouterr().err


def test_the_page_is_the_same_again_and_checked() -> None:
    commits(GOOD, GOOD, GOOD, BAD)
    text = history()
    assert history() == text
    check = ["report", "reports", "--history", "empty..main", "--check"]
    assert main(check) == 0
    Path("reports/history.md").write_text(f"{text}more", encoding="utf-8")
    assert main(check) == 1


def test_pictures_of_a_longer_history_are_deleted() -> None:
    commits(GOOD, GOOD)
    Path("reports/plots").mkdir()
    Path("reports/plots/history-3.svg").write_text("old")
    Path("reports/plots/mine.svg").write_text("mine")
    history()
    names = {file.name for file in Path("reports/plots").glob("*.svg")}
    assert {"history-1.svg", "mine.svg"} <= names and "history-3.svg" not in names


def test_a_page_of_somebody_else_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    commits(GOOD, GOOD)
    Path("reports/history.md").write_text("mine", encoding="utf-8")
    assert main(["report", "reports", "--history", "empty..main"]) == 1
    assert "not a page of a report" in capsys.readouterr().err
    assert Path("reports/history.md").read_text(encoding="utf-8") == "mine"


def test_subjects_and_names_are_shown_as_they_are() -> None:
    name = "tiny[keras=my_models:*build*]"
    commits(GOOD, GOOD, GOOD, name=name)
    commit("Use <b>*new*</b> | `steps`", example_result(name, BAD))
    html = MarkdownIt("commonmark").enable("table").render(history())
    assert "<h2>Use &lt;b&gt;*new*&lt;/b&gt; | `steps`</h2>" in html
    assert f"<td>{name}</td>" in html


def test_a_subject_of_a_hundred_characters_is_shown_whole() -> None:
    commits(GOOD, GOOD, GOOD)
    commit("w" * 100, example_result("tiny", BAD))
    commit("l" * 101, example_result("tiny", GOOD))
    text = history()
    assert f" {'w' * 100} " in text
    assert f" {'l' * 50}…{'l' * 49} " in text


def test_a_record_in_a_file_with_an_odd_name_counts() -> None:
    commits(GOOD, GOOD, GOOD)
    file = record_file("tiny", Path("reports"))
    file.rename(file.with_name("ti\tny\n.json"))
    commit("Moved")
    assert "**2 the same**" in history()


@pytest.mark.slow
def test_a_page_with_many_changes_is_bounded() -> None:
    names = [f"scenario-with-a-rather-long-name[alpha={n}]" for n in range(60)]
    for number, accuracies in enumerate((GOOD, GOOD, GOOD, BAD)):
        one = example_result("other", (0.5 + number / 10_000,))
        commit(f"Commit {number}", one, *(example_result(n, accuracies) for n in names))
    text = history()
    assert "**60 worse, 1 the same**" in text
    rows = [line for line in text.splitlines() if line.startswith("| ▼ worse")]
    assert len(rows) == 40 and all(len(row) <= 130 for row in rows)
    assert "\n... and " in text
    assert len(list(Path("reports/plots").glob("history-*.svg"))) == 3
