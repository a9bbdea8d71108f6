"""Adagrad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_federated.training.optimizers.optimizer import Decay, Positive, Rate, optimizers

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers("adagrad")
def adagrad(
    *, learning_rate: Rate, initial_accumulator: Decay = 0.1, epsilon: Positive = 1e-7
) -> tff.learning.optimizers.Optimizer:
    """Adagrad (Duchi et al., JMLR 2011; `tff.learning.optimizers.build_adagrad`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_adagrad(
        learning_rate, initial_preconditioner_value=initial_accumulator, epsilon=epsilon
    )
