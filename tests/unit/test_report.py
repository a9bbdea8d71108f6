"""Records and the report: complete, readable when rendered, and the same bytes each time."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from markdown_it import MarkdownIt
from paths import HELPERS
from pytest_federated.core.errors import FederatedError
from pytest_federated.core.files import write_text
from pytest_federated.core.ordering import natural
from pytest_federated.data.heterogeneity import measure
from pytest_federated.report.markup import anchor, escape
from pytest_federated.report.pages import report, write_report
from pytest_federated.results.record import Result, Verdict
from pytest_federated.results.store import file_name, read_results, write_result
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.history import Round, TrainingHistory

GOLDEN = HELPERS / "golden" / "five_outcomes.md"


def history(seed: int, accuracies: list[Optional[float]], **more: Any) -> TrainingHistory:
    rounds = tuple(
        Round(
            round=i,
            clients=2,
            held_examples=30,
            examples=60,
            train_loss=2.0 / i,
            train_accuracy=0.4 + 0.1 * i,
            loss=None if a is None else 2.1 / i,
            accuracy=a,
        )
        for i, a in enumerate(accuracies, start=1)
    )
    counts = np.array([[5, 5, 0], [0, 10 - seed, 10 + seed]])
    return TrainingHistory(
        seed=seed,
        rounds=rounds,
        client_examples=(10, 20),
        test_examples=40,
        heterogeneity=measure(counts, unused=seed),
        label_counts=counts.tolist(),
        **more,
    )


def result(name: str, **given: Any) -> Result:
    scenario = Scenario.model_validate(
        {
            "name": name.partition("[")[0],
            "description": "Two clients | with_odd *characters*.",
            "data": {"dataset": "digits"},
            "clients": {"count": 2, "split": {"kind": "dirichlet", "alpha": 0.5}},
            "model": {"keras": "my_models:build"},
            "training": {"rounds": 2},
            "seeds": [0, 1],
            "expect": {"rounds_to_accuracy": {"target": 0.9, "at_most": 2}},
        }
    )
    versions = {"pytest-federated": "0.1.0", "numpy": "1.25.2"}
    return Result(id=name, settings=scenario.settings(), versions=versions, **given)


@pytest.fixture
def results() -> list[Result]:
    missed = Verdict(
        expectation="rounds_to_accuracy",
        expected="0.9 by round 2",
        passed=False,
        note="not reached",
    )
    held = Verdict(
        expectation="accuracy",
        expected=">= 0.7",
        measured=0.75,
        spread=0.05,
        low=0.3,
        high=1.2,
        figures=(0.7, 0.8),
        margin=0.05,
        passed=True,
        outcome="inconclusive",
        more_seeds=4,
    )
    measured: dict[str, Any] = {
        "execution": "packed",
        "parameters": 12345,
        "client_accuracy": (0.6, 0.9),
        "class_recall": (0.7, None, 0.8),
    }
    two = (history(0, [0.5, 0.7], **measured), history(1, [0.6, 0.8], **measured))
    gone = (history(0, [0.1], diverged="diverged in round 1: train loss is nan"),)
    return [
        result("first[alpha=0.1]", status="passed", histories=two, verdicts=(held,)),
        result("second_one", status="failed", histories=two, verdicts=(held, missed)),
        result("third", status="diverged", reason="seed 0 diverged in round 1", histories=gone),
        result("fourth", status="not judged", reason="cut short", histories=(history(0, [None]),)),
        result("fifth", status="skipped", reason="emnist is not in the data cache"),
    ]


def test_the_report_is_the_golden_one(results: list[Result]) -> None:
    """After an intended change, run this file with FED_WRITE_GOLDEN=1 and read the diff."""
    written = "".join(f"### {name}\n\n{text}\n" for name, text in report(results).items())
    if os.environ.get("FED_WRITE_GOLDEN"):
        GOLDEN.write_text(written, encoding="utf-8")
    assert written == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["index.md", "pages/scenarios.md"])
def test_the_report_renders(results: list[Result], name: str) -> None:
    texts = report(results)
    text = texts[name]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings = [
        tokens[i + 1].content.replace("\\", "")
        for i, token in enumerate(tokens)
        if token.type == "heading_open"
    ]
    assert headings[0] == {"index.md": "Federated scenarios"}.get(name, "Scenarios")
    for shown in ("first[alpha=0.1]", "second_one", "third", "fourth"):
        assert (shown in headings) == (name != "index.md")

    columns, widths = 0, []
    for token in tokens:
        if token.type == "tr_open":
            columns = 0
        elif token.type in ("th_open", "td_open"):
            columns += 1
        elif token.type == "tr_close":
            widths.append(columns)
        elif token.type == "table_open":
            widths = []
        elif token.type == "table_close":
            assert len(set(widths)) == 1 and len(widths) > 1

    html = MarkdownIt("commonmark").enable("table").render(text)
    is_described = "Two clients | with_odd *characters*." in html  # as text, not as emphasis
    assert is_described == (name != "index.md")
    assert "<em>" not in html
    targets = re.findall(r'href="([^"#]*)#([^"]+)"', html)
    assert len(targets) >= 4
    for page, target in targets:
        lines = texts[page or name].splitlines()
        assert target in {anchor(line[3:]) for line in lines if line.startswith("## ")}


@pytest.mark.usefixtures("undrawn")
def test_the_report_is_written_with_its_records(results: list[Result], tmp_path: Path) -> None:
    path = write_report(results, tmp_path)
    first = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files_of(tmp_path)}
    assert path in first
    names = sorted(p.name for p in (tmp_path / "records").iterdir())
    assert names == [
        *("fifth.json", "first-alpha=0.1.json", "fourth.json", "second_one.json", "third.json")
    ]
    page = tmp_path / "pages/scenarios.md"
    targets = re.findall(r"\]\((../records/[^)]+)\)", page.read_text(encoding="utf-8"))
    assert len(targets) == 4
    for target in targets:
        assert (page.parent / target.replace("%3D", "=").replace("%2C", ",")).is_file()
    write_report(results, tmp_path)
    again = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files_of(tmp_path)}
    assert again == first


def files_of(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_a_record_is_read_back_as_it_was_written(results: list[Result], tmp_path: Path) -> None:
    for one in results:
        write_result(one, tmp_path)
    assert {r.id: r for r in read_results(tmp_path)} == {r.id: r for r in results}


@pytest.mark.usefixtures("undrawn")
def test_a_skipped_scenario_leaves_the_record_of_an_earlier_run(
    results: list[Result], tmp_path: Path
) -> None:
    """Its figures stay in the record and the report, which say that they are earlier ones."""
    first, *_, skipped = results
    again = skipped.model_copy(update={"id": first.id})
    write_report([again], tmp_path)
    assert read_results(tmp_path) == [again]
    write_report([first], tmp_path)
    drawn = {p: p.stat().st_mtime_ns for p in (tmp_path / "pages").glob("*.svg")}
    assert drawn
    for _ in range(2):
        path = write_report([again], tmp_path)
        page = tmp_path / "pages/scenarios.md"
        (kept,) = read_results(tmp_path)
        assert (kept.status, kept.reason) == ("skipped", again.reason)
        assert kept == first.model_copy(update={"status": "skipped", "reason": again.reason})
        index, text = (file.read_text(encoding="utf-8") for file in (path, page))
        assert {"index.md": index, "pages/scenarios.md": text} == report([kept])
        assert f"{escape(again.reason)}; shown is an earlier run" in index
        assert f"**skipped: {escape(again.reason)}; what follows is of an earlier run**" in text
        assert "**1 skipped**" in index and "scenarios.svg" in index
        assert index.count(f"| [{escape(first.id)}](pages/scenarios.md#firstalpha01) |") == 1
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "pages").glob("*.svg")} == drawn
    path = write_report([first], tmp_path)
    assert path.read_text(encoding="utf-8") == report([first])["index.md"]


def test_ids_are_sorted_in_natural_order() -> None:
    ids = ["a", "a[alpha=0.5]", "a[alpha=1]", "a[alpha=10]", "a-b", "b"]
    assert sorted(reversed(ids), key=natural) == ids


def test_a_file_that_is_no_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(FederatedError, match="no records there"):
        read_results(tmp_path)
    (tmp_path / "records").mkdir()
    (tmp_path / "records/a.json").write_text('{"record": 2}')
    with pytest.raises(FederatedError, match=r"a\.json: not a result record"):
        read_results(tmp_path)


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.md"
    write_text(path, "old")

    def no_space(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(OSError, match="no space"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.md"]


def test_file_names_are_safe() -> None:
    name = file_name("a[split=shards(shards_per_client=3)]")
    assert re.fullmatch(r"a-split=shards_shards_per_client=3_-[0-9a-f]{8}\.json", name)
    assert "/" not in file_name("a[path=../../etc]")
