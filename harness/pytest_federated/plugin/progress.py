"""How far a scenario is: a live line on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Optional

import pytest

from pytest_federated.core.progress import PLAIN_EVERY_SECONDS, Update, displayed_by, lines
from pytest_federated.running.plan import Plan
from pytest_federated.training.observer import Observer, Progress, Run

if TYPE_CHECKING:
    from rich import progress as bars


class ProgressBar(Observer):
    """Shows the rounds of one scenario, over all its seeds; a context manager.

    Says nothing under ``-q`` and in xdist's workers, which have no terminal.
    """

    def __init__(self, config: pytest.Config, planned: Plan) -> None:
        self._name = planned.case.id
        self._seeds = len(planned.seeds)
        self._rounds = planned.scenario.training.rounds
        self._total = planned.trainings * self._rounds
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        if config.get_verbosity() < 0 or hasattr(config, "workerinput"):
            self._reporter = None
        self._bars: Optional[bars.Progress] = None
        self._until_exit = contextlib.ExitStack()
        self._started = self._said = time.monotonic()
        self._run = Run(seed=0, position=0, rounds=self._rounds)
        self._is_first = True  # whether no round of this run is known yet

    def __enter__(self) -> ProgressBar:
        self._until_exit.enter_context(displayed_by(self._before_rounds))
        if self._reporter is not None and self._reporter.isatty:
            from rich import progress as bars
            from rich.console import Console

            self._bars = bars.Progress(
                bars.TextColumn("{task.description}"),
                bars.BarColumn(bar_width=20),
                bars.MofNCompleteColumn(),
                bars.TextColumn("{task.fields[figures]}"),
                bars.TimeRemainingColumn(),
                console=Console(file=self._reporter._tw._file, force_terminal=True),
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bars.add_task(
                self._name,
                total=self._total,
                figures="starting TensorFlow Federated",
            )
            with self._terminal():
                self._reporter._tw.line()
                self._bars.start()
        return self

    def begin(self, run: Run) -> None:
        self._run, self._is_first = run, True

    def after_round(self, progress: Progress) -> bool:
        """Shows the latest round."""
        position, done = self._run.position, progress.rounds[-1]
        finished = position * self._rounds + done.round
        goes_on = self._is_first and 1 < done.round < self._rounds
        self._is_first = False
        seed = f"seed {position % self._seeds + 1}/{self._seeds} " if self._seeds > 1 else ""
        seed += "of what it is compared with " if self._run.is_reference else ""
        if goes_on:
            self._line(f"{seed}goes on after round {done.round - 1}")
        if finished == 1:  # what came before was TensorFlow's start, which says nothing of the rest
            self._started = self._said = time.monotonic()
        figures = "nobody trained" if done.train_loss is None else f"loss {done.train_loss:.3f}"
        if done.loss is not None:
            figures = f"loss {done.loss:.3f}"
            if done.accuracy is not None:
                figures += f" accuracy {done.accuracy:.3f}"
        if self._bars is not None:
            with self._terminal():
                self._bars.update(self._task, completed=finished, figures=figures, refresh=True)
        elif time.monotonic() - self._said > PLAIN_EVERY_SECONDS:
            self._said = time.monotonic()
            spent = self._said - self._started
            left = spent / max(finished - 1, 1) * (self._total - finished)
            self._line(f"{seed}round {done.round}/{self._rounds} {figures}, {left:.0f} s left")
        return False

    def __exit__(self, *_: object) -> None:
        self._until_exit.close()
        if self._bars is not None:
            with self._terminal():
                self._bars.stop()

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
        if self._reporter is None:
            return
        with self._terminal():
            self._reporter.ensure_newline()
            self._reporter.write_line(f"  {self._name}: {text}")

    @contextlib.contextmanager
    def _terminal(self) -> Generator[None, None, None]:
        """Writing to the real terminal while pytest captures the test's output."""
        if self._capture is None:
            yield
            return
        with self._capture.global_and_fixture_disabled():
            yield
