"""Accuracy on the test set: at the end, at its best, over all rounds, and its falls."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_federated.data.datasets.dataset import LABELED
from pytest_federated.metrics.last_rounds import OverLast, averaged, last_or_mean
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.resolution import TEST_EXAMPLE, TEST_EXAMPLE_OF_A_ROUND
from pytest_federated.metrics.scales import Margin
from pytest_federated.metrics.validation import BestBy, chosen_round, set_that_chooses
from pytest_federated.training.history import Round, TrainingHistory

_NOT_EVALUATED = "not evaluated"


@metrics(
    "accuracy",
    title="accuracy",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=averaged(TEST_EXAMPLE),
    is_in_every_baseline=True,
    column=10,
)
def accuracy(history: TrainingHistory, *, over_last: OverLast = None) -> float:
    """Test accuracy after the last round, or its mean over the last rounds (0 to 1)."""
    return last_or_mean(history.rounds, lambda r: r.accuracy, over_last, _NOT_EVALUATED)


def _best_so_far(rounds: Sequence[Round], best_by: BestBy = None) -> tuple[float, float]:
    if best_by:
        return 0.0, 1.0  # a later round may be better on the validation set, and worse here
    return max((r.accuracy for r in rounds if r.accuracy is not None), default=0.0), 1.0


@metrics(
    "best_accuracy",
    title="best accuracy",
    tasks=LABELED,
    scale="share",
    direction="higher",
    so_far=_best_so_far,
    needs=set_that_chooses,
    column=20,
)
def best_accuracy(history: TrainingHistory, *, best_by: BestBy = None) -> float:
    """The highest test accuracy of all evaluated rounds (0 to 1).

    As the test set chooses the round, that is more than new data would give. With `best_by:
    validation` the validation set chooses it: it is the test accuracy after the round with the
    highest validation accuracy, the first of them.
    """
    if best_by:
        return chosen_round(history).accuracy or 0.0
    return max(_curve(history))


@metrics(
    "accuracy_area",
    title="mean accuracy over rounds",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=TEST_EXAMPLE_OF_A_ROUND,
    margin=Margin(absolute=0.005),
    weight=4,
    is_in_every_baseline=True,
)
def accuracy_area(history: TrainingHistory) -> float:
    """Mean test accuracy over rounds, the area under its curve (0 to 1): fast learning is better.

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


def _drop_so_far(rounds: Sequence[Round]) -> tuple[float, float]:
    return _drop(rounds), 1.0


@metrics(
    "accuracy_drop",
    title="fall of accuracy",
    tasks=LABELED,
    scale="share",
    direction="lower",
    bounds=("at_most", "between"),
    so_far=_drop_so_far,
)
def accuracy_drop(history: TrainingHistory) -> float:
    """Largest fall of test accuracy below its best so far: 0 if it only rises."""
    return _drop(history.rounds)


def _curve(history: TrainingHistory) -> list[float]:
    curve = [r.accuracy for r in history.rounds if r.accuracy is not None]
    if not curve:
        raise NoValue(_NOT_EVALUATED)
    return curve
