"""A small model of the kind that many tutorials train."""

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
    """A network as in many tutorials: flatten, Dense 128 with ReLU, Dense with softmax.

    The model of TFF's tutorial, which docs/tutorial.md trains, has no hidden layer.
    """
    return mlp(shape, hidden=[128], outputs=outputs)
