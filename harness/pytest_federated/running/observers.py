"""Observers that every run may need: its time limit, wall time, pace, and early end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Callable, Optional

from pytest_federated.core.schema import Section
from pytest_federated.expectations.ending_early import certain
from pytest_federated.running.plan import Plan
from pytest_federated.training.history import Round, TrainingHistory
from pytest_federated.training.observer import Observer, Progress, Run


class TimeLimit(Observer):
    """Ends a run with an error once its time is over, or after a Ctrl-C that got lost."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check` raises where the run has to end."""
        self._check = check

    def after_round(self, progress: Progress) -> bool:
        self._check()
        return False


class Stopwatch(Observer):
    """Takes the wall time of each round of the latest training.

    Attributes:
        seconds: of each round, the first one from the training's beginning.

    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._at = 0.0

    def begin(self, run: Run) -> None:
        self.seconds, self._at = [], time.perf_counter()

    def after_round(self, progress: Progress) -> bool:
        now = time.perf_counter()
        self.seconds.append(now - self._at)
        self._at = now
        return False


class Pace(Observer):
    """Counts the rounds of a plan, and estimates how long the rest will take.

    Rounds from the cache or from before a checkpoint took no time now, so they do not count in the
    estimate; neither does the first round that is trained, as TensorFlow starts before it.

    Attributes:
        total: rounds of all trainings.

    """

    def __init__(self, planned: Plan, advance: Callable[[int], None] = lambda _: None) -> None:
        """`advance` is called with how many more rounds are over, see `progress.tracked`."""
        self._advance = advance
        self.total = sum(run.rounds for run in planned.all_runs())
        self._done: dict[int, int] = {}  # rounds, by the training's position
        self._run = Run(seed=0, position=0, rounds=0)
        self._trained, self._seconds = 0, 0.0
        self._since: Optional[float] = None

    def begin(self, run: Run) -> None:
        self._run = run

    def after_round(self, progress: Progress) -> bool:
        trained = self._trained_since(progress)
        self._note(len(progress.rounds))
        now = time.monotonic()
        if self._since is not None:
            self._seconds += now - self._since
            self._trained += trained
        if self._since is not None or trained:
            self._since = now
        return False

    def end(self, history: Optional[TrainingHistory]) -> None:
        self._note(self._run.rounds)  # also of one that was ended early

    def _note(self, rounds: int) -> None:
        before = self.done
        self._done[self._run.position] = rounds
        self._advance(self.done - before)

    def _trained_since(self, progress: Progress) -> int:
        """Returns how many rounds of this training were trained since the last call."""
        rounds = len(progress.rounds)
        if before := self._done.get(self._run.position):
            return rounds - before
        return 0 if rounds > 1 and (progress.state is None or rounds == self._run.rounds) else 1

    @property
    def done(self) -> int:
        """Rounds that are over."""
        return sum(self._done.values())

    @property
    def seconds_left(self) -> Optional[float]:
        """Seconds until the last round; None where nothing was trained to tell it from."""
        if not self._trained:
            return None
        return self._seconds / self._trained * (self.total - self.done)


class EarlyStop(Observer):
    """Ends a run once more rounds can change none of its verdicts.

    Attributes:
        is_decided: whether they are certain by now.

    """

    def __init__(self, expect: Mapping[str, Section], seeds: int) -> None:
        """Watches the trainings of so many seeds, of which the expectations are judged."""
        self.is_decided = False
        self._expect, self._seeds = expect, seeds
        self._finished: list[TrainingHistory] = []

    def after_round(self, progress: Progress) -> bool:
        self.is_decided = self._is_certain(progress.rounds)
        return self.is_decided

    def end(self, history: Optional[TrainingHistory]) -> None:
        if history is not None and not self.is_decided:
            self._finished.append(history)
            self.is_decided = self._is_certain(())

    def _is_certain(self, begun: Sequence[Round]) -> bool:
        return certain(self._expect, self._finished, begun, self._seeds) is not None
