"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pytest_federated.training.optimizers.optimizer import Decay, Positive, Rate, optimizers

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers("adamw")
def adamw(
    *,
    learning_rate: Rate,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.999,
    epsilon: Positive = 1e-7,
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.004,
) -> tff.learning.optimizers.Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019; `tff.learning.optimizers.build_adamw`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_adamw(learning_rate, beta_1, beta_2, epsilon, weight_decay)
