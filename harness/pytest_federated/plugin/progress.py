"""How far a scenario is: a live line on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from pytest_federated.plugin.options import run_options
from pytest_federated.running.pipeline import trainings
from pytest_federated.scenario.loader import Case
from pytest_federated.training.history import Round

_PLAIN_EVERY_SECONDS = 10.0


class Progress:
    """Shows the rounds of one scenario, over all its seeds; a context manager.

    Says nothing under ``-q`` and in xdist's workers, which have no terminal.
    """

    def __init__(self, config: pytest.Config, case: Case) -> None:
        options = run_options(config)
        scenario = case.scenario
        self._name = case.id
        self._seeds = options.seeds or len(scenario.seeds)
        self._trainings = trainings(scenario, options, case.variant, case.siblings)
        self._rounds = min(scenario.training.rounds, options.rounds or scenario.training.rounds)
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        if config.get_verbosity() < 0 or hasattr(config, "workerinput"):
            self._reporter = None
        self._bars: Optional[Bars] = None
        self._started = self._said = time.monotonic()
        self._last = (-1, 0)  # position of the seed, and round

    def __enter__(self) -> Progress:
        if self._reporter is not None and self._reporter.isatty:
            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
                console=Console(file=self._reporter._tw._file, force_terminal=True),
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bars.add_task(
                self._name,
                total=self._trainings * self._rounds,
                figures="starting TensorFlow Federated",
            )
            with self._terminal():
                self._reporter._tw.line()
                self._bars.start()
        return self

    def on_round(self, position: int, done: Round) -> None:
        """Told about a finished round of the seed at `position`, or of a training after those,
        which the seeds are compared with.
        """
        finished = position * self._rounds + done.round
        goes_on = position != self._last[0] and 1 < done.round < self._rounds
        self._last = (position, done.round)
        seed = f"seed {position % self._seeds + 1}/{self._seeds} " if self._seeds > 1 else ""
        seed += "of what it is compared with " if position >= self._seeds else ""
        if goes_on and self._reporter is not None:
            self._line(f"{seed}goes on after round {done.round - 1}")
        if finished == 1:  # what came before was TensorFlow's start, which says nothing of the rest
            self._started = self._said = time.monotonic()
        figures = "nobody trained" if done.train_loss is None else f"loss {done.train_loss:.3f}"
        if done.accuracy is not None and done.loss is not None:
            figures = f"loss {done.loss:.3f} accuracy {done.accuracy:.3f}"
        if self._bars is not None:
            with self._terminal():
                self._bars.update(self._task, completed=finished, figures=figures, refresh=True)
        elif self._reporter is not None and time.monotonic() - self._said > _PLAIN_EVERY_SECONDS:
            self._said = time.monotonic()
            spent = self._said - self._started
            left = spent / max(finished - 1, 1) * (self._trainings * self._rounds - finished)
            self._line(f"{seed}round {done.round}/{self._rounds} {figures}, {left:.0f} s left")

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            with self._terminal():
                self._bars.stop()

    def _line(self, text: str) -> None:
        with self._terminal():
            self._reporter.ensure_newline()
            self._reporter.write_line(f"  {self._name}: {text}")

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[None]:
        """Writing to the real terminal while pytest captures the test's output."""
        if self._capture is None:
            yield
            return
        with self._capture.global_and_fixture_disabled():
            yield
