"""What an algorithm is to the harness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Union

from harness.registry import Registry

if TYPE_CHECKING:
    import tensorflow_federated as tff

algorithms: Registry[Callable[..., tff.learning.templates.LearningProcess]] = Registry("algorithm")


@dataclass(frozen=True)
class Parts:
    """What a scenario gives to every algorithm.

    Attributes:
        model: makes a new `tff.learning.models.VariableModel` at each call; for packed
            execution a `tff.learning.models.FunctionalModel`.
        client_optimizer: for the local steps.
        server_optimizer: applies the aggregated change.
        packed: whether the process is given packed clients. Only asked of algorithms that are
            registered with ``packs=True``.

    """

    model: Union[
        Callable[[], tff.learning.models.VariableModel], tff.learning.models.FunctionalModel
    ]
    client_optimizer: tff.learning.optimizers.Optimizer
    server_optimizer: tff.learning.optimizers.Optimizer
    packed: bool = False
