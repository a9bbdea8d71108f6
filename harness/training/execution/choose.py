"""Which execution a scenario gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Optional

from harness.errors import ModelError
from harness.training.aggregators import aggregators
from harness.training.algorithms import algorithms
from harness.training.settings import Training

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Execution:
    """``packed`` or ``standard``, and for the latter why, where it was not asked for."""

    kind: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.reason})" if self.reason else self.kind


def choose(training: Training, build: Callable[[], tf.keras.Model]) -> Execution:
    """Packed where the scenario allows it and does not say otherwise.

    Raises:
        ModelError: the scenario asks for packed execution, and it is not possible.
    """
    if training.execution == "standard":
        return Execution("standard")
    obstacle = _obstacle(training, build)
    if obstacle is None:
        return Execution("packed")
    if training.execution == "packed":
        raise ModelError(f"training.execution: packed is not possible: {obstacle}")
    return Execution("standard", obstacle)


def _obstacle(training: Training, build: Callable[[], tf.keras.Model]) -> Optional[str]:
    import tensorflow as tf

    entry = algorithms.entry(training.algorithm)
    if not entry.traits.get("packs"):
        return f"{entry.name} needs each client by itself"
    aggregator = aggregators.entry(training.aggregator)
    if not aggregator.traits.get("packs"):
        return f"the aggregator {aggregator.name} needs each client's own change"
    made: list[tf.Variable] = []

    def record(make: Callable[..., tf.Variable], **settings: object) -> tf.Variable:
        made.append(make(**settings))
        return made[-1]

    # In a graph: where Keras runs eagerly it makes variables of its own.
    with tf.Graph().as_default(), tf.variable_creator_scope(record):
        model = build()
        is_regularised = bool(model.losses)
    if is_regularised:
        return "the model has regularisation losses, which TFF's functional models leave out"
    # TFF's functional models take weights in the order in which the model makes its variables.
    for kept in (model.trainable_variables, model.non_trainable_variables):
        order = [v.ref() for v in kept]
        if [v.ref() for v in made if v.ref() in order] != order:
            return "the model does not make its variables in the order of its layers"
    if len(made) != len(model.variables):
        return "the model makes variables that are not its weights"
    return None
