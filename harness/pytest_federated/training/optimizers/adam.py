"""Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_federated.training.optimizers.optimizer import Decay, Positive, Rate, optimizers

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers("adam")
def adam(
    *, learning_rate: Rate, beta_1: Decay = 0.9, beta_2: Decay = 0.999, epsilon: Positive = 1e-7
) -> tff.learning.optimizers.Optimizer:
    """Adam (Kingma and Ba, ICLR 2015; `tff.learning.optimizers.build_adam`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_adam(learning_rate, beta_1, beta_2, epsilon)
