"""The model of the tutorial that this project grew out of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pytest_federated.training.models.mlp import mlp
from pytest_federated.training.models.model import Shape, models

if TYPE_CHECKING:
    import tensorflow as tf


@models("tutorial")
def tutorial(
    shape: Shape, *, outputs: Literal["probabilities"] = "probabilities"
) -> tf.keras.Model:
    """The tutorial's network: flatten, Dense 128 relu, Dense softmax (10 for the digits)."""
    return mlp(shape, hidden=[128], outputs=outputs)
