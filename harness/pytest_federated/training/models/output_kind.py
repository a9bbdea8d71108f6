"""Whether a Keras model's outputs are logits or probabilities, inferred from the built model."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, cast

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.keras_checks import call_with_probe
from pytest_federated.training.models.model import Outputs, Shape, refusal

if TYPE_CHECKING:
    import tensorflow as tf

# Largest deviation of a sum of probabilities from 1: of 16-bit numbers, and of longer ones.
_TOLERANCE_16_BITS, _TOLERANCE = 2e-2, 1e-3
_DRAWS = 3  # of weights that a model is tried with
# Operations that do not change values.
_PASS_THROUGH = (
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


class Inference(NamedTuple):
    """What can be inferred about the outputs of a built model.

    Attributes:
        outputs: what they are; None where that cannot be told.
        reason: why, for messages.
        may_be_probabilities: whether they could be, for all inputs that were tried.

    """

    outputs: Optional[Outputs]
    reason: str
    may_be_probabilities: bool = True


def outputs_of(model: tf.keras.Model, shape: Shape, stated: Optional[Outputs]) -> Outputs:
    """Returns whether a built model's outputs are logits or probabilities of the data's labels.

    Inferred from the activation of its last layer, or else from its outputs for some inputs.

    Args:
        model: one that fits the data.
        shape: that of the data.
        stated: what the scenario states; None if nothing.

    Raises:
        ModelError: it can neither be inferred nor is it stated, or what is stated is wrong.

    """
    if shape.task.activation is None:
        return _of_numbers(model, shape, stated)
    inference = _by_last_layer(model, shape) or _by_values(model, shape)
    ending = f"{shape.task.activation} or in no activation"
    if shape.kind == "binary" and inference.reason.endswith("softmax"):
        raise ModelError(
            f"{inference.reason}, and a softmax of one output is always 1; end it in {ending}"
        )
    if stated is None and inference.outputs is None:
        words = "logits or probabilities" if inference.may_be_probabilities else "logits"
        raise ModelError(
            f"cannot know whether it gives logits or probabilities: {inference.reason}; end it in "
            f"{ending}, or say 'outputs: {words}'"
        )
    if stated == "probabilities" and not inference.may_be_probabilities:
        raise ModelError(
            f"got 'outputs: probabilities'; {inference.reason}; end it in {ending}, or say logits"
        )
    if inference.outputs is not None and stated not in (None, inference.outputs):
        raise ModelError(
            f"got 'outputs: {stated}'; {inference.reason}; leave outputs out, or say "
            f"{inference.outputs}"
        )
    return stated or cast("Outputs", inference.outputs)


def _of_numbers(model: tf.keras.Model, shape: Shape, stated: Optional[Outputs]) -> Outputs:
    """Returns what numbers are treated as: logits, to which nothing is done."""
    if stated == "probabilities":
        raise ModelError(
            "got 'outputs: probabilities'; the data has numbers to predict (task: regression); "
            "leave outputs out"
        )
    inference = _by_last_layer(model, shape)
    if inference and inference.reason.endswith("softmax"):
        raise ModelError(
            f"{inference.reason}, and a softmax of one output is always 1; end it in no activation"
        )
    return "logits"


def gives_logits(predictions: Any) -> bool:
    """Returns whether outputs, a tensor of a graph, are logits: of models with a loss of their own.

    Their last operation says it, as they end in no layer that could.
    """
    return _last_operation(predictions) not in ("Sigmoid", "Softmax")


def _by_last_layer(model: Any, shape: Shape) -> Optional[Inference]:
    """Infers from the activation of the last layer; None for most kinds of layers."""
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
        return Inference("logits", "its last layer has no activation", False)
    if activation is activations.softmax:
        return Inference("probabilities", "its last layer is a softmax")
    if activation is activations.sigmoid and shape.task.activation == "sigmoid":
        return Inference("probabilities", "its last layer is a sigmoid")
    return None


def _by_values(model: Any, shape: Shape) -> Inference:
    """Infers from the model's outputs for some inputs, and its last operation."""
    import tensorflow as tf

    spec = shape.spec()["x"]
    inference = Inference(None, "its outputs are not finite")
    try:
        traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
        last = _last_operation(traced.outputs[0])
        with contextlib.closing(_weight_variants(model)) as variants:
            for _ in variants:
                outputs = call_with_probe(
                    shape, lambda x: traced(tf.nest.map_structure(tf.constant, x))
                )
                values = outputs.numpy().astype(np.float64)
                if np.isfinite(values).all():
                    tolerance = _TOLERANCE_16_BITS if outputs.dtype.size == 2 else _TOLERANCE
                    inference = _infer(values, last, tolerance, shape)
                    if inference.outputs:
                        break
    except Exception as error:
        raise ModelError(refusal(shape, error)) from error
    return inference


def _infer(values: np.ndarray, last: str, tolerance: float, shape: Shape) -> Inference:
    """Infers from outputs, float64 (n, ..., classes), of which `last` is the last operation."""
    if values.min() < -tolerance or values.max() > 1 + tolerance:
        return Inference("logits", "for some inputs it gives values outside of [0, 1]", False)
    if shape.task.activation == "sigmoid":
        if last in ("Sigmoid", "Softmax"):
            return Inference("probabilities", f"it ends in {last.lower()}")
        return Inference(None, "its outputs are within [0, 1], as logits may be, too")
    if np.abs(values.sum(axis=-1) - 1).max() > tolerance:
        return Inference(None, "its output for an example does not sum to 1", False)
    rows = values.reshape(-1, values.shape[-1])
    if last == "Softmax" or np.ptp(rows, axis=0).max() > tolerance:
        return Inference("probabilities", "its output for an example sums to 1")
    return Inference(None, "its output is the same for all inputs")


def _weight_variants(model: Any) -> Generator[None, None, None]:
    """Yields with the model's weights, then with others, the same for all models of its shape.

    A new model may output zeros only, and what can be inferred must not be a matter of its luck.
    """
    yield
    weights = model.get_weights()
    try:
        for seed in range(_DRAWS):
            for sign in (1, -1):
                model.set_weights(_drawn_weights(model, weights, seed, sign))
                yield
    finally:
        model.set_weights(weights)


def _drawn_weights(
    model: Any, weights: Sequence[np.ndarray], seed: int, sign: int
) -> list[np.ndarray]:
    """Returns random weights like those of a model; with the other sign, their opposites."""
    rng = np.random.default_rng(seed)
    trained = {id(v) for v in model.trainable_variables}
    other: list[np.ndarray] = []
    for variable, value in zip(model.weights, weights):
        if np.issubdtype(value.dtype, np.floating):
            drawn = 2 * rng.normal(size=value.shape) / math.sqrt(math.prod(value.shape[:-1]))
            # Weights that are not trained may be variances.
            other.append(
                (sign * drawn if id(variable) in trained else abs(drawn)).astype(value.dtype)
            )
        else:
            other.append(value)
    return other


def _last_operation(tensor: Any) -> str:
    """Returns the type of the operation that computed a tensor, past those that pass it on."""
    while True:
        operation = tensor.op
        if operation.type in _PASS_THROUGH:
            tensor = operation.inputs[0]
        elif operation.type in _CALLS:
            function = operation.graph._get_function(operation.get_attr("f").name)
            if function is None:
                return operation.type
            tensor = function.graph.outputs[tensor.value_index]
        else:
            return operation.type
