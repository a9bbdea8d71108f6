"""Which execution a scenario gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from pytest_federated.core.errors import ModelError
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.models.adapters.adapter import ModelAdapter
from pytest_federated.training.schema import Training


@dataclass(frozen=True)
class Execution:
    """``packed`` or ``standard``, and for the latter why, where it was not asked for."""

    kind: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.reason})" if self.reason else self.kind


def choose(training: Training, adapter: ModelAdapter) -> Execution:
    """Packed where the scenario allows it and does not say otherwise.

    Raises:
        ModelError: the scenario asks for packed execution, and it is not possible.
    """
    if training.execution == "standard":
        return Execution("standard")
    obstacle = _obstacle(training, adapter)
    return Execution("packed") if obstacle is None else standard_for(training, obstacle)


def standard_for(training: Training, obstacle: str, message: str = "") -> Execution:
    """Standard, as `obstacle` is in the way of packed; records have it, so it names no path.

    Raises:
        ModelError: the scenario asks for packed; with the `message`, where it says more.
    """
    if training.execution == "packed":
        raise ModelError(f"training.execution: packed is not possible: {message or obstacle}")
    return Execution("standard", obstacle)


def _obstacle(training: Training, adapter: ModelAdapter) -> Optional[str]:
    entry = algorithms.entry(training.algorithm)
    if not entry.spec.packs:
        return f"{entry.name} needs each client by itself"
    return adapter.obstacle()
