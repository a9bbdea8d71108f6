"""How far a scenario is: a live line on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Optional

import pytest
from rich.cells import cell_len

from pytest_federated.core.progress import PLAIN_EVERY_SECONDS, Update, displayed_by, lines
from pytest_federated.core.text import shortened
from pytest_federated.plugin.options import is_quiet
from pytest_federated.running.observers import Pace
from pytest_federated.running.plan import Plan
from pytest_federated.training.history import Round, TrainingHistory
from pytest_federated.training.observer import Observer, Progress, Run

if TYPE_CHECKING:
    from rich import progress as bars

_BAR_FROM = 60  # columns of a terminal; a narrower one has no room for a bar
_FIGURES = 50  # columns for the counts and the figures behind a bar


class ProgressBar(Observer):
    """Shows the rounds of one scenario, over all its seeds; a context manager.

    Says nothing under ``-q`` and in xdist's workers, which have no terminal. Under ``-vv`` each
    round has a line in place of the bar.
    """

    _run: Run
    _shown: int  # rounds of this run
    _room: int  # columns for the figures behind the bar

    def __init__(self, config: pytest.Config, planned: Plan) -> None:
        self._name = planned.case.id
        self._seeds = planned.seeds
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        if config.get_verbosity() < 0 or hasattr(config, "workerinput"):
            self._reporter = None
        self._by_round = not is_quiet(config)
        # Else what is written meanwhile moves the line of dots, and nothing can go back to it.
        self._is_captured = config.getoption("capture") in ("fd", "sys")
        self._bars: Optional[bars.Progress] = None
        self._column: Optional[int] = None  # where pytest's own line goes on after the bar
        self._until_exit = contextlib.ExitStack()
        self._said: Optional[float] = None
        self._pace = Pace(planned)

    def __enter__(self) -> ProgressBar:
        self._until_exit.enter_context(displayed_by(self._before_rounds))
        if self._reporter is not None and self._reporter.isatty and not self._by_round:
            self._start_bar(self._reporter._tw)
        return self

    def _start_bar(self, writer: Any) -> None:
        from rich import progress as bars
        from rich.console import Console

        width = writer.fullwidth
        bar = min(20, width // 8) if width >= _BAR_FROM else 0
        name = shortened(self._name, max(width // 4, width - bar - _FIGURES))
        counts = 2 * len(str(self._pace.total)) + 1
        self._room = width - cell_len(name) - bar - counts - 4
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),  # brackets would be styles
            *([bars.BarColumn(bar_width=bar)] if bar else []),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[figures]}"),
            console=Console(file=writer._file, force_terminal=True, width=width),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bars.add_task(
            name,
            total=self._pace.total,
            figures=shortened("starting TensorFlow Federated", self._room),
        )
        with self._terminal():
            # Past pytest, which is to go on in its own line afterwards.
            self._column = writer.width_of_current_line if self._is_captured else None
            writer._file.write("\n")
            self._bars.start()

    def begin(self, run: Run) -> None:
        self._pace.begin(run)
        self._run, self._shown = run, 0

    def after_round(self, progress: Progress) -> bool:
        """Shows the latest round."""
        self._pace.after_round(progress)
        done, seeds = progress.rounds[-1], self._seeds
        is_resumed = self._shown == 0 and progress.state is not None
        place = seeds.index(self._run.seed) + 1
        seed = f"{self._run.point} " if self._run.point else ""
        seed += f"seed {place}/{len(seeds)} " if len(seeds) > 1 else ""
        seed += "of what it is compared with " if self._run.is_reference else ""
        if is_resumed and 1 < done.round < self._run.rounds:
            self._line(f"{seed}goes on after round {done.round - 1}")
            self._shown = done.round - 1
        figures, left = _figures(done), self._left()
        both = ", ".join(filter(None, (figures, left)))
        if self._by_round:
            for line in round_lines(progress.rounds[self._shown :], self._run.rounds, seed):
                self._write(line)
        elif self._bars is not None:
            with self._terminal():
                has_room = cell_len(both) <= self._room
                shown = both if has_room else shortened(left or figures, self._room)
                self._bars.update(
                    self._task, completed=self._pace.done, figures=shown, refresh=True
                )
        elif self._said is None:  # what came before was TensorFlow's start
            self._said = time.monotonic()
        elif time.monotonic() - self._said > PLAIN_EVERY_SECONDS:
            self._said = time.monotonic()
            self._line(f"{seed}round {done.round}/{self._run.rounds} {both}")
        self._shown = done.round
        return False

    def end(self, history: Optional[TrainingHistory]) -> None:
        self._pace.end(history)

    def __exit__(self, *_: object) -> None:
        self._until_exit.close()
        if self._bars is None:
            return
        writer = self._reporter._tw
        with self._terminal():
            self._bars.stop()
            writer._file.write("\x1b[1A")  # up, to the line before the bar
            if self._column is not None and 0 < self._column < writer.fullwidth:
                writer._file.write(f"\x1b[{self._column}C")
            else:
                writer.line()
            writer.flush()

    def _left(self) -> str:
        seconds = self._pace.seconds_left
        if seconds is None:
            return ""
        minutes, seconds = divmod(round(seconds), 60)
        return f"{minutes} min {seconds} s left" if minutes else f"{seconds} s left"

    @contextlib.contextmanager
    def _before_rounds(self, title: str, total: int) -> Generator[Update, None, None]:
        """Shows work such as decoding a data set."""
        shown = self._bars
        if shown is None:
            with lines(title, total, self._line) as update:
                yield update
            return
        task = shown.add_task(title, total=total or None, figures="")

        def update_bar(done: int) -> None:
            with self._terminal():
                shown.update(task, completed=done, refresh=True)

        yield update_bar
        shown.remove_task(task)

    def _line(self, text: str) -> None:
        self._write(f"  {self._name}: {text}")

    def _write(self, line: str) -> None:
        if self._reporter is None:
            return
        with self._terminal():
            if self._bars is not None:  # above the bar, which Rich moves down
                self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
                self._column = None
                self._reporter.currentfspath = None
                return
            self._reporter.ensure_newline()
            self._reporter.write_line(line)

    @contextlib.contextmanager
    def _terminal(self) -> Generator[None, None, None]:
        """Writing to the real terminal while pytest captures the test's output."""
        if self._capture is None:
            yield
            return
        with self._capture.global_and_fixture_disabled():
            yield


def round_lines(rounds: tuple[Round, ...], of: int, seed: str = "") -> Iterator[str]:
    """Yields a line for each of some rounds of one training, as the tutorial of TFF prints them.

    For example: ``  round  1/15: train loss 2.301 accuracy 0.112, test loss 2.250 accuracy 0.150``.
    """
    for done in rounds:
        train = _pair(done.train_loss, done.train_accuracy)
        figures = f"train {train}" if train else "nobody trained"
        if test := _pair(done.loss, done.accuracy):
            figures += f", test {test}"
        yield f"  {seed}round {done.round:{len(str(of))}}/{of}: {figures}"


def _figures(done: Round) -> str:
    """The figures of the test set, or where it is not evaluated, the loss of training."""
    if test := _pair(done.loss, done.accuracy):
        return test
    return "nobody trained" if done.train_loss is None else f"loss {done.train_loss:.3f}"


def _pair(loss: Optional[float], accuracy: Optional[float]) -> str:
    shown = [] if loss is None else [f"loss {loss:.3f}"]
    shown += [] if accuracy is None else [f"accuracy {accuracy:.3f}"]
    return " ".join(shown)
