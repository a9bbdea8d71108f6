"""Whether a Keras model gives logits or probabilities: found from the built model."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, cast

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.keras_checks import tried
from pytest_federated.training.models.model import Outputs, Shape, refusal

if TYPE_CHECKING:
    import tensorflow as tf

# What a sum of probabilities may differ from 1 by, with numbers of 16 bits and with longer ones.
_SHORT, _LONG = 2e-2, 1e-3
# Operations that leave values as they are.
_SAME = (
    "Cast",
    "CheckNumerics",
    "EnsureShape",
    "ExpandDims",
    "Identity",
    "PreventGradient",
    "Reshape",
    "Squeeze",
    "StopGradient",
)
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


class Finding(NamedTuple):
    """What a built model says of its outputs.

    Attributes:
        known: what they are; None where that cannot be known.
        why: the words for it.
        may_be_probabilities: whether they are so for all inputs that were tried.

    """

    known: Optional[Outputs]
    why: str
    may_be_probabilities: bool = True


def outputs_of(model: tf.keras.Model, shape: Shape, stated: Optional[Outputs]) -> Outputs:
    """Whether a built model gives logits or probabilities of the data's labels.

    Known from the activation of its last layer, or else from what it gives for some inputs.

    Args:
        model: fits the data.
        shape: of the data.
        stated: what the scenario says.

    Raises:
        ModelError: it cannot be known and is not stated, or what is stated is wrong.

    """
    finding = _by_last_layer(model, shape) or _by_values(model, shape)
    end = f"{shape.task.activation} or in no activation"
    if stated is None and finding.known is None:
        words = "logits or probabilities" if finding.may_be_probabilities else "logits"
        raise ModelError(
            f"cannot know whether it gives logits or probabilities: {finding.why}; end it in "
            f"{end}, or say 'outputs: {words}'"
        )
    if stated == "probabilities" and not finding.may_be_probabilities:
        raise ModelError(
            f"got 'outputs: probabilities'; {finding.why}; end it in {end}, or say logits"
        )
    if finding.known is not None and stated not in (None, finding.known):
        raise ModelError(
            f"got 'outputs: {stated}'; {finding.why}; leave outputs out, or say {finding.known}"
        )
    return stated or cast("Outputs", finding.known)


def _by_last_layer(model: Any, shape: Shape) -> Optional[Finding]:
    """What the activation of the last layer says; None for most kinds of layers."""
    import tensorflow as tf

    layers, activations = tf.keras.layers, tf.keras.activations
    layer = model
    while True:
        if isinstance(layer, tf.keras.Model):
            tensor = layer.outputs[0] if layer.outputs else None
        elif type(layer) is layers.Activation and layer.activation is activations.linear:
            tensor = layer.input if len(layer.inbound_nodes) == 1 else None
        else:
            break
        if not hasattr(tensor, "_keras_history"):
            return None
        layer = tensor._keras_history.layer  # pyright: ignore[reportOptionalMemberAccess]
    activation = None
    if type(layer) is layers.Softmax and layer.axis == -1:
        activation = activations.softmax
    elif type(layer) in (layers.Dense, layers.Activation):
        activation = layer.activation
    if activation is activations.linear:
        return Finding("logits", "its last layer has no activation", False)
    if activation is activations.softmax:
        return Finding("probabilities", "its last layer is a softmax")
    if activation is activations.sigmoid and shape.kind == "tags":
        return Finding("probabilities", "its last layer is a sigmoid")
    return None


def _by_values(model: Any, shape: Shape) -> Finding:
    """What the values say that the model gives for some inputs, and the last operation."""
    import tensorflow as tf

    spec = tf.TensorSpec((None, *shape.input_shape), shape.input_dtype)
    finding = Finding(None, "what it gives is not finite")
    try:
        traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
        last = _last_operation(traced.outputs[0])
        with contextlib.closing(_changes(model)) as changes:
            for _ in changes:
                outputs = tried(shape, lambda x: traced(tf.constant(x)))
                values = outputs.numpy().astype(np.float64)
                if np.isfinite(values).all():
                    tolerance = _SHORT if outputs.dtype.size == 2 else _LONG
                    finding = _judged(values, last, tolerance, shape)
                    if finding.known:
                        break
    except Exception as error:
        raise ModelError(refusal(shape, error)) from error
    return finding


def _judged(values: np.ndarray, last: str, tolerance: float, shape: Shape) -> Finding:
    """What outputs float64 (n, ..., classes) say, which came from the operation `last`."""
    if values.min() < -tolerance or values.max() > 1 + tolerance:
        return Finding("logits", "for some inputs it gives values outside of [0, 1]", False)
    if shape.kind == "tags":
        if last in ("Sigmoid", "Softmax"):
            return Finding("probabilities", f"it ends in {last.lower()}")
        return Finding(None, "what it gives is within [0, 1], as logits may be, too")
    if np.abs(values.sum(axis=-1) - 1).max() > tolerance:
        return Finding(None, "what it gives for an example does not sum to 1", False)
    rows = values.reshape(-1, values.shape[-1])
    if last == "Softmax" or np.ptp(rows, axis=0).max() > tolerance:
        return Finding("probabilities", "what it gives for an example sums to 1")
    return Finding(None, "it gives the same for all inputs")


def _changes(model: Any) -> Generator[None, None, None]:
    """The model as it is; and with other weights, as those of a new model may give zeros only."""
    yield
    weights = model.get_weights()
    rng = np.random.default_rng(0)
    trained = {id(v) for v in model.trainable_variables}
    other = []
    for variable, value in zip(model.weights, weights):
        if np.issubdtype(value.dtype, np.floating):
            drawn = 2 * rng.normal(size=value.shape) / math.sqrt(math.prod(value.shape[:-1]))
            # Those that are not trained may be variances.
            value = (value + drawn if id(variable) in trained else np.abs(drawn)).astype(
                value.dtype
            )
        other.append(value)
    try:
        model.set_weights(other)
        yield
    finally:
        model.set_weights(weights)


def _last_operation(tensor: Any) -> str:
    """The kind of operation that a tensor of a graph comes from, but for those that pass it on."""
    while True:
        operation = tensor.op
        if operation.type in _SAME:
            tensor = operation.inputs[0]
        elif operation.type in _CALLS:
            function = operation.graph._get_function(operation.get_attr("f").name)
            if function is None:
                return operation.type
            tensor = function.graph.outputs[tensor.value_index]
        else:
            return operation.type
