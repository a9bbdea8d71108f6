"""Work of two seconds and more is shown: by a bar on a terminal, by plain lines elsewhere."""

from __future__ import annotations

import io
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from _pytest._io import TerminalWriter
from example_results import example_scenario, history
from pytest_federated.core import progress
from pytest_federated.core.progress import displayed_by, each, tracked
from pytest_federated.data.datasets.download import download
from pytest_federated.data.splits.partition import splits
from pytest_federated.plugin import progress as plugin_progress
from pytest_federated.plugin.progress import ProgressBar
from pytest_federated.running import observers
from pytest_federated.running.observers import Pace
from pytest_federated.running.options import Options
from pytest_federated.running.plan import Plan, plan
from pytest_federated.scenario.case import Case
from pytest_federated.training.observer import Progress, Run
from scenario_texts import TINY
from screen import screen, without_styles


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


def tty(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Puts a terminal in the place of stderr."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    return terminal


def test_a_terminal_has_a_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = tty(monkeypatch)
    work(clock, 500)
    assert "decoding emnist" in stderr.getvalue()
    assert "50%" in stderr.getvalue()


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


def terminal(seeds: Sequence[int] = (0,)) -> tuple[ProgressBar, Any]:
    """Returns the bar of a scenario of 20 rounds, on a terminal of 80 columns, and its output."""
    file = io.StringIO()
    writer = TerminalWriter(file)
    writer.fullwidth = 80
    reporter = SimpleNamespace(isatty=True, _tw=writer, currentfspath=None)
    plugins = {"terminalreporter": reporter, "capturemanager": None}
    config: Any = SimpleNamespace(
        pluginmanager=SimpleNamespace(get_plugin=plugins.get),
        get_verbosity=lambda: 0,
        getoption=lambda _: "fd",
    )
    return ProgressBar(config, planned(seeds)), file


def planned(seeds: Sequence[int] = (0,)) -> Plan:
    return plan(Case(example_scenario(20, seeds), "alpha=0.1"), Options())


def test_a_scenario_on_a_terminal_has_a_bar_for_its_data_too(clock: Clock) -> None:
    bar, file = terminal()
    with bar:
        work(clock, 20)
    assert "decoding emnist" in file.getvalue()
    assert "20/1000" in file.getvalue()


def test_a_bar_shows_the_variant_of_a_matrix() -> None:
    bar, file = terminal()
    with bar:
        pass
    assert "a[alpha=0.1] " in without_styles(file.getvalue())


def test_bars_of_other_work_show_brackets_too(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = tty(monkeypatch)
    work(clock, 4, "a[alpha=0.1]")
    assert "a[alpha=0.1] " in without_styles(stderr.getvalue())


def test_work_within_work_shares_its_bars(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = tty(monkeypatch)
    with tracked("calibrating", 10) as advance:
        clock.now += 3
        advance(1)
        work(clock, 4, "decoding")
    assert not any(screen(stderr.getvalue())), "nothing is left on the screen"
    assert "decoding" in stderr.getvalue()


ROUNDS = history([0.5] * 20).rounds
TRAINED = object()  # the state of a training that is done here


def left(clock: Clock, pace: Pace, run: Run, rounds: Iterable[int], seconds: float) -> None:
    """Does these rounds of a run, each in so many seconds."""
    pace.begin(run)
    for number in rounds:
        clock.now += seconds
        pace.after_round(Progress(ROUNDS[:number], TRAINED))


@pytest.fixture
def pace(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pace]:
    monkeypatch.setattr(observers, "time", clock)
    return lambda *seeds: Pace(planned(seeds))


def test_the_time_left_does_not_count_the_start(clock: Clock, pace: Callable[..., Pace]) -> None:
    one, (run,) = pace(0), planned((0,)).runs(0)
    clock.now += 60
    left(clock, one, run, [1], 2)
    assert one.seconds_left is None, "nothing is known after one round"
    left(clock, one, run, [2, 3, 4, 5], 2)
    assert (one.done, one.total, one.seconds_left) == (5, 20, 30)


def test_the_time_left_does_not_count_rounds_before_a_checkpoint(
    clock: Clock, pace: Callable[..., Pace]
) -> None:
    one, (run,) = pace(0), planned((0,)).runs(0)
    clock.now += 60
    left(clock, one, run, [11, 12], 2)
    assert (one.done, one.seconds_left) == (12, 16)


def test_the_time_left_does_not_count_trainings_from_the_cache(
    clock: Clock, pace: Callable[..., Pace]
) -> None:
    one, runs = pace(0, 1, 2), planned((0, 1, 2)).runs(0)
    for run in runs[:1]:
        one.begin(run)
        one.after_round(Progress(ROUNDS, None))
        one.end(None)
    clock.now += 60  # TensorFlow starts
    left(clock, one, runs[1], [1, 2, 3], 2)
    assert (one.done, one.seconds_left) == (23, 74)


def test_what_ended_early_counts_as_done(clock: Clock, pace: Callable[..., Pace]) -> None:
    advanced: list[int] = []
    one, runs = Pace(planned((0, 1)), advanced.append), planned((0, 1)).runs(0)
    left(clock, one, runs[0], [1, 2], 2)
    one.end(None)
    left(clock, one, runs[1], [1], 2)
    assert (one.done, one.seconds_left) == (21, 38)
    assert advanced == [1, 1, 18, 1]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_resumed_scenario_says_so_and_has_a_right_time_left(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    for module in (observers, plugin_progress):
        monkeypatch.setattr(module, "time", clock)
    bar, file = terminal()
    reporter: Any = bar._reporter
    if not is_terminal:
        reporter.isatty = False
        reporter.ensure_newline = lambda: None
        reporter.write_line = lambda line: file.write(f"{line}\n")
    with bar:
        bar.begin(planned().runs(0)[0])
        for number in range(11, 20):
            clock.now += 20
            bar.after_round(Progress(ROUNDS[:number], TRAINED))
    output = without_styles(file.getvalue())
    assert "a[alpha=0.1]: goes on after round 10\n" in output
    assert "loss 0.500 accuracy 0.500, 2 min 40 s left" in output
    assert "loss 0.500 accuracy 0.500, 20 s left" in output


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
