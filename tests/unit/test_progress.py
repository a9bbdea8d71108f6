"""Work of two seconds and more is shown: by a bar on a terminal, by plain lines elsewhere."""

from __future__ import annotations

import io
import re
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Optional

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


def terminal(
    seeds: Sequence[int] = (0,),
    *,
    name: str = "a",
    columns: int = 80,
    capture: str = "fd",
    is_terminal: bool = True,
    verbosity: int = 0,
) -> tuple[ProgressBar, Any]:
    """Returns the bar of a scenario of 20 rounds, on a terminal or elsewhere, and its output."""
    file = io.StringIO()
    writer = TerminalWriter(file)
    writer.fullwidth = columns
    reporter = SimpleNamespace(
        isatty=is_terminal,
        _tw=writer,
        currentfspath=None,
        ensure_newline=lambda: None,
        write_line=lambda line: file.write(f"{line}\n"),
    )
    plugins = {"terminalreporter": reporter, "capturemanager": None}
    config: Any = SimpleNamespace(
        pluginmanager=SimpleNamespace(get_plugin=plugins.get),
        get_verbosity=lambda: verbosity,
        getoption=lambda _: capture,
    )
    return ProgressBar(config, planned(seeds, name)), file


def planned(seeds: Sequence[int] = (0,), name: str = "a") -> Plan:
    return plan(Case(example_scenario(20, seeds, name=name), "alpha=0.1"), Options())


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
        assert not pace.after_round(Progress(ROUNDS[:number], TRAINED)), "it ends no training"


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


@pytest.fixture
def clocks(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of all that is shown of rounds."""
    for module in (observers, plugin_progress):
        monkeypatch.setattr(module, "time", clock)
    return clock


def do(bar: ProgressBar, clock: Clock, rounds: Iterable[int], run: Optional[Run] = None) -> None:
    """Has a bar watch these rounds of a run, each of 20 seconds."""
    bar.begin(run or planned().runs(0)[0])
    for number in rounds:
        clock.now += 20
        assert not bar.after_round(Progress(ROUNDS[:number], TRAINED)), "it ends no training"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_resumed_scenario_says_so_and_has_a_right_time_left(
    clocks: Clock, is_terminal: bool
) -> None:
    bar, file = terminal(is_terminal=is_terminal)
    with bar:
        do(bar, clocks, range(11, 20))
    output = without_styles(file.getvalue())
    assert "a[alpha=0.1]: goes on after round 10\n" in output
    assert "loss 0.500 accuracy 0.500, 2 min 40 s left" in output
    assert "loss 0.500 accuracy 0.500, 20 s left" in output


@pytest.mark.parametrize("rounds", [[1, 2], [20]], ids=["new", "complete"])
@pytest.mark.parametrize("verbosity", [0, 2])
def test_only_a_training_that_was_interrupted_goes_on(
    clocks: Clock, rounds: list[int], verbosity: int
) -> None:
    bar, file = terminal(is_terminal=False, verbosity=verbosity)
    with bar:
        do(bar, clocks, rounds)
    assert "goes on" not in file.getvalue()


def test_vv_has_a_line_of_each_round_that_is_trained_here(clocks: Clock) -> None:
    bar, file = terminal(verbosity=2)
    with bar:
        do(bar, clocks, (11, 13))
    assert without_styles(file.getvalue()).splitlines() == [
        "  a[alpha=0.1]: goes on after round 10",
        *(
            f"  round {n}/20: train loss 1.000 accuracy 0.500, test loss 0.500 accuracy 0.500"
            for n in (11, 12, 13)
        ),
    ]


def test_elsewhere_a_line_appears_now_and_then_and_says_of_which_training(clocks: Clock) -> None:
    bar, file = terminal((5, 7), is_terminal=False)
    runs = planned((5, 7)).runs(0)
    with bar:
        do(bar, clocks, [1, 2], runs[0])
        do(bar, clocks, [1], replace(runs[1], point="rate=0.1"))
        clocks.now -= 15  # the next round takes 5 seconds
        do(bar, clocks, [1, 2], replace(runs[1], position=2, is_reference=True))
    figures = "loss 0.500 accuracy 0.500"
    lines = file.getvalue().splitlines()
    assert lines[:2] == [
        f"  a[alpha=0.1]: seed 1/2 round 2/20 {figures}, 12 min 40 s left",
        f"  a[alpha=0.1]: rate=0.1 seed 2/2 round 1/20 {figures}, 12 min 20 s left",
    ]
    (last,) = lines[2:]
    assert last.startswith("  a[alpha=0.1]: seed 2/2 of what it is compared with round 2/20 loss")


@pytest.mark.parametrize(
    ("loss", "shown"), [(0.5, "loss 0.500, "), (None, "nobody trained, ")], ids=["trained", "not"]
)
def test_a_round_that_is_not_evaluated_has_the_loss_of_training(
    clocks: Clock, loss: Optional[float], shown: str
) -> None:
    done = {"train_loss": loss, "train_accuracy": loss, "loss": None, "accuracy": None}
    rounds = tuple(one.model_copy(update=done) for one in ROUNDS)
    (bar, file), (by_round, lines) = terminal(), terminal(verbosity=2)
    for one in (bar, by_round):
        with one:
            one.begin(planned().runs(0)[0])
            for number in (1, 2):
                clocks.now += 20
                one.after_round(Progress(rounds[:number], TRAINED))
    assert f"2/20 {shown}6 min 0 s left" in without_styles(file.getvalue())
    train = "train loss 0.500 accuracy 0.500" if loss else "nobody trained"
    assert f"  round  2/20: {train}\n" in lines.getvalue()


def frames(file: Any) -> list[str]:
    """Returns each line that a bar was, one after the other."""
    lines = re.split(r"[\r\n]", without_styles(file.getvalue()))
    return [line.rstrip() for line in lines if "/20 " in line]


@pytest.mark.parametrize(("columns", "bar"), [(59, 0), (60, 7), (80, 10), (160, 20), (200, 20)])
def test_a_wide_terminal_has_a_bar_and_the_whole_name(
    clocks: Clock, columns: int, bar: int
) -> None:
    shown, file = terminal(columns=columns)
    with shown:
        do(shown, clocks, (1, 2))
    assert frames(file) == [frame for frame in frames(file) if frame.startswith("a[alpha=0.1] ")]
    assert {len(re.findall("[━╸╺]", frame)) for frame in frames(file)} == {bar}


@pytest.mark.parametrize(
    ("columns", "length", "name", "figures"),
    [
        (80, 19, 19, "loss 0.500 accuracy 0.500, 6 min 0 s left"),
        (80, 20, 20, "loss 0.500 accuracy 0.500, 6 min 0 s left"),
        (80, 21, 20, "loss 0.500 accuracy 0.500, 6 min 0 s left"),
        (78, 21, 19, "loss 0.500 accuracy 0.500, 6 min 0 s left"),
        (77, 21, 19, "6 min 0 s left"),
        (60, 21, 15, "6 min 0 s left"),
        (100, 60, 38, "loss 0.500 accuracy 0.500, 6 min 0 s left"),
        (40, 21, 10, "6 min 0 s left"),
        (30, 21, 7, "6 min 0 s left"),
        (29, 21, 7, "6 min …s left"),
    ],
)
def test_what_has_no_room_in_the_line_is_left_out(
    clocks: Clock, columns: int, length: int, name: int, figures: str
) -> None:
    bar, file = terminal(name="n" * (length - len("[alpha=0.1]")), columns=columns)
    with bar:
        do(bar, clocks, (1, 2))
    last = frames(file)[-1]
    assert last.endswith(f"2/20 {figures}")
    assert len(last.split()[0]) == name
    assert all(len(frame) < columns for frame in frames(file))


@pytest.mark.parametrize(
    ("before", "capture", "expected"),
    [
        ("", "fd", ["", "."]),
        (".", "fd", [".."]),
        ("a.yaml .", "fd", ["a.yaml .."]),
        ("a.yaml .", "sys", ["a.yaml .."]),
        ("x" * 79, "fd", [f"{'x' * 79}."]),
        ("x" * 80, "fd", ["x" * 80, "."]),  # the terminal itself would go on in the next line
        ("a.yaml .", "no", ["a.yaml .", "."]),
    ],
)
def test_pytest_goes_on_in_its_line_after_the_bar(
    clocks: Clock, before: str, capture: str, expected: list[str]
) -> None:
    bar, file = terminal(capture=capture)
    writer: Any = bar._reporter._tw
    writer.write(before)
    with bar:
        do(bar, clocks, (1, 2))
    writer.write(".")
    assert screen(file.getvalue())[: len(expected)] == expected


def test_pytest_begins_a_line_after_one_above_the_bar(clocks: Clock) -> None:
    """A line that is wider than the terminal is left to it, and has no colors."""
    name = "n" * 80
    bar, file = terminal(name=name)
    reporter: Any = bar._reporter
    reporter._tw.write("a.yaml .")
    reporter.currentfspath = Path("a.yaml")
    with bar:
        do(bar, clocks, (2, 3))
    reporter._tw.write("b.yaml .")
    line = f"  {name}[alpha=0.1]: goes on after round 1"
    assert [one for one in screen(file.getvalue()) if one] == ["a.yaml .", line, "b.yaml ."]
    assert line in file.getvalue()
    assert reporter.currentfspath is None, "pytest names the file again"


def test_no_thread_writes_a_bar_into_what_pytest_writes(clocks: Clock) -> None:
    bar, _ = terminal()
    before = threading.active_count()
    with bar:
        assert threading.active_count() == before


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
