"""Learning rate schedules by name: what a client's learning rate is multiplied by, by round.

A schedule takes the number of the round, from 1, and its keys from the scenario file, and returns
the factor. It is called before anything is trained, once for each round.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, Protocol

from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec


@dataclass(frozen=True)
class ScheduleSpec(Spec):
    """The traits of a schedule."""


class Schedule(Protocol):
    """Says what a learning rate is multiplied by."""

    def __call__(self, round_number: int, /, *args: Any, **keys: Any) -> float:
        """The factor of a round, which is counted from 1."""
        ...


schedules = Registry(
    "schedule",
    Schedule,
    ScheduleSpec,
    plural="schedules",
    package=__package__,
    error=ModelError,
)

Rounds = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]


def factors(schedule: Section, rounds: int) -> tuple[float, ...]:
    """Returns a schedule's factors for rounds 1 to `rounds`."""
    entry = schedules.entry(schedule)
    by_round: list[float] = []
    for number in range(1, rounds + 1):
        factor: Any = entry.call(schedule, number)
        if not isinstance(factor, Real) or not 0 <= float(factor) < math.inf:
            raise entry.gave(factor, "a number, 0 or greater, for each round")
        by_round.append(float(factor))
    return tuple(by_round)


def at(by_round: Sequence[float], done: Any) -> Any:
    """In a TensorFlow graph, the factor after `done` rounds; the last one from there on."""
    import tensorflow as tf

    return tf.gather(tf.constant(by_round, tf.float32), tf.minimum(done, len(by_round) - 1))


def times(factor: Any, inner: Any) -> Any:
    """The TFF optimizer `inner` with its learning rate times `factor`."""
    import tensorflow_federated as tff

    key = tff.learning.optimizers.LEARNING_RATE_KEY

    class Scaled(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            state = inner.initialize(specs)
            if not isinstance(state, MutableMapping) or key not in state:
                raise ModelError(
                    "training.client_optimizer: has no learning rate in its state that a schedule "
                    "could change"
                )
            state[key] = state[key] * factor
            return state

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            return inner.next(state, weights, gradients)

    return Scaled()
