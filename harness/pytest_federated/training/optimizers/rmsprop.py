"""RMSprop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_federated.training.optimizers.optimizer import Decay, Positive, Rate, optimizers

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers("rmsprop")
def rmsprop(
    *, learning_rate: Rate, decay: Decay = 0.9, epsilon: Positive = 1e-7
) -> tff.learning.optimizers.Optimizer:
    """RMSprop (Tieleman and Hinton, 2012; `tff.learning.optimizers.build_rmsprop`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_rmsprop(learning_rate, decay, epsilon)
