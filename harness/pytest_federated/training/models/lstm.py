"""Recurrent networks for texts."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.model import Outputs, Shape, models

if TYPE_CHECKING:
    import tensorflow as tf

# A layer of at most so many units computes all tokens in one operation, which takes a sixth to
# three fifths of the time of Keras's loop. With 256 units the loop is quicker, as its products are.
_MOST_AT_ONCE = 128


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
    return tf.keras.Sequential(
        [
            layers.InputLayer(shape.input_shape, dtype=shape.input_dtype),
            layers.Embedding(shape.num_classes, embedding),
            *(_lstm_layer(n, by_position or i < last) for i, n in enumerate(units)),
            layers.Dense(shape.units, activation=shape.activation(outputs)),
        ]
    )


def _lstm_layer(units: int, return_sequences: bool) -> tf.keras.layers.RNN:
    """Returns a layer of Keras's LSTM cells, which computes all tokens in one operation if it can.

    Keras's cells take dozens of operations for each token, in a loop. Only how this object computes
    is replaced: it is saved and copied as Keras's layer.
    """
    import tensorflow as tf

    # Not layers.LSTM, whose choice between two kernels costs more than it saves here.
    layer: Any = tf.keras.layers.RNN(
        tf.keras.layers.LSTMCell(units), return_sequences=return_sequences
    )
    # TensorFlow has no such operation for float64.
    if units <= _MOST_AT_ONCE and layer.compute_dtype == "float32":
        layer.call = MethodType(_call, layer)
    return layer


def _call(
    layer: Any,
    inputs: Any,
    mask: Any = None,
    training: Any = None,
    initial_state: Any = None,
    constants: Any = None,
) -> Any:
    """Computes what Keras's `RNN.call` does, by itself where there is no more than the inputs."""
    import tensorflow as tf

    more = mask, initial_state, constants
    if not tf.is_tensor(inputs) or any(one is not None for one in more):  # as SavedModels have it
        return type(layer).call(layer, inputs, mask, training, initial_state, constants)
    cell = layer.cell
    kernel = tf.concat([cell.kernel, cell.recurrent_kernel], axis=0)
    outputs = _block_lstm(inputs, kernel, cell.bias)
    return outputs if layer.return_sequences else outputs[:, -1]


def _block_lstm(inputs: Any, kernel: Any, bias: Any) -> Any:
    """Returns the outputs of LSTM cells, float32 (batch, tokens, units).

    Args:
        inputs: float32 (batch, tokens, features).
        kernel: float32 (features + units, 4 * units), with the gates in Keras's order.
        bias: float32 (4 * units,).
    """
    import tensorflow as tf

    units = bias.shape[0] // 4
    start = tf.zeros((tf.shape(inputs)[0], units))
    peephole = tf.zeros((units,))  # not used
    # Not BlockLSTMV2, which has Keras's order, but which TensorFlow gives the gradient of this one.
    of_tokens = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.constant(inputs.shape[1], tf.int64),
        x=tf.transpose(inputs, (1, 0, 2)),
        cs_prev=start,
        h_prev=start,
        w=_reordered(kernel),
        wci=peephole,
        wcf=peephole,
        wco=peephole,
        b=_reordered(bias),
        forget_bias=0.0,  # the cell's own bias has it
        cell_clip=-1.0,  # none
    )
    return tf.transpose(of_tokens.h, (1, 0, 2))


def _reordered(gates: Any) -> Any:
    """Returns what Keras has for input, forget, cell and output in the order of `BlockLSTM`."""
    import tensorflow as tf

    of_input, of_forget, of_cell, of_output = tf.split(gates, 4, axis=-1)
    return tf.concat([of_input, of_cell, of_forget, of_output], axis=-1)
