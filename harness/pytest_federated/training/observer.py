"""Observers of trainings: called before, after each round, and at the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from pytest_federated.training.history import Round, TrainingHistory


@dataclass(frozen=True)
class Run:
    """One training of one seed, among those of a scenario.

    Attributes:
        seed: its seed.
        position: from 0, among all trainings of the scenario; those that it is only compared with
            come after its own.
        rounds: how many it has, where nothing ends it.
        is_reference: whether the scenario is only compared with it.
        point: the point of the grid that it is of, where the scenario is tuned.

    """

    seed: int
    position: int
    rounds: int
    is_reference: bool = False
    point: str = ""


class Progress(NamedTuple):
    """A training up to some round.

    Attributes:
        rounds: all rounds so far, with those before a checkpoint from which it went on.
        state: the algorithm's state after them; None where it is in another process, or was not
            kept.

    """

    rounds: tuple[Round, ...]
    state: Any


class Observer:
    """Watches the trainings of a scenario, one after the other; does nothing by itself."""

    def begin(self, run: Run) -> None:
        """Called before a training."""

    def after_round(self, progress: Progress) -> bool:
        """Called after each round; the training ends where an observer returns True.

        Called once, with all rounds, for a training that was done before or elsewhere.
        """
        return False

    def end(self, history: Optional[TrainingHistory]) -> None:
        """Called after a training; with None where an error or an interrupt cut it off."""


class Observers(Observer):
    """Several observers as one, each called in turn."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)

    def begin(self, run: Run) -> None:
        for observer in self._observers:
            observer.begin(run)

    def after_round(self, progress: Progress) -> bool:
        # A list, so that all are called whatever the first ones say.
        return any([observer.after_round(progress) for observer in self._observers])

    def end(self, history: Optional[TrainingHistory]) -> None:
        for observer in self._observers:
            observer.end(history)
