"""Attacks by name: how attackers differ from honest clients.

An attack function takes its keys from the scenario file and returns an `Attack`: what becomes of
the attackers' labels, what they multiply their updates by, or what they send in their place. In all
else they are honest.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Callable, Optional, Protocol

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.core.shares import share_of_none
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec


class Attackers(Section):
    """Key of every attack: the share of all clients, drawn once, that attack."""

    share: Annotated[float, Field(ge=0, le=1, description="Of all clients.")]


class HonestUpdates(Protocol):
    """What attackers know of the updates of a round's honest clients, as TensorFlow's tensors.

    As everywhere in TFF, an update is the weights before training less those after.

    Attributes:
        rows: the updates, float32 (clients, parameters), at least one.
        mean: of each parameter, float32 (parameters,).
        deviation: the standard deviation of each, float32 (parameters,).
        z_max: of Baruch et al., see the attack alie.
        attackers: how many attack in the round, int32.

    """

    @property
    def rows(self) -> Any: ...
    @property
    def mean(self) -> Any: ...
    @property
    def deviation(self) -> Any: ...
    @property
    def z_max(self) -> Any: ...
    @property
    def attackers(self) -> Any: ...


# From what they know to the one update, float32 (parameters,), that all attackers of a round send.
Craft = Callable[[HonestUpdates], Any]


@dataclass(frozen=True)
class Trigger:
    """A pattern in an image that attackers teach the model to take for a label.

    Attributes:
        stamp: maps images, float32 in [0, 1] or uint8 in [0, 255], (n, height, width, channels), to
            the same with the pattern.
        target: the label.
        examples: share of an attacker's examples that get both.

    """

    stamp: Callable[[np.ndarray], np.ndarray]
    target: int
    examples: float


@dataclass(frozen=True)
class Attack:
    """What an attacker does.

    Attributes:
        labels: maps its labels, int of any shape, and the number of classes to the labels that
            it trains on; None leaves them unchanged.
        factor: what it multiplies its update by; 1 leaves it unchanged.
        craft: what all attackers of a round send in place of their updates, knowing those of the
            honest clients; None where each sends its own.
        trigger: what a share of its examples is changed to; None leaves them unchanged.

    """

    labels: Optional[Callable[[np.ndarray, int], np.ndarray]] = None
    factor: float = 1.0
    craft: Optional[Craft] = None
    trigger: Optional[Trigger] = None


@dataclass(frozen=True)
class AttackSpec(Spec):
    """The traits of an attack.

    Attributes:
        changes_updates: attackers change what they send, by a factor or by `craft`.

    """

    changes_updates: bool = False


class MakesAttack(Protocol):
    """Says what attackers do."""

    def __call__(self, *args: Any, **keys: Any) -> Attack:
        """Returns the attack."""
        ...


attacks = Registry(
    "attack",
    MakesAttack,
    AttackSpec,
    Attackers,
    plural="attacks",
    package=__package__,
    error=DataError,
)


def attack(choice: Section) -> Attack:
    """Returns what the attackers of a scenario do."""
    entry = attacks.entry(choice)
    made = entry.call(choice)
    if not isinstance(made, Attack):
        raise entry.gave(made, "an Attack")
    return made


def attackers(choice: Section, population: int, seed: int) -> np.ndarray:
    """Draws bool (population,): who attacks, in every round.

    Raises:
        DataError: of so few clients, the share is none.

    """
    if reason := without_attackers(choice, population):
        raise DataError(f"clients.attacks.share: {reason}")
    return _drawn(choice.share, population, seed)  # type: ignore[attr-defined]  # see Attackers


def without_attackers(choice: Section, population: int) -> str:
    """Says why the share of attackers is none of so many clients; empty where it is some, or 0."""
    share: float = choice.share  # type: ignore[attr-defined]  # see Attackers
    reason = share_of_none(share, population, "no attacker, so the attack would have no effect")
    return f"{reason}, or 0 for none" if reason else ""


@functools.lru_cache(maxsize=8)
def _drawn(share: float, population: int, seed: int) -> np.ndarray:
    is_attacker = np.zeros(population, bool)
    order = generator(seed, Stream.ATTACKERS).permutation(population)
    is_attacker[order[: round(share * population)]] = True
    is_attacker.flags.writeable = False
    return is_attacker


def flipped(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns labels in reverse: label l of L becomes L - 1 - l."""
    return (num_classes - 1 - labels).astype(labels.dtype)
