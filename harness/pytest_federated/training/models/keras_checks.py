"""Checks that a built Keras model fits the data and can be federated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.model import Shape, refusal

if TYPE_CHECKING:
    import tensorflow as tf

_T = TypeVar("_T")
# Limits of a probe, so that large examples take little time.
_MAX_EXAMPLES = 16
_MAX_NUMBERS = 100_000


def check_fit(model: tf.keras.Model, shape: Shape) -> None:
    """Checks a built model's inputs, outputs and weights.

    Raises:
        ModelError: it does not fit the data, has nothing to train, or changes weights when called.

    """
    _check_input(model, shape)
    output = _output(model, shape)
    shape.check_outputs((None, *output.shape[1:]))
    if not output.dtype.is_floating:
        raise ModelError(
            f"the model gives outputs of {output.dtype.name}, which have no gradient; end it in "
            "logits or probabilities"
        )
    if not model.trainable_variables:
        reason = "all its layers are frozen" if model.variables else "it has no weights"
        raise ModelError(f"the model has nothing to train: {reason}")
    _check_call(model, shape)


def check_independent(model: Any, other: Any) -> None:
    """Checks that the models of two calls of one function are alike but share no weights.

    Raises:
        ModelError: they share weights, or the shapes of these differ.

    """
    owners = {id(owner) for owner in _weight_owners(model)}
    if any(id(owner) in owners for owner in _weight_owners(other)):
        raise ModelError(
            "the model function returns the same model, or the same layers, at each call; make "
            "new ones inside of it"
        )
    if model.built and other.built:
        shapes, other_shapes = ([tuple(w.shape) for w in m.weights] for m in (model, other))
        if shapes != other_shapes:
            raise ModelError(
                "the model function returns another model at each call: the shapes of the weights "
                f"were {shapes}, then {other_shapes}"
            )


def probe(shape: Shape) -> np.ndarray:
    """Returns examples of the data's shape and type and of several scales, always the same."""
    rng = np.random.default_rng(0)
    count = max(2, min(_MAX_EXAMPLES, _MAX_NUMBERS // max(1, math.prod(shape.input_shape))))
    size = (count, *shape.input_shape)
    if not np.issubdtype(np.dtype(shape.input_dtype), np.floating):  # ids that any vocabulary has
        return rng.integers(0, 2, size).astype(shape.input_dtype)
    scale = np.resize([0.1, 1.0, 10.0], count).reshape(-1, *[1] * len(shape.input_shape))
    return (rng.normal(size=size) * scale).astype(shape.input_dtype)


def call_with_probe(shape: Shape, call: Callable[[np.ndarray], _T]) -> _T:
    """Returns the result of a call on `probe`, or on zeros where it rejects some numbers."""
    import tensorflow as tf

    x = probe(shape)
    try:
        return call(x)
    except tf.errors.InvalidArgumentError:  # such as ids that are out of range
        return call(np.zeros_like(x))


def _weight_owners(model: Any) -> list[Any]:
    """Returns those of a model and its layers that have weights of their own."""
    return [
        owner
        for owner in (model, *model.submodules)
        if getattr(owner, "_trainable_weights", ()) or getattr(owner, "_non_trainable_weights", ())
    ]


def _check_input(model: Any, shape: Shape) -> None:
    inputs: Any = model.inputs or ()
    if len(inputs) > 1:
        raise ModelError(f"the model has {len(inputs)} inputs; the data has one")
    for model_input in inputs:
        is_float = np.issubdtype(np.dtype(shape.input_dtype), np.floating)
        # Keras would cast the data without a word, and may lose information.
        dtype = model_input.dtype
        if dtype.name == "string" or (is_float and not dtype.is_floating):
            raise ModelError(
                f"the model takes examples of {dtype.name}; the data has {shape.input_dtype}"
            )


def _output(model: Any, shape: Shape) -> Any:
    """Returns the model's output for the data: a tensor, symbolic where that has a known shape."""
    import tensorflow as tf

    needed = (None, *shape.input_shape)
    output = model.output if model.inputs and model.input_shape == needed else None
    if output is None or not (tf.nest.is_nested(output) or output.shape[1:].is_fully_defined()):
        try:
            output = model(tf.zeros((2, *shape.input_shape), shape.input_dtype), training=False)
        except Exception as error:
            if model.inputs and not tf.TensorShape(model.input_shape).is_compatible_with(needed):
                raise ModelError(
                    f"the model takes examples of shape {model.input_shape[1:]}; the data has "
                    f"{shape.input_shape}, which its function is passed as input_shape"
                ) from error
            raise ModelError(refusal(shape, error)) from error
    if tf.nest.is_nested(output):
        raise ModelError(
            f"the model has {len(tf.nest.flatten(output))} outputs, as "
            f"{type(output).__name__}; one tensor is needed"
        )
    return output


def _check_call(model: Any, shape: Shape) -> None:
    """Checks that a call in training uses the model's weights only, and changes none of them."""
    import tensorflow as tf

    layers = [m for m in model.submodules if isinstance(m, tf.keras.layers.Layer)]
    for layer in layers:
        # Of tf.compat.v1: it normalizes by the batch in training even when frozen.
        if not getattr(layer, "_USE_V2_BEHAVIOR", True):
            raise ModelError(_batch_normalization_message(layer))
    fixed = model.non_trainable_variables
    if not fixed and all(_is_builtin(layer) for layer in layers) and _is_builtin(model):
        return
    before = [variable.numpy() for variable in fixed]
    try:
        with tf.GradientTape() as tape:
            call_with_probe(shape, lambda x: model(x, training=True))
    except Exception as error:
        raise ModelError(refusal(shape, error)) from error
    changed = [v for v, value in zip(fixed, before) if not np.array_equal(v.numpy(), value)]
    for variable, value in zip(fixed, before):
        variable.assign(value)
    if changed:
        raise ModelError(_changed_weight_message(model, changed[0]))
    weights = {id(variable) for variable in model.variables}
    for variable in tape.watched_variables():
        if id(variable) not in weights:
            raise ModelError(
                f"the model uses {variable.name!r}, which is not one of its weights, so it would "
                "not be trained; create it in a layer that is an attribute, set in __init__"
            )


def _is_builtin(layer: Any) -> bool:
    """Returns whether a layer is Keras's own and wraps no function of the user or TensorFlow."""
    kind = type(layer)
    is_operation = kind.__name__ in ("Lambda", "TFOpLambda", "SlicingOpLambda")
    return kind.__module__.startswith("keras.") and not is_operation


def _changed_weight_message(model: Any, variable: Any) -> str:
    owners = reversed(_weight_owners(model))
    layer = next((o for o in owners if any(variable is w for w in o.weights)), model)
    if hasattr(layer, "_USE_V2_BEHAVIOR"):
        return _batch_normalization_message(layer)
    return (
        f"the layer {layer.name!r} changes its weight {variable.name!r} when it is called in "
        "training; it is not trained, so averaging clients leaves it as it began"
    )


def _batch_normalization_message(layer: Any) -> str:
    return (
        f"the layer {layer.name!r} is batch normalization: its moving averages are not trained, so "
        "averaging clients leaves them as they began; use tf.keras.layers.GroupNormalization, or "
        "freeze it if it is one of tf.keras.layers"
    )
