"""A report is drawn again when something that it shows has changed, and not otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from example_results import example_result
from pytest_federated.report import drawn
from pytest_federated.report.pages import report_files
from pytest_federated.report.plots.plot import overview_plots
from pytest_federated.results.record import Compared, Result

RESULTS = [example_result("one", file="a/x.yaml"), example_result("two", file="b/x.yaml")]
CHANGED = Compared(metric="loss", before=0.5, now=0.6, change="worse", passed=False)


@pytest.fixture
def draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None
) -> Callable[..., list[str]]:
    """Writes a report below `tmp_path`; returns the files that this drew."""

    def write(
        results: list[Result] = RESULTS, folder: str = "report", code: str = "1"
    ) -> list[str]:
        names: list[str] = []

        def noted(of: Any) -> dict[str, str]:
            files = report_files(of)
            names.extend(files)
            return files

        monkeypatch.setattr(drawn, "report_files", noted)
        first = drawn.write_pages_once(results, tmp_path / folder, tmp_path / "notes", code)
        assert first == tmp_path / folder / "index.md" and first.is_file()
        for name, text in report_files(results).items():
            assert (tmp_path / folder / name).read_text(encoding="utf-8") == text
        return names

    return write


def test_the_same_report_is_drawn_once(draws: Callable[..., list[str]]) -> None:
    assert {"index.md", "pages/a.md", "pages/a.svg", "pages/b.md"} < {*draws()}
    assert not draws() and not draws()
    assert not draws(results=RESULTS[::-1])


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "2"},
        {"folder": "other"},
        {"results": RESULTS[:1]},
        {"results": [*RESULTS, example_result("three")]},
        {"results": [RESULTS[0], example_result("two", file="b/y.yaml")]},
        {"results": [example_result("one", (0.25,), file="a/x.yaml"), RESULTS[1]]},
        {"results": [RESULTS[0], RESULTS[1].model_copy(update={"compared": (CHANGED,)})]},
        {"results": [RESULTS[0], RESULTS[1].model_copy(update={"local_reason": "away"})]},
    ],
    ids=str,
)
def test_another_report_is_drawn(draws: Callable[..., list[str]], changes: dict[str, Any]) -> None:
    draws()
    assert draws(**changes)
    assert not draws(**changes)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "index.md").unlink(),
        lambda folder: (folder / "pages/a.svg").write_text("<svg/>"),
        lambda folder: (folder / "pages/b.md").write_text((folder / "pages/a.md").read_text()),
        lambda folder: (folder / "pages/c.md").write_text((folder / "pages/a.md").read_text()),
    ],
    ids=["a page is gone", "another picture", "another page", "a page of an older report"],
)
def test_a_report_that_somebody_changed_is_drawn(
    draws: Callable[..., list[str]], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    draws()
    change(tmp_path / "report")
    assert draws()
    assert not (tmp_path / "report/pages/c.md").exists()
    assert not draws()


@pytest.mark.parametrize("damage", [b"", b"\xff", b"[]", b'{"key": 1}', b'{"files": {}}'])
def test_a_damaged_note_is_made_again(
    draws: Callable[..., list[str]], tmp_path: Path, damage: bytes
) -> None:
    draws()
    (note,) = (tmp_path / "notes").iterdir()
    note.write_bytes(damage)
    assert draws()
    assert not draws()


def test_a_report_is_drawn_when_the_code_of_an_own_plot_changes(
    draws: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "own.py"
    file.write_text("def own(results): return None\n")
    space: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    monkeypatch.setattr(overview_plots, "_entries", overview_plots.entries())
    register: Any = overview_plots("own")
    register(space["own"])
    assert draws()
    assert not draws()
    file.write_text("def own(results): return  None\n")
    assert draws()


def test_without_notes_it_is_always_drawn(tmp_path: Path, undrawn: None) -> None:
    for _ in range(2):
        first = drawn.write_pages_once(RESULTS, tmp_path / "report", None, "1")
        first.unlink()
    assert [file.name for file in tmp_path.iterdir()] == ["report"]
