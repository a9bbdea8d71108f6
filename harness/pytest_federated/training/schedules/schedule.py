"""Learning rate schedules by name: what an optimizer's learning rate is multiplied by, by round.

A schedule takes the number of the round, from 1, and its keys from the scenario file, and returns
the factor. It is called before anything is trained, once for each round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, Optional, Protocol

from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec


@dataclass(frozen=True)
class ScheduleSpec(Spec):
    """The traits of a schedule.

    Attributes:
        spans_training: its key `rounds` is the training's number of rounds where it is left out.
        changes_after: the key with the number of rounds before the factor is other than 1.

    """

    spans_training: bool = False
    changes_after: str = ""


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
Span = Annotated[Optional[int], Field(ge=1, description="By default all of the training.")]
Share = Annotated[float, Field(gt=0, le=1)]
Lowest = Annotated[float, Field(ge=0, lt=1)]


def spanning(schedule: Section, rounds: int) -> Section:
    """Returns a schedule that spans a training of so many rounds, where it leaves that open."""
    spans = schedules.entry(schedule).spec.spans_training
    is_open = spans and getattr(schedule, "rounds", None) is None
    return schedule.model_copy(update={"rounds": rounds}) if is_open else schedule


def unchanged(schedule: Section, rounds: int) -> str:
    """Says why a schedule changes nothing in so many rounds; empty where it may."""
    key = schedules.entry(schedule).spec.changes_after
    after = getattr(schedule, key) if key else 0
    if after < rounds:
        return ""
    return (
        f"got {key} {after}; there are {rounds} rounds (training.rounds), so the learning rate "
        f"would stay as it is; allowed: {key} below {rounds}, or no schedule"
    )


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
