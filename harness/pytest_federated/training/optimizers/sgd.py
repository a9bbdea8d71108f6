"""Stochastic gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from pytest_federated.training.optimizers.optimizer import Decay, Rate, optimizers

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers("sgd")
def sgd(
    *, learning_rate: Rate, momentum: Optional[Decay] = None
) -> tff.learning.optimizers.Optimizer:
    """Gradient descent, with momentum if set (`tff.learning.optimizers.build_sgdm`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_sgdm(learning_rate, momentum)
