"""A small convolutional network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.model import Outputs, Shape, models

if TYPE_CHECKING:
    import tensorflow as tf


@models("cnn")
def cnn(
    shape: Shape,
    *,
    filters: list[Annotated[int, Field(ge=1)]] = [16, 32],  # noqa: B006 - pydantic copies it
    kernel: Annotated[int, Field(ge=1)] = 3,
    hidden: Annotated[int, Field(ge=1)] = 64,
    outputs: Outputs = "logits",
) -> tf.keras.Model:
    """Convolutions with relu and 2x2 max pooling, one hidden layer, then one unit per label.

    The CNN of McMahan et al., AISTATS 2017, section 3, is `filters: [32, 64]`, `kernel: 5`,
    `hidden: 512`; the defaults are smaller, so that they train fast on a CPU.

    Raises:
        ModelError: the data are not images, or too small for the number of poolings.

    """
    import tensorflow as tf

    check_images(shape, 2 ** len(filters))
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.InputLayer(shape.input_shape)])
    for count in filters:
        model.add(layers.Conv2D(count, kernel, padding="same", activation="relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(hidden, activation="relu"))
    model.add(layers.Dense(shape.units, activation=shape.activation(outputs)))
    return model


def check_images(shape: Shape, min_size: int) -> None:
    """Checks that the data are images of at least `min_size` pixels each way.

    Raises:
        ModelError: they are not images, or smaller.
    """
    if len(shape.input_shape) != 3:
        raise ModelError(
            f"the model needs images (height, width, channels), not {shape.input_shape}"
        )
    if min(shape.input_shape[:2]) < min_size:
        raise ModelError(
            f"the model needs images of at least {min_size} x {min_size}, not "
            f"{shape.input_shape[:2]}"
        )
