"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Optional

from pydantic import Field

from pytest_federated.training.optimizers.optimizer import Change, Decay, Rate, after, optimizers

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers("sgd")
def sgd(
    *,
    learning_rate: Rate,
    momentum: Optional[Decay] = None,
    weight_decay: Annotated[
        Optional[float],
        Field(ge=0, allow_inf_nan=False, description="Times the weights, added to the gradient."),
    ] = None,
) -> tff.learning.optimizers.Optimizer:
    """Gradient descent, with momentum if set (`tff.learning.optimizers.build_sgdm`).

    A `weight_decay` of d adds d/2 times the squared weights to the loss, all trainable weights
    counted, biases too.
    """
    import tensorflow_federated as tff

    inner = tff.learning.optimizers.build_sgdm(learning_rate, momentum)
    return after(_decayed(weight_decay), inner) if weight_decay else inner


def _decayed(decay: float) -> Change:
    def decayed(gradients: Sequence[Any], weights: Sequence[Any]) -> Sequence[Any]:
        return [g if g is None else g + decay * w for g, w in zip(gradients, weights)]

    return decayed
