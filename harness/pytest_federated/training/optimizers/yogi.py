"""Yogi."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_federated.training.optimizers.optimizer import Decay, Positive, Rate, optimizers

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers("yogi")
def yogi(
    *, learning_rate: Rate, beta_1: Decay = 0.9, beta_2: Decay = 0.999, epsilon: Positive = 1e-3
) -> tff.learning.optimizers.Optimizer:
    """Yogi (Zaheer et al., NeurIPS 2018; `tff.learning.optimizers.build_yogi`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_yogi(learning_rate, beta_1, beta_2, epsilon)
