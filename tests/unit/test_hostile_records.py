"""Things that are found where a record, a baseline or a cache entry should be.

Each is refused in one line, or not used with a warning, at once: nobody waits for a pipe, reads
a device without end, or takes more memory than a file of real use.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from example_results import example_result
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError, NotUsed
from pytest_federated.core.files import UnfitFileError, holds, read_bytes, write_bytes
from pytest_federated.expectations.baselines import baseline_of, read_baseline, write_baseline
from pytest_federated.results.store import (
    mark_unreached,
    read_results,
    record_file,
    with_earlier_figures,
    write_result,
)
from pytest_federated.running.store import Store
from scenario_texts import GOOD

RESULT = example_result()


def _of_wrong_types(path: Path) -> None:
    path.write_text(json.dumps({key: [1, {"a": None}] for key in RESULT.model_dump()}))


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)  # of which nothing is on the disk


DEEP = '{"settings": ' + '{"a": ' * 99_999 + "1" + "}" * 100_000
HOSTILE: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path.name),
    "huge": _huge,
    "deep": lambda path: path.write_text(DEEP),
    "deep list": lambda path: path.write_text("[" * 200_000),
    "long number": lambda path: path.write_text('{"seeds": [' + "9" * 200_000 + "]}"),
    "wrong types": _of_wrong_types,
    "a list": lambda path: path.write_text("[]"),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "empty": Path.touch,
}
CANNOT_BE_READ = {
    "folder": "it is a folder",
    "pipe": "it is not a regular file",
    "device": "it is not a regular file",
    "loop": "Too many levels of symbolic links",
    "huge": "it is too large; allowed: at most ",
}


@pytest.fixture(params=HOSTILE)
def kind(request: pytest.FixtureRequest, in_tmp_path: Path) -> str:
    return request.param


# Records


@pytest.fixture
def record(kind: str) -> Path:
    """What stands in the place of a record, beside those of two reports."""
    for folder in ("reports", "before"):
        write_result(example_result("other"), Path(folder))
    path = record_file(RESULT.id, Path("reports"))
    HOSTILE[kind](path)
    return path


def reason(kind: str) -> str:
    why = CANNOT_BE_READ.get(kind)
    return f"cannot be read: {why}" if why else "not a result record ("


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "before", "reports"),
        ("report", "reports"),
        ("prune", ".", "--report", "reports"),
    ],
    ids=" ".join,
)
def test_a_command_names_it_in_one_line(
    kind: str, record: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tiny.scenario.yaml").write_text(GOOD)
    assert main([*command]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{record}: {reason(kind)}") and error.count("\n") == 1
    assert len(error) < 400


def test_as_a_run_of_its_own_it_is_one_line(
    kind: str, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(record), "before"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{record}") and error.count("\n") == 1


@pytest.mark.usefixtures("record")
def test_it_is_replaced_by_the_record_of_the_next_run(kind: str) -> None:
    now = RESULT.model_copy(update={"status": "skipped", "histories": ()})
    assert with_earlier_figures(now, Path("reports")) == now
    if kind == "folder":
        with pytest.raises(IsADirectoryError):
            write_result(RESULT, Path("reports"))
        return
    write_result(RESULT, Path("reports"))
    assert {r.id for r in read_results(Path("reports"))} == {"tiny", "other"}


def test_a_note_of_what_was_not_reached_is_read_as_carefully(kind: str) -> None:
    write_result(RESULT, Path("reports"))
    mark_unreached(example_result("gone"), Path("reports"))
    (mark,) = Path("reports/records/unreached").glob("*.json")
    mark.unlink()
    HOSTILE[kind](mark)
    with pytest.raises(FederatedError) as refused:
        read_results(Path("reports"))
    assert str(refused.value).startswith(f"{mark}: {reason(kind)}")


# Baselines


def test_a_baseline_is_refused_and_written_anew(kind: str) -> None:
    path = Path("baselines/tiny.json")
    path.parent.mkdir()
    HOSTILE[kind](path)
    with pytest.raises(FederatedError) as refused:
        read_baseline(path)
    said = str(refused.value)
    why = CANNOT_BE_READ.get(kind)
    begin = f"cannot be read: {why}" if why else "not a baseline; --fed-baseline=update"
    assert said.startswith(f"baselines/tiny.json: {begin}") and "\n" not in said
    assert "--fed-baseline=update rewrites it" in said and len(said) < 400
    if kind == "folder":
        with pytest.raises(FederatedError, match="cannot be written: Is a directory"):
            write_baseline(baseline_of(RESULT), path)
        return
    assert write_baseline(baseline_of(RESULT), path)
    assert read_baseline(path) == baseline_of(RESULT)


def test_prune_leaves_a_baseline_that_is_none(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("baselines").mkdir()
    HOSTILE[kind](Path("baselines/tiny.json"))
    Path("a.scenario.yaml").write_text(GOOD.replace("name: tiny", "name: a"))
    assert main(["prune", ".", "--delete"]) == 0
    assert os.path.lexists("baselines/tiny.json")
    assert capsys.readouterr().out == "nothing is left of scenarios that are gone\n"


# The cache of trainings


KEY = "0123456789abcdef"


def test_a_cache_entry_is_not_used_and_replaced(kind: str) -> None:
    history = RESULT.histories[0]
    Path("cache").mkdir()
    HOSTILE[kind](Path("cache") / f"{KEY}.training")
    store = Store(Path("cache"))
    said = "a file of the cache of finished trainings is damaged"
    with pytest.warns(NotUsed, match=said) if kind != "loop" else contextlib.nullcontext():
        assert store.read(KEY) is None
    if kind == "folder":
        return
    store.add(KEY, history)
    assert Store(Path("cache")).read(KEY) == history


@pytest.mark.parametrize("kind", [*CANNOT_BE_READ, "bytes"])
@pytest.mark.usefixtures("in_tmp_path")
def test_nobody_waits_for_what_stands_in_the_place_of_the_lock(kind: str) -> None:
    Path("cache").mkdir()
    HOSTILE[kind](Path("cache/lock"))
    entered = False

    def claim() -> None:
        nonlocal entered
        with Store(Path("cache")).claim(KEY):
            entered = True

    waiting = threading.Thread(target=claim, daemon=True)  # which may wait without end
    refused = pytest.warns(match="cannot be written")
    with refused if kind in ("folder", "loop") else contextlib.nullcontext():
        waiting.start()
        waiting.join(60)
    assert entered and not waiting.is_alive()


def test_a_link_in_the_place_of_the_lock_loses_nothing(in_tmp_path: Path) -> None:
    Path("precious").write_text("mine")
    Path("cache").mkdir()
    Path("cache/lock").symlink_to("../precious")
    with Store(Path("cache")).claim(KEY):
        pass
    assert Path("precious").read_text() == "mine"


# Pages with blocks of a report


@pytest.mark.parametrize("kind", CANNOT_BE_READ)
@pytest.mark.usefixtures("in_tmp_path", "undrawn")
def test_a_page_to_update_is_named(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(RESULT, Path("reports"))
    HOSTILE[kind](Path("page.md"))
    assert main(["report", "reports", "--update", "page.md"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("page.md: ") and error.count("\n") == 1


# How it is read


def test_a_file_is_read_to_its_limit(in_tmp_path: Path) -> None:
    path = Path("a")
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(UnfitFileError, match="it is too large; allowed: at most 4 bytes"):
        read_bytes(path, 4)
    assert holds(path, b"12345")
    assert not holds(path, b"12346") and not holds(path, b"1234") and not holds(Path("b"), b"")


def test_what_may_not_be_read_is_replaced(
    in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("a")
    path.write_bytes(b"12345")

    def denied(self: Path) -> bytes:
        """Fails as it does for everybody but root."""
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", denied)
        assert not holds(path, b"12345")
        write_bytes(path, b"67890")
    assert path.read_bytes() == b"67890"
