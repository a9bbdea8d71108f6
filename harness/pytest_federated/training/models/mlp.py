"""The multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pytest_federated.training.models.model import Outputs, Shape, models

if TYPE_CHECKING:
    import tensorflow as tf


@models("mlp")
def mlp(
    shape: Shape,
    *,
    hidden: list[Annotated[int, Field(ge=1)]] = [128],  # noqa: B006 - pydantic copies it
    outputs: Outputs = "logits",
) -> tf.keras.Model:
    """Fully connected layers: flatten, then `hidden` widths with relu, then one per label.

    `hidden: [200, 200]` is the 2NN of McMahan et al., AISTATS 2017, section 3.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.InputLayer(shape.input_shape),
            layers.Flatten(),
            *(layers.Dense(width, activation="relu") for width in hidden),
            layers.Dense(shape.units, activation=shape.activation(outputs)),
        ]
    )
