"""Work of two seconds and more is shown: by a bar on a terminal, by plain lines elsewhere."""

from __future__ import annotations

import io
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_federated.core import progress
from pytest_federated.core.progress import displayed_by, each, tracked
from pytest_federated.data.datasets.download import download
from pytest_federated.data.splits.partition import splits
from pytest_federated.plugin.progress import ProgressBar
from scenario_texts import TINY


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def work(clock: Clock, seconds: int, title: str = "decoding emnist") -> None:
    """Works for so many of the thousand seconds that all of it takes."""
    with tracked(title, 1000) as advance:
        for _ in range(seconds):
            clock.now += 1
            advance(1)


def test_work_of_less_than_two_seconds_is_not_shown(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    work(clock, 1)
    assert capsys.readouterr().err == ""


def test_a_line_appears_after_two_seconds_and_then_every_ten(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    work(clock, 25)
    assert capsys.readouterr() == (
        "",
        "decoding emnist: 0%, 998 s left\n"
        "decoding emnist: 1%, 988 s left\n"
        "decoding emnist: 2%, 978 s left\n",
    )


def test_a_terminal_has_a_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    work(clock, 500)
    assert "decoding emnist" in terminal.getvalue()
    assert "50%" in terminal.getvalue()


def test_work_is_displayed_as_the_block_around_it_says(clock: Clock) -> None:
    shown: list[tuple[str, int, int]] = []

    @contextmanager
    def display(title: str, total: int) -> Iterator[progress.Update]:
        yield lambda done: shown.append((title, done, total))

    with pytest.raises(KeyboardInterrupt), displayed_by(display):
        work(clock, 4, "hashing")
        raise KeyboardInterrupt
    work(clock, 4, "not here")
    assert shown == [("hashing", done, 1000) for done in (2, 3, 4)]


def test_of_what_has_no_known_end_the_lines_say_how_much_is_done(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked("downloading emnist, MB", 0) as advance:
        clock.now += 3
        advance(1200)
    assert capsys.readouterr().err == "downloading emnist, MB: 1,200 so far\n"


def test_each_item_counts(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in each("abcd", "reading clients"):
        clock.now += 1
    assert capsys.readouterr().err == "reading clients: 50%, 2 s left\n"


def test_a_download_shows_how_large_it_has_become(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO())
    has_shown = threading.Event()

    @contextmanager
    def display(title: str, total: int) -> Iterator[progress.Update]:
        def update(done: int) -> None:
            assert (title, total) == ("downloading mine, MB", 0)
            if done == 3:
                has_shown.set()

        yield update

    def make(folder: Path) -> list[Path]:
        (folder / "a").write_bytes(bytes(3_400_000))
        assert has_shown.wait(30)
        return [folder / "a"]

    with displayed_by(display):
        download("mine", tmp_path, "https://example.org", make, "")
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def plan() -> Any:
    training = SimpleNamespace(rounds=20)
    return SimpleNamespace(
        case=SimpleNamespace(id="one"),
        seeds=(0,),
        trainings=1,
        scenario=SimpleNamespace(training=training),
    )


def test_a_scenario_on_a_terminal_has_a_bar_for_its_data_too(clock: Clock) -> None:
    file = io.StringIO()
    reporter = SimpleNamespace(
        isatty=True, _tw=SimpleNamespace(_file=file, line=lambda: file.write("\n"))
    )
    plugins = {"terminalreporter": reporter, "capturemanager": None}
    config: Any = SimpleNamespace(
        pluginmanager=SimpleNamespace(get_plugin=plugins.get), get_verbosity=lambda: 0
    )
    with ProgressBar(config, plan()):
        work(clock, 20)
    assert "decoding emnist" in file.getvalue()
    assert "20/1000" in file.getvalue()


# A split that counts to a hundred, slowly, and then gives up.
COUNTING = """
import pytest_federated
from pytest_federated.core import progress

progress._QUIET_SECONDS = 0

@pytest_federated.split("counting")
def counting(pool, rng):
    '''Counts.'''
    with progress.tracked("counting", 100) as advance:
        advance(25)
    raise ValueError("enough")
"""


@pytest.mark.parametrize(("option", "lines"), [("-v", 1), ("-q", 0)])
def test_a_scenario_elsewhere_has_plain_lines(
    option: str, lines: int, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "_entries", splits.entries())
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0)
    pytester.makeconftest(COUNTING)
    pytester.makeini("[pytest]\n")
    Path(pytester.mkdir("scenarios") / "a.yaml").write_text(
        TINY.replace("count: 4", "count: 4, split: counting")
    )
    output = pytester.runpytest("scenarios", option).outlines
    assert sum(line.startswith("  tiny: counting: 25%, ") for line in output) == lines
