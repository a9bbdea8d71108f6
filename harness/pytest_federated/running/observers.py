"""Observers that every run may need: its time limit, its wall time, and its early end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Callable, Optional

from pytest_federated.core.schema import Section
from pytest_federated.expectations.ending_early import certain
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
