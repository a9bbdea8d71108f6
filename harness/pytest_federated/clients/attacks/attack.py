"""Attacks by name: how attackers differ from honest clients.

An attack function takes its keys from the scenario file and returns an `Attack`: what becomes of
the attackers' labels, and what they multiply their updates by. All else they do as they should.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Callable, Optional, Protocol

import numpy as np
from pydantic import Field

from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec


class Attackers(Section):
    """Key that every attack has: the share of all clients, drawn once, that attack."""

    share: Annotated[float, Field(ge=0, le=1, description="Of all clients.")]


@dataclass(frozen=True)
class Attack:
    """What an attacker does.

    Attributes:
        labels: from its labels, int of any shape, and the number of classes to the labels that
            it trains on; None leaves them.
        factor: what it multiplies its update by; 1 leaves it.

    """

    labels: Optional[Callable[[np.ndarray, int], np.ndarray]] = None
    factor: float = 1.0


@dataclass(frozen=True)
class AttackSpec(Spec):
    """The traits of an attack."""


class MakesAttack(Protocol):
    """Says what attackers do."""

    def __call__(self, *args: Any, **keys: Any) -> Attack:
        """The attack."""
        ...


attacks = Registry("attack", MakesAttack, AttackSpec, Attackers, package=__package__)


def attack(chosen: Section) -> Attack:
    """What the attackers of a scenario do."""
    return attacks.entry(chosen).call(chosen)


def attackers(chosen: Section, population: int, seed: int) -> np.ndarray:
    """Bool (population,): who attacks, in every round."""
    return _drawn(chosen.share, population, seed)  # type: ignore[attr-defined]  # see Attackers


@functools.lru_cache(maxsize=8)
def _drawn(share: float, population: int, seed: int) -> np.ndarray:
    is_attacker = np.zeros(population, bool)
    order = generator(seed, Stream.ATTACKERS).permutation(population)
    is_attacker[order[: round(share * population)]] = True
    is_attacker.flags.writeable = False
    return is_attacker


def _flipped(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return (num_classes - 1 - labels).astype(labels.dtype)


@attacks("label_flip")
def label_flip() -> Attack:
    """Trains on flipped labels: label l of L becomes L - 1 - l.

    Source: Fang et al., Local Model Poisoning Attacks to Byzantine-Robust Federated Learning,
    USENIX Security 2020 ("label flipping attack"), arXiv:1911.11815.
    """
    return Attack(labels=_flipped)


@attacks("sign_flip")
def sign_flip(
    *, scale: Annotated[float, Field(gt=0, le=1e6, description="Times the honest size.")] = 1.0
) -> Attack:
    """Sends its update with the sign reversed, `scale` times as large.

    Source: Li et al., RSA: Byzantine-Robust Stochastic Aggregation Methods for Distributed
    Learning from Heterogeneous Datasets, AAAI 2019 ("sign-flipping attack"), arXiv:1811.03761.
    """
    return Attack(factor=-scale)


@attacks("boost")
def boost(
    *,
    factor: Annotated[float, Field(gt=1, le=1e6, description="Times the trained size.")],
    flip_labels: bool = True,
) -> Attack:
    """Trains on flipped labels and sends its update `factor` times as large.

    With as many clients in a round as the factor says, and a server rate of 1, the attacker's
    model replaces the common one. Without flipped labels it is a client that is only too large.

    Source: Bagdasaryan et al., How To Backdoor Federated Learning, AISTATS 2020, equation 3
    ("model replacement"), arXiv:1807.00459.
    """
    return Attack(labels=_flipped if flip_labels else None, factor=factor)
