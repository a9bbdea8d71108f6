"""What an algorithm is to the harness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

from harness.registry import Registry

if TYPE_CHECKING:
    import tensorflow_federated as tff

algorithms: Registry[Callable[..., tff.learning.templates.LearningProcess]] = Registry("algorithm")


@dataclass(frozen=True)
class Parts:
    """What a scenario gives to every algorithm.

    Attributes:
        model_fn: makes a new `tff.learning.models.VariableModel` at each call.
        client_optimizer: for the local steps.
        server_optimizer: applies the aggregated change.

    """

    model_fn: Callable[[], tff.learning.models.VariableModel]
    client_optimizer: tff.learning.optimizers.Optimizer
    server_optimizer: tff.learning.optimizers.Optimizer
