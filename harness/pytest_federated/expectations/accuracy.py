"""Accuracy on the test set: at the end, at its best, over all rounds, and its falls."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_federated.expectations.judging import Share, expectation
from pytest_federated.training.history import Round, TrainingHistory


@expectation("accuracy", Share)
def accuracy(history: TrainingHistory) -> float:
    """Test accuracy after the last round (0 to 1)."""
    return history.evaluated[-1].accuracy or 0.0


def _best_so_far(rounds: Sequence[Round]) -> tuple[float, float]:
    return max((r.accuracy for r in rounds if r.accuracy is not None), default=0.0), 1.0


@expectation("best_accuracy", Share, so_far=_best_so_far)
def best_accuracy(history: TrainingHistory) -> float:
    """The highest test accuracy of all evaluated rounds (0 to 1)."""
    return max(_curve(history))


@expectation("accuracy_area", Share)
def accuracy_area(history: TrainingHistory) -> float:
    """Area under the curve of test accuracy by round, as a mean (0 to 1): fast is better.

    Trapezoids between the evaluated rounds, divided by the rounds from the first of them to the
    last.
    """
    rounds, curve = [r.round for r in history.evaluated], _curve(history)
    if len(rounds) == 1:
        return curve[0]
    steps = zip(rounds, rounds[1:], curve, curve[1:])
    area = sum((end - begin) * (low + high) / 2 for begin, end, low, high in steps)
    return area / (rounds[-1] - rounds[0])


def _drop(rounds: Sequence[Round]) -> float:
    best, largest = 0.0, 0.0
    for done in rounds:
        if done.accuracy is not None:
            best = max(best, done.accuracy)
            largest = max(largest, best - done.accuracy)
    return largest


@expectation(
    "accuracy_drop",
    Share,
    bounds=("at_most", "between"),
    so_far=lambda rounds: (_drop(rounds), 1.0),
)
def accuracy_drop(history: TrainingHistory) -> float:
    """How far test accuracy ever falls below its best so far: 0 where it only rises."""
    return _drop(history.rounds)


def _curve(history: TrainingHistory) -> list[float]:
    return [r.accuracy or 0.0 for r in history.evaluated]
