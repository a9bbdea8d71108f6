"""The pages of a report: what stands where, how large they get, what is left of earlier ones."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_results import example_result, example_scenario
from hypothesis import given
from hypothesis import strategies as st
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError
from pytest_federated.plugin.session import _with_file
from pytest_federated.report.index import index
from pytest_federated.report.layout import INDEX, LARGEST, MARK, pages_of
from pytest_federated.report.pages import report, report_files, write_report
from pytest_federated.report.plots.curves import curves
from pytest_federated.report.plots.history import Trace, over_commits
from pytest_federated.report.section import Section, section_of
from pytest_federated.report.tables.choices import choice_text
from pytest_federated.report.tables.fitting import ROWS, WIDTH, bounded, every_nth, fitted
from pytest_federated.report.tables.settings import choice_rows
from pytest_federated.report.tables.table import Table
from pytest_federated.results.record import Compared, Result, Verdict
from pytest_federated.results.store import read_results, write_result
from pytest_federated.training.algorithms.algorithm import algorithms
from report_texts import first_page, only_page


def in_file(file: str, name: str, **more: Any) -> Result:
    return example_result(name, file=file, **more)


def verdict(outcome: str = "pass") -> Verdict:
    return Verdict(
        expectation="accuracy",
        expected=">= 0.9",
        measured=0.95 if outcome == "inconclusive" else 0.55,
        passed=outcome != "fail",
        outcome=outcome,  # pyright: ignore[reportArgumentType]
    )


def compared(change: str) -> Compared:
    return Compared(
        metric="loss",
        before=0.5,
        now=0.25,
        change=change,  # pyright: ignore[reportArgumentType]
        passed=change != "worse",
    )


def headings(text: str) -> list[str]:
    return re.findall("^## (.*)$", text, flags=re.MULTILINE)


def rows(text: str, heading: str) -> list[list[str]]:
    """Returns the cells of the table below a heading, without the padding."""
    (part,) = re.findall(f"^## {heading}\n(.*?)(?=^## |\\Z)", text, flags=re.M | re.S)
    lines = re.findall(r"^\| (.*) \|$", part, flags=re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


# What stands where


def test_the_first_page_begins_with_what_to_look_at() -> None:
    results = [
        in_file("s/a.yaml", "fine"),
        in_file("s/a.yaml", "low", status="failed", verdicts=(verdict("fail"),)),
        in_file("s/a.yaml", "crash", status="errored", reason="no such model", histories=()),
        in_file("s/a.yaml", "near", verdicts=(verdict("inconclusive"),)),
        in_file("s/a.yaml", "faster", compared=(compared("better"),)),
        in_file("s/a.yaml", "away", status="skipped", reason="no data", histories=()),
    ]
    text = first_page(results)
    assert "**1 errored, 1 failed, 3 passed, 1 skipped**" in text
    assert headings(text) == [
        *("Failed", "Undecided", "Better than the baseline", "Not run", "s", "Curves"),
        *("All scenarios together", "Provenance"),
    ]
    page = "pages/s.md"
    assert rows(text, "Failed") == [
        ["", "scenario", "why"],
        ["**✗ errored**", f"[crash]({page}#crash)", "no such model"],
        ["**✗ failed**", f"[low]({page}#low)", "accuracy 0.55 \\< 0.9"],
    ]
    assert rows(text, "Undecided")[1:] == [
        ["**≈ undecided**", f"[near]({page}#near)", "accuracy 0.95, expected ≥ 0.9"]
    ]
    assert rows(text, "Better than the baseline")[1:] == [
        ["✓", f"[faster]({page}#faster)", "loss 0.5 → 0.25"]
    ]
    assert rows(text, "Not run")[1:] == [["away", "no data"]]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (["same", "better"], "▲ better"),
        (["better", "undecided"], "≈ undecided"),
        (["same", "worse", "undecided"], "▼ worse"),
        (["same"], "same"),
    ],
)
def test_the_worst_change_stands_for_a_scenario(changes: Sequence[str], shown: str) -> None:
    """Next to one that has no baseline; a session without baselines has no such column."""
    one = in_file("s/a.yaml", "one", compared=tuple(map(compared, changes)))
    table = rows(first_page([one, in_file("s/a.yaml", "two")]), "s")
    assert [row[-2] for row in table] == ["baseline", shown, "–"]
    assert "baseline" not in first_page([in_file("s/a.yaml", "two")])


def test_folders_have_pages_in_order() -> None:
    results = [
        in_file("scenarios/digits/b.yaml", "b"),
        in_file("scenarios/digits/a.yaml", "a[x=10]"),
        in_file("scenarios/digits/a.yaml", "a[x=9]"),
        in_file("scenarios/own/a.yaml", "c"),
        in_file("top.yaml", "d"),
        example_result("from-python"),
    ]
    pages = pages_of(results)
    assert {page.path: [r.id for r in page.results] for page in pages} == {
        "pages/scenarios.md": ["d", "from-python"],
        "pages/scenarios-digits.md": ["a[x=9]", "a[x=10]", "b"],
        "pages/scenarios-own.md": ["c"],
    }
    text = first_page(results)
    assert headings(text)[:3] == ["Scenarios", "scenarios/digits", "scenarios/own"]


@pytest.mark.parametrize(
    "folders",
    [
        ["a-b", "a/b"],
        ["a", "A"],
        ["", "scenarios"],
        ["é" * 60, "é" * 61],
        ["a b", "a_b"],
        ["/".join(["deep"] * 60), "/".join(["deep"] * 61)],
    ],
)
def test_pages_have_names_of_their_own_on_any_file_system(folders: Sequence[str]) -> None:
    results = [in_file(f"{folder}/x.yaml".lstrip("/"), f"n{n}") for n, folder in enumerate(folders)]
    stems = [page.stem for page in pages_of(results)]
    assert len({stem.casefold() for stem in stems}) == len(folders)
    assert all(len(stem.encode()) < 130 for stem in stems)
    assert not any("/" in stem or " " in stem for stem in stems)


def test_a_section_has_the_settings_that_are_not_those_of_most() -> None:
    results = [
        in_file("s/a.yaml", name, split=split)
        for name, split in (("a", "iid"), ("b", {"kind": "dirichlet", "alpha": 0.5}), ("c", "iid"))
    ]
    results[2] = results[2].model_copy(update={"settings": {**results[2].settings, "model": None}})
    text = only_page(results)
    top, *sections = text.split("\n## ")
    assert "| split            | iid " in top and "| model            | mlp " in top
    assert "**split**" not in sections[0]
    assert "\n\n**split** dirichlet (alpha 0.5)\n\n" in sections[1]
    assert "\n\n**model** –\n\n" in sections[2]


@pytest.mark.parametrize(
    ("optimizer", "shown"),
    [
        ({"kind": "sgd", "learning_rate": 0.3}, "sgd (learning_rate 0.3)"),
        ({"kind": "sgd", "learning_rate": 0.3, "momentum": 0.9}, "momentum 0.9)"),
        ({"kind": "sgd", "momentum": None}, "sgd, reconstruction_epochs 1)"),
    ],
)
def test_a_choice_within_a_choice_leaves_out_what_is_empty(
    optimizer: dict[str, Any], shown: str
) -> None:
    choice = {"kind": "fed_recon", "reconstruction_optimizer": optimizer}
    text = choice_text(algorithms, {**choice, "reconstruction_epochs": 1})
    assert shown in text and "None" not in text and "()" not in text


def test_what_two_halves_differ_in_is_in_every_section() -> None:
    results = [in_file("s/a.yaml", f"n{n}", rounds=2 + n % 2) for n in range(4)]
    top, *sections = only_page(results).split("\n## ")
    assert "| rounds" not in top
    assert [re.findall(r"\*\*rounds\*\* (\d)", section) for section in sections] == [
        *(["2"], ["3"], ["2"], ["3"]),
    ]


def test_all_but_verdict_and_settings_is_folded() -> None:
    one = in_file("s/a.yaml", "a", verdicts=(verdict(),))
    _, section = only_page([one]).split("\n## ")
    seen, folded = section.split("<details>", 1)
    assert seen.count("|---") and "| pass " in seen and "| seed " not in seen
    assert "| seed " in folded and "|   round |" in folded and "label distances" in folded
    assert folded.count("</details>") == section.count("<details>") == 2


# Sizes


def many(count: int, file: str, **more: Any) -> list[Result]:
    """Returns results in files whose names are made from numbers."""
    one = example_result("base", **more)
    return [
        one.model_copy(update={"id": f"base[n={n}]", "file": file.format(n=n, ten=n // 10)})
        for n in range(count)
    ]


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes one section for all results with the same trainings: a thousand take seconds."""
    sections: dict[int, Section] = {}

    def section(result: Result) -> Section:
        key = id(result.histories)
        if key not in sections:
            sections[key] = section_of(result)
        return sections[key]

    monkeypatch.setattr("pytest_federated.report.layout.section_of", section)


def sections_in(texts: dict[str, str]) -> list[str]:
    return [heading for name, text in texts.items() if name != INDEX for heading in headings(text)]


@pytest.mark.usefixtures("alike")
@pytest.mark.parametrize(
    "file",
    [
        "s/a.yaml",
        *(
            pytest.param(file, marks=pytest.mark.slow)
            for file in ("s/f{ten}.yaml", "s{ten}/a.yaml", "s{n}/a.yaml")
        ),
    ],
    ids=str,
)
def test_a_thousand_scenarios_have_pages_that_github_shows(file: str) -> None:
    results = many(1000, file)
    texts = report(results)
    assert max(len(text.encode()) for text in texts.values()) <= LARGEST
    assert len(set(sections_in(texts))) == len(sections_in(texts)) == 1000
    assert "1000 passed" in texts[INDEX]
    targets = re.findall(r"\]\((pages/[^)#]+\.md)(?:#basen([^)]+))?\)", texts[INDEX])
    assert targets
    for name, number in targets:
        assert f"## base\\[n={number}" in texts[name]


@pytest.mark.slow
@pytest.mark.usefixtures("alike")
def test_a_thousand_failures_leave_the_first_page_small() -> None:
    reason = "it is too low because " * 100
    results = [
        one.model_copy(update={"status": "failed", "reason": reason, "id": one.id + "x" * 300})
        for one in many(1000, "a very long name of a folder/" * 3 + "s{n}/a.yaml")
    ]
    text = first_page(results)
    assert len(text.encode()) <= LARGEST
    assert "**1000 failed**" in text and "... and 960 more" in text


def test_a_folder_is_split_by_file_and_a_file_into_parts() -> None:
    few, lots = many(3, "s/few.yaml"), many(60, "s/many.yaml")
    few = [one.model_copy(update={"id": f"few{n}"}) for n, one in enumerate(few)]
    pages = pages_of([*few, *lots])
    assert [page.stem for page in pages] == [
        *("s-few", "s-many-1", "s-many-2"),
    ]
    assert [page.title for page in pages][:2] == ["s/few.yaml", "s/many.yaml, part 1 of 2"]
    assert [r.id for page in pages for r in page.results] == [r.id for r in [*few, *lots]]
    text = index([*few, *lots], pages)
    assert "63 passed. Details: [few.yaml](pages/s-few.md), [many.yaml, part 1 of 2]" in text
    assert headings(text)[0] == "s"


def test_the_first_page_has_some_rows_of_a_large_folder() -> None:
    text = first_page(many(150, "s/a.yaml"))
    assert text.count("| ✓ ") == 100 and "... and 50 more" in text


@pytest.mark.parametrize("rounds", [ROWS, ROWS + 1, 10 * ROWS + 3])
def test_of_very_many_rounds_some_are_shown_and_the_last(rounds: int) -> None:
    text = only_page([in_file("s/a.yaml", "a", rounds=rounds, accuracies=(0.5,))])
    shown = [int(n) for n in re.findall(r"^\| +(\d+) \|", text.rpartition("<summary>")[2], re.M)]
    assert len(shown) <= ROWS and shown[-1] == rounds
    assert ("Every" in text) == (rounds > ROWS)


def test_what_is_too_long_for_a_page_is_left_to_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    one = in_file("s/a.yaml", "a" * 300, accuracies=[0.5] * 1000)
    settings = {**one.settings, "description": "long " * 50_000}
    result = one.model_copy(update={"settings": settings})
    assert len(only_page([result]).encode()) <= LARGEST / 5
    monkeypatch.setattr("pytest_federated.report.section._LARGEST_FOLD", 5000)
    text = only_page([result])
    assert len(text.encode()) < 8000 and "<details>" not in text
    assert "too long to be shown" in text and "../records/aaa" in text


# Tables


@given(st.lists(st.lists(st.integers(1, 60), min_size=12, max_size=12), min_size=1, max_size=8))
def test_tables_fit_and_keep_every_cell(widths: list[list[int]]) -> None:
    cells = [[f"{n}.{m}" + "x" * w for m, w in enumerate(row)] for n, row in enumerate(widths)]
    whole = Table(cells[1:], cells[0])
    tables = fitted(whole)
    kept = {cell for table in tables for row in [table.columns, *table.rows] for cell in row}
    assert kept == {cell for row in cells for cell in row}
    for table in tables:
        wide = [max(map(len, column)) for column in zip(table.columns, *table.rows)]
        assert sum(wide) + 3 * (len(wide) - 1) <= WIDTH or len(wide) == 2


def test_a_table_that_fits_stays_as_it_is() -> None:
    table = Table([["a", "b"]], ["x", "y"])
    assert fitted(table) == [table]
    assert bounded(table) == (table, "")


@given(st.integers(0, 5 * ROWS))
def test_rounds_at_equal_distances_and_the_last_one_are_kept(rounds: int) -> None:
    shown, step = every_nth(range(1, rounds + 1))
    assert len(shown) <= ROWS and shown[-1:] == ([rounds] if rounds else [])
    assert all(later - earlier <= step for earlier, later in zip(shown, shown[1:]))


# Pictures


def test_a_history_has_a_panel_for_each_figure_and_a_line_for_each_change() -> None:
    from matplotlib.figure import Figure

    means = [0.8, 0.8, 0.5]
    traces = [
        Trace(name, [1, 2, 3], means, [m - 0.1 for m in means], [m + 0.1 for m in means], changes)
        for name, changes in (("one: accuracy", [(3, "worse")]), ("two: accuracy", []))
    ]
    picture = over_commits(traces, 3)
    assert picture.alt.startswith("2 figure(s) of scenarios over 3 commits")
    figure = Figure()
    picture.draw(figure.add_axes((0, 0, 1, 1)))
    one, two = figure.axes[1:]
    assert (one.get_title(), two.get_title()) == ("one: accuracy", "two: accuracy")
    curve, change = one.lines
    assert np.array_equal(curve.get_ydata(), means)
    assert np.array_equal(change.get_xdata(), [3, 3])
    assert len(two.lines) == 1


def test_scenarios_that_were_evaluated_once_have_no_curve() -> None:
    once, often = example_result("once", rounds=1), example_result("often", rounds=3)
    assert curves([once]) is None
    picture = curves([once, often])
    assert picture and "of 1 scenario(s)" in picture.alt
    svg = picture.svg()
    assert ">often<" in svg and ">once<" not in svg
    assert "scenarios.svg" not in "".join(report([once]).values())


def test_variants_share_a_panel_and_a_picture_is_bounded() -> None:
    variants = [example_result(f"m[alpha={n}]", (n / 10, n / 9)) for n in range(3)]
    picture = curves(variants)
    assert picture
    svg = picture.svg()
    assert all(f">alpha={n}<" in svg for n in range(3))
    crowd = curves([*many(300, ""), *(example_result(f"s{n}") for n in range(30))])
    assert crowd and "of 24 of 31 scenario(s)" in crowd.alt
    assert len(crowd.svg()) < 300_000


# The same bytes, and what is left of earlier reports


@pytest.mark.usefixtures("undrawn")
def test_the_same_results_in_any_order_give_the_same_files(tmp_path: Path) -> None:
    results = [*many(30, "s{ten}/a.yaml"), example_result("away", status="skipped", histories=())]
    files = report_files(results)
    shuffled = random.Random(0).sample(results, len(results))
    assert report_files(shuffled) == files
    write_report(shuffled, tmp_path)
    assert report_files(read_results(tmp_path)) == files
    assert main(["report", str(tmp_path), "--check"]) == 0


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("command", [False, True])
def test_pages_that_are_gone_are_deleted_and_files_of_others_stay(
    tmp_path: Path, command: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = in_file("a/x.yaml", "one"), in_file("b/x.yaml", "two")
    write_report([first, second], tmp_path)
    ours = {tmp_path / f"pages/{name}" for name in ("a.md", "a.svg", "b.md", "b.svg")}
    theirs = [tmp_path / name for name in ("report.md", "pages/notes.md", "pages/logo.svg")]
    for file in theirs:
        file.write_text("mine", encoding="utf-8")
    assert {*(tmp_path / "pages").iterdir()} == ours | {*theirs[1:]}
    if command:
        (tmp_path / "records/two.json").unlink()
        assert main(["report", str(tmp_path), "--check"]) == 1
        assert "pages/b.md, " in capsys.readouterr().err
        assert main(["report", str(tmp_path)]) == 0
    else:
        write_report([first], tmp_path)
    left = {tmp_path / "pages/a.md", tmp_path / "pages/a.svg"}
    assert {*(tmp_path / "pages").iterdir()} == left | {*theirs[1:]}
    assert all(file.read_text(encoding="utf-8") == "mine" for file in theirs)
    assert (tmp_path / "pages/a.md").read_text(encoding="utf-8").startswith(MARK)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["index.md", "pages/scenarios.md"])
def test_a_page_of_somebody_else_is_not_overwritten(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as the first page of a folder with documentation."""
    theirs = tmp_path / name
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("# My project\n", encoding="utf-8")
    write_result(example_result(), tmp_path)
    for _ in range(2):
        with pytest.raises(FederatedError, match=rf"{name}: not a page of a report; move it, or"):
            write_report([example_result()], tmp_path)
        assert main(["report", str(tmp_path)]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert theirs.read_text(encoding="utf-8") == "# My project\n"
    pages = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.md")}
    assert pages == {name}


def changed(result: Result, **sections: Any) -> Result:
    """Returns a scenario that is skipped now, with other settings in these sections."""
    settings = {
        name: {**value, **sections[name]} if name in sections else value
        for name, value in result.settings.items()
    }
    return result.model_copy(
        update={
            **{"settings": settings, "status": "skipped", "reason": "no data"},
            **{"histories": (), "verdicts": (), "versions": {}},
        }
    )


@pytest.mark.usefixtures("undrawn")
def test_a_skipped_scenario_keeps_its_section(tmp_path: Path) -> None:
    one = in_file("s/a.yaml", "one", verdicts=(verdict(),))
    other = in_file("s/a.yaml", "two")
    write_report([one, other], tmp_path)
    before = (tmp_path / "pages/s.md").read_text(encoding="utf-8")
    for _ in range(2):
        write_report([changed(one), other], tmp_path)
        after = (tmp_path / "pages/s.md").read_text(encoding="utf-8")
        kept = after.replace("**skipped: no data; what follows is of an earlier run**\n\n", "")
        assert kept.split("\n## ")[1:] == before.split("\n## ")[1:]
        (_, row, _) = rows(first_page(read_results(tmp_path)), "s")
        assert row == ["– skipped", "0.550 (0 to 1)", "[one](pages/s.md#one)"]
    write_report([one, other], tmp_path)
    assert (tmp_path / "pages/s.md").read_text(encoding="utf-8") == before


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("sections", "kept"),
    [
        ({}, True),
        ({"training": {"rounds": 3}}, False),
        ({"clients": {"split": {"kind": "dirichlet", "alpha": 1.0}}}, False),
        ({"clients": {"dropout": {"kind": "uniform", "rate": 0.5}}}, False),
        ({"data": {"dataset": {"kind": "wine"}}}, False),
        ({"model": {"kind": "linear"}}, False),
        ({"model": {"outputs": None}}, True),  # as the scenario says it; the run found it out
        ({"training": {"key_of_a_newer_version": 1}}, True),
    ],
)
def test_figures_of_other_settings_are_not_kept(tmp_path: Path, sections: Any, kept: bool) -> None:
    one = example_result("one", verdicts=(verdict(),))
    write_result(one, tmp_path)
    now = changed(one, **sections)
    write_report([now], tmp_path)
    (found,) = read_results(tmp_path)
    assert found.status == "skipped"
    assert found.histories == (one.histories if kept else ())
    assert found.verdicts == (one.verdicts if kept else ())
    assert found.settings == (one.settings if kept else now.settings)


def test_verdicts_on_other_expectations_are_not_kept(tmp_path: Path) -> None:
    one = example_result("one", verdicts=(verdict(),))
    write_result(one, tmp_path)
    write_report([changed(one, expect={"accuracy": {"at_least": 0.5}})], tmp_path)
    (found,) = read_results(tmp_path)
    assert found.histories == one.histories and not found.verdicts
    assert found.settings["expect"] == {"accuracy": {"at_least": 0.5}}


@pytest.mark.parametrize(
    ("node_id", "file"),
    [
        ("scenarios/a.yaml::one[x=1]", "scenarios/a.yaml"),
        ("a.yaml::one", "a.yaml"),
        ("../../home/me/scenarios/a.yaml::one", "scenarios/a.yaml"),
        ("/home/me/scenarios/a.yaml::one", "scenarios/a.yaml"),
        ("../a.yaml::one", "a.yaml"),
    ],
)
def test_the_file_of_a_scenario_says_nothing_of_the_machine(node_id: str, file: str) -> None:
    assert _with_file(example_result(), node_id).file == file


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({}, "4, all per round"),
        ({"per_round": 2}, "4, 2 per round"),
        ({"sampling": {"kind": "cyclic", "blocks": 2}}, "4, all per round"),
        ({"sampling": {"kind": "fixed", "cohorts": [[0, 1], [2]]}}, "4"),  # the row below says who
    ],
)
def test_clients_per_round_are_those_that_the_sampling_reads(
    chosen: dict[str, Any], said: str
) -> None:
    scenario = example_scenario(clients={"count": 4, **chosen})
    settings = scenario.model_dump(mode="json")
    rows = dict(
        choice_rows(example_result().model_copy(update={"settings": settings, "histories": ()}))
    )
    assert rows["clients"] == said
