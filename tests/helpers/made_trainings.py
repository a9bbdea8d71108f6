"""Made-up trainings, for tests of what pytest does with their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from example_results import history
from pytest_federated.training.history import TrainingHistory
from pytest_federated.training.observer import Observer, Progress

TRAIN = "pytest_federated.running.pipeline.train_seed"  # what made-up trainings replace

SCENARIO = """\
schema: 1
name: made
data: {dataset: digits}
clients: {count: 4}
model: {kind: mlp, hidden: [16]}
training: {rounds: 3}
seeds: [0, 1]
expect:
  accuracy: {at_least: 0.88}
"""

# A conftest.py whose hooks stop scenarios of these names before, or after, they run.
STOPPING_HOOKS = """
import pytest
def pytest_runtest_setup(item):
    if item.name == "before":
        raise OSError("no disk")
    if item.name == "skipped":
        pytest.skip("not on this machine")
def pytest_runtest_teardown(item):
    if item.name == "after":
        raise OSError("no disk left")
"""


def followed(whole: TrainingHistory, observer: Observer) -> TrainingHistory:
    """Shows a training to an observer by rounds; returns as much of it as the observer lets be."""
    for number in range(1, len(whole.rounds) + 1):
        if observer.after_round(Progress(whole.rounds[:number], None)):
            return whole.model_copy(update={"rounds": whole.rounds[:number]})
    return whole


def training(curves: Mapping[int, Sequence[float]], log: Optional[list[int]] = None) -> Any:
    """In place of a training: one with these accuracies by seed, whose rounds are counted."""

    def train(one: Any, seed: int, options: Any, observer: Any, *rest: Any) -> TrainingHistory:
        whole = history(curves[seed][: one.training.rounds], seed=seed, class_recall=(1.0,))
        found = followed(whole, observer)
        if log is not None:
            log.extend([seed] * len(found.rounds))
        return found

    return train


class FakeTrainings:
    """Made-up trainings, with the final accuracies that are set here by seed.

    Other seeds have the accuracy of seed 0 if they are even, and of seed 1 if they are odd.
    A scenario whose name is in `errors` raises that error instead.
    """

    def __init__(self) -> None:
        self.accuracies = {0: 0.89, 1: 0.91}
        self.errors: dict[str, BaseException] = {}
        self.diverged: Optional[str] = None
        self.trained: list[int] = []

    def train(self, scenario: Any, seed: int, *rest: Any) -> TrainingHistory:
        if error := self.errors.get(scenario.name):
            raise error
        self.trained.append(seed)
        accuracy = self.accuracies.get(seed, self.accuracies.get(seed % 2, 0.9))
        curve = [0.5, 0.7, accuracy]
        return history(curve, seed=seed, clients=4, test_examples=100, diverged=self.diverged)
