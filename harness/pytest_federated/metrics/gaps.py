"""Differences of final test accuracy to another training of the same seed.

The other training is a reference: the same scenario with another algorithm, or another variant of
its matrix. Seeds are compared one by one, so that what a seed makes of the data cancels out.
"""

from __future__ import annotations

from pytest_federated.data.datasets.dataset import LABELED
from pytest_federated.metrics.metric import NoValue, Reference, metrics
from pytest_federated.training.history import TrainingHistory


@metrics(
    "gap_to_centralized",
    title="gap to centralized",
    tasks=LABELED,
    scale="difference",
    direction="lower",
    reference=lambda keys: Reference(algorithm="centralized"),
)
def gap_to_centralized(history: TrainingHistory, reference: TrainingHistory) -> float:
    """How far accuracy is below that of training on all clients' data in one place."""
    return _final(reference) - _final(history)


@metrics(
    "gain_over_local",
    title="gain over local",
    tasks=LABELED,
    scale="difference",
    direction="higher",
    reference=lambda keys: Reference(algorithm="local_only", by_all=True),
)
def gain_over_local(history: TrainingHistory, reference: TrainingHistory) -> float:
    """How far accuracy is above that of clients that train alone.

    All clients train their own model in every round, as alone nobody waits to be drawn.
    """
    return _final(history) - _final(reference)


@metrics(
    "gap",
    title="gap",
    tasks=LABELED,
    scale="difference",
    direction="lower",
    reference=lambda keys: Reference(variant=keys.relative_to.strip("[]")),
)
def gap(history: TrainingHistory, reference: TrainingHistory, *, relative_to: str) -> float:
    """How far accuracy is below that of another variant of the matrix; not judged for that variant.

    `relative_to` is the part of that variant's id in brackets.
    """
    return _final(reference) - _final(history)


def _final(history: TrainingHistory) -> float:
    if history.diverged or not history.evaluated:
        raise NoValue("the training to compare with diverged")
    return history.evaluated[-1].accuracy or 0.0
