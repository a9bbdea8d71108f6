"""Recurrent networks for texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.model import Outputs, Shape, models

if TYPE_CHECKING:
    import tensorflow as tf

# With at most so many cells (tokens times layers), each is traced by itself: a local step takes a
# third of the time of a loop. A cell takes 0.2 s to trace and compile, too much for longer texts.
_MOST_UNROLLED = 20


@models("lstm")
def lstm(
    shape: Shape,
    *,
    embedding: Annotated[int, Field(ge=1)] = 8,
    units: list[Annotated[int, Field(ge=1)]] = [256, 256],  # noqa: B006 - pydantic copies it
    outputs: Outputs = "logits",
) -> tf.keras.Model:
    """An embedding of each token, LSTM layers of `units`, then one unit per token.

    For data whose labels are the tokens that come next: one for the whole text, or one for each
    position. The defaults are those of the paper for Shakespeare.

    Source: McMahan et al., AISTATS 2017, section 3 ("character LSTM"), arXiv:1602.05629.

    Raises:
        ModelError: the data are not texts of token ids.

    """
    import tensorflow as tf

    if len(shape.input_shape) != 1 or not shape.input_dtype.startswith(("int", "uint")):
        raise ModelError(
            f"the lstm needs texts, whole numbers of shape (length,); the data has "
            f"{shape.input_dtype} {shape.input_shape}"
        )
    layers = tf.keras.layers
    by_position = shape.kind == "tokens"
    last = len(units) - 1
    length = shape.input_shape[0]
    return tf.keras.Sequential(
        [
            layers.InputLayer(shape.input_shape, dtype=shape.input_dtype),
            layers.Embedding(shape.num_classes, embedding),
            # Not layers.LSTM, whose choice between two kernels costs more than it saves here.
            *(
                layers.RNN(
                    layers.LSTMCell(n),
                    return_sequences=by_position or i < last,
                    unroll=length * len(units) <= _MOST_UNROLLED,
                )
                for i, n in enumerate(units)
            ),
            layers.Dense(shape.units, activation=shape.activation(outputs)),
        ]
    )
