"""Whether a built Keras model fits the data, and can be federated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.model import Shape, refusal

if TYPE_CHECKING:
    import tensorflow as tf

_T = TypeVar("_T")
_EXAMPLES = 16  # or fewer, so that large ones take no time
_NUMBERS = 100_000


def check_fit(model: tf.keras.Model, shape: Shape) -> None:
    """Checks what a built model takes, gives and trains.

    Raises:
        ModelError: it does not fit the data, trains nothing, or changes weights by itself.

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
        what = "all its layers are frozen" if model.variables else "it has no weights"
        raise ModelError(f"the model has nothing to train: {what}")
    _check_call(model, shape)


def check_new(model: Any, other: Any) -> None:
    """Checks that two models of two calls of one function are alike, and have nothing in common.

    Raises:
        ModelError: they share weights, or differ in shape.

    """
    shared = {id(part) for part in _parts(model)}
    if any(id(part) in shared for part in _parts(other)):
        raise ModelError(
            "the model function returns the same model, or the same layers, at each call; make "
            "new ones inside of it"
        )
    if model.built and other.built:
        one, two = ([tuple(w.shape) for w in m.weights] for m in (model, other))
        if one != two:
            raise ModelError(
                "the model function returns another model at each call: the shapes of the weights "
                f"were {one}, then {two}"
            )


def probe(shape: Shape) -> np.ndarray:
    """Examples of the data's shape and type, of several kinds, the same ones each time."""
    rng = np.random.default_rng(0)
    count = max(2, min(_EXAMPLES, _NUMBERS // max(1, math.prod(shape.input_shape))))
    size = (count, *shape.input_shape)
    if not np.issubdtype(np.dtype(shape.input_dtype), np.floating):  # no id is out of range
        return rng.integers(0, 2, size).astype(shape.input_dtype)
    scale = np.resize([0.1, 1.0, 10.0], count).reshape(-1, *[1] * len(shape.input_shape))
    return (rng.normal(size=size) * scale).astype(shape.input_dtype)


def tried(shape: Shape, call: Callable[[np.ndarray], _T]) -> _T:
    """What a call gives for `probe`, or for zeros where the model takes only some numbers."""
    import tensorflow as tf

    x = probe(shape)
    try:
        return call(x)
    except tf.errors.InvalidArgumentError:  # such as ids that are out of range
        return call(np.zeros_like(x))


def _parts(model: Any) -> list[Any]:
    """A model and its layers, those of them that have weights of their own."""
    return [
        part
        for part in (model, *model.submodules)
        if getattr(part, "_trainable_weights", ()) or getattr(part, "_non_trainable_weights", ())
    ]


def _check_input(model: Any, shape: Shape) -> None:
    inputs: Any = model.inputs or ()
    if len(inputs) > 1:
        raise ModelError(f"the model has {len(inputs)} inputs; the data has one")
    for taken in inputs:
        is_float = np.issubdtype(np.dtype(shape.input_dtype), np.floating)
        # Keras casts, and that may lose what makes the data.
        if taken.dtype.name == "string" or (is_float and not taken.dtype.is_floating):
            raise ModelError(
                f"the model takes examples of {taken.dtype.name}; the data has {shape.input_dtype}"
            )


def _output(model: Any, shape: Shape) -> Any:
    """The model's output for examples of the data: a tensor, symbolic where that says enough."""
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
                    f"{shape.input_shape}, which its function is given as input_shape"
                ) from error
            raise ModelError(refusal(shape, error)) from error
    if tf.nest.is_nested(output):
        raise ModelError(
            f"the model has {len(tf.nest.flatten(output))} outputs, as "
            f"{type(output).__name__}; one tensor is needed"
        )
    return output


def _check_call(model: Any, shape: Shape) -> None:
    """Checks that a call in training uses no weights but the model's, and changes none of them."""
    import tensorflow as tf

    layers = [part for part in model.submodules if isinstance(part, tf.keras.layers.Layer)]
    for layer in layers:
        # tf.compat.v1's: even when it is frozen it goes by the batch in training.
        if not getattr(layer, "_USE_V2_BEHAVIOR", True):
            raise ModelError(_normalizing(layer))
    fixed = model.non_trainable_variables
    if not fixed and all(_is_plain(layer) for layer in layers) and _is_plain(model):
        return
    before = [variable.numpy() for variable in fixed]
    try:
        with tf.GradientTape() as tape:
            tried(shape, lambda x: model(x, training=True))
    except Exception as error:
        raise ModelError(refusal(shape, error)) from error
    changed = [v for v, value in zip(fixed, before) if not np.array_equal(v.numpy(), value)]
    for variable, value in zip(fixed, before):
        variable.assign(value)
    if changed:
        raise ModelError(_changing(model, changed[0]))
    known = {id(variable) for variable in model.variables}
    for variable in tape.watched_variables():
        if id(variable) not in known:
            raise ModelError(
                f"the model uses {variable.name!r}, which is none of its weights, so nobody would "
                "train it; make it in a layer, and the layer an attribute in its __init__"
            )


def _is_plain(layer: Any) -> bool:
    """Whether it is one of Keras's layers that run no function of the user's or of TensorFlow."""
    kind = type(layer)
    is_operation = kind.__name__ in ("Lambda", "TFOpLambda", "SlicingOpLambda")
    return kind.__module__.startswith("keras.") and not is_operation


def _changing(model: Any, variable: Any) -> str:
    layer = next(
        (part for part in _parts(model)[::-1] if any(variable is w for w in part.weights)), model
    )
    if hasattr(layer, "_USE_V2_BEHAVIOR"):
        return _normalizing(layer)
    return (
        f"the layer {layer.name!r} changes its weight {variable.name!r} when it is called in "
        "training; it is not trained, so averaging clients leaves it as it began"
    )


def _normalizing(layer: Any) -> str:
    return (
        f"the layer {layer.name!r} is batch normalization: its moving averages are not trained, so "
        "averaging clients leaves them as they began; use tf.keras.layers.GroupNormalization, or "
        "freeze it if it is one of tf.keras.layers"
    )
