"""Differences of final test accuracy to another training of the same seed.

The other training is a reference: the same scenario with another algorithm, or another variant of
its matrix. Seeds are compared one by one, so that what a seed makes of the data cancels out.
"""

from __future__ import annotations

from typing import Any, Callable

from pytest_federated.expectations.judging import Difference, NoFigure, Reference, expectation
from pytest_federated.training.history import TrainingHistory


def _against(name: str, algorithm: str) -> Callable[[Any], Any]:
    """Decorator of a difference to the same scenario with that algorithm."""
    return expectation(name, Difference, reference=lambda chosen: Reference(algorithm=algorithm))


@_against("gap_to_centralized", "centralized")
def gap_to_centralized(history: TrainingHistory, reference: TrainingHistory) -> float:
    """How far accuracy stays below that of training on all clients' data in one place."""
    return _final(reference) - _final(history)


@_against("gain_over_local", "local_only")
def gain_over_local(history: TrainingHistory, reference: TrainingHistory) -> float:
    """How far accuracy is above that of clients that train alone."""
    return _final(history) - _final(reference)


@expectation(
    "gap",
    Difference,
    reference=lambda chosen: Reference(variant=chosen.relative_to.strip("[]")),
)
def gap(history: TrainingHistory, reference: TrainingHistory, *, relative_to: str) -> float:
    """How far accuracy stays below that of another variant of the matrix, which it is not asked of.

    `relative_to` is the part of that variant's id in brackets.
    """
    return _final(reference) - _final(history)


def _final(history: TrainingHistory) -> float:
    if history.diverged or not history.evaluated:
        raise NoFigure("the training to compare with diverged")
    return history.evaluated[-1].accuracy or 0.0
