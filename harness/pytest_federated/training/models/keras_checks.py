"""Checks that a built Keras model fits the data and can be federated."""

from __future__ import annotations

import linecache
import math
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.model import Shape, refusal
from pytest_federated.training.models.random_layers import drawing_from, layers_of
from pytest_federated.user.functions import blamed, user_line_of

if TYPE_CHECKING:
    import tensorflow as tf

_T = TypeVar("_T")
# Limits of a probe, so that large examples take little time.
_MAX_EXAMPLES = 16
_MAX_NUMBERS = 100_000
# Operations that draw random numbers from a state of their own.
_DRAWS = re.compile(
    "Random|Uniform|StandardNormal|TruncatedNormal|Multinomial|NonDeterministic|DistortedBounding"
    "|CandidateSampler|Rng"
)


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


def check_random(model: Any, build: Callable[[], Any], shape: Shape) -> bool:
    """Checks that all random numbers that a built model draws follow from keys of steps.

    Args:
        model: the model.
        build: makes the same model again.
        shape: that of the data.

    Returns:
        Whether it draws any in training.

    Raises:
        ModelError: it draws others, or calls Python, which TFF's worker cannot.

    """
    has_own_code = _has_own_code(model)
    if not has_own_code and not any(hasattr(x, "_random_generator") for x in layers_of(model)):
        return False
    traces = [_trace(model, shape, training) for training in (True, False)]
    check_operations((o for operations, _ in traces for o in operations), "the model")
    if has_own_code:
        again = _trace(build(), shape, training=True)[0]
        constants, others = _constants(traces[0][0]), _constants(again)
        for (operation, one), (_, other) in zip(constants, others):
            # Of graphs that differ in more, the values say nothing.
            if len(constants) == len(others) and one != other:
                raise ModelError(
                    "the model has other constants at each call of its function: it draws random "
                    f"numbers that no seed decides, or counts: {_origin(operation)}; draw them "
                    "in a random layer of Keras, such as Dropout or GaussianNoise"
                )
    return traces[0][1] > 0


def check_operations(operations: Iterable[Any], what: str) -> None:
    """Checks operations of a graph, those of the model or of another function of the user.

    Raises:
        ModelError: they draw random numbers from a state of their own, or call Python.

    """
    for operation in operations:
        if not operation.op_def.is_stateful:
            continue
        if _DRAWS.search(operation.type):
            raise ModelError(
                f"{what} draws random numbers that no seed decides: {_origin(operation)}; draw "
                "them in a random layer of Keras, such as Dropout or GaussianNoise, or by "
                "tf.random.stateless_* from a seed of your own"
            )
        if operation.type in ("PyFunc", "EagerPyFunc"):
            raise ModelError(
                f"{what} calls Python, which TFF's worker process cannot: {_origin(operation)}"
            )


def _trace(model: Any, shape: Shape, training: bool) -> tuple[list[Any], int]:
    """Returns the operations of a call of the model, and how many draws it makes from its key."""
    import tensorflow as tf

    counts = []

    def call(x: Any, key: Any) -> Any:
        with drawing_from(key) as draws:
            outputs = model(x, training=training)
        counts.append(draws.count)
        return outputs

    try:
        key = tf.TensorSpec((2,), tf.int32)
        traced = tf.function(call).get_concrete_function(shape.spec()["x"], key)
    except Exception as error:
        raise ModelError(f"calling the model raised {blamed(error)}") from error
    return list(operations_in(traced.graph)), counts[-1]


def operations_in(graph: Any) -> Iterator[Any]:
    """Yields the operations of a graph, and of the functions that they call."""
    for operation in graph.get_operations():
        yield operation
        for value in operation.node_def.attr.values():
            for function in (value.func, *value.list.func):
                called = function.name and graph._get_function(function.name)
                if called and getattr(called, "graph", None) is not None:
                    yield from operations_in(called.graph)


def _constants(operations: list[Any]) -> list[tuple[Any, bytes]]:
    """Returns the constants of floats among operations, with their values."""
    return [
        (o, o.node_def.attr["value"].tensor.SerializeToString())
        for o in operations
        if o.type == "Const" and o.outputs[0].dtype.is_floating
    ]


def _origin(operation: Any) -> str:
    """Returns the kind of an operation, and the user's line that made it."""
    line = user_line_of((f.filename, f.lineno, f.line) for f in operation.traceback or ())
    if not line:
        return f"{operation.type}, {operation.name!r}"
    text = linecache.getline(line[0], line[1]).strip()  # TensorFlow's tracebacks have no text
    where = f" in line {line[1]} of {line[0]}: {text}"
    return f"{operation.type}{where}"


def probe(shape: Shape) -> Any:
    """Returns examples of the data's shape and type and of several scales, always the same."""
    rng = np.random.default_rng(0)
    forms = {**shape.inputs} or {"": (shape.input_shape, shape.input_dtype)}
    numbers = max(1, *(math.prod(form) for form, _ in forms.values()))
    count = max(2, min(_MAX_EXAMPLES, _MAX_NUMBERS // numbers))
    drawn = {name: _drawn((count, *form), dtype, rng) for name, (form, dtype) in forms.items()}
    return drawn if shape.inputs else drawn[""]


def _drawn(size: tuple[int, ...], dtype: str, rng: np.random.Generator) -> np.ndarray:
    if not np.issubdtype(np.dtype(dtype), np.floating):  # ids that any vocabulary has
        return rng.integers(0, 2, size).astype(dtype)
    scale = np.resize([0.1, 1.0, 10.0], size[0]).reshape(-1, *[1] * (len(size) - 1))
    return (rng.normal(size=size) * scale).astype(dtype)


def call_with_probe(shape: Shape, call: Callable[[Any], _T]) -> _T:
    """Returns the result of a call on `probe`, or on zeros where it rejects some numbers."""
    import tensorflow as tf

    x = probe(shape)
    try:
        return call(x)
    except tf.errors.InvalidArgumentError:  # such as ids that are out of range
        return call(tf.nest.map_structure(np.zeros_like, x))


def _weight_owners(model: Any) -> list[Any]:
    """Returns those of a model and its layers that have weights of their own."""
    return [
        owner
        for owner in (model, *layers_of(model))
        if getattr(owner, "_trainable_weights", ()) or getattr(owner, "_non_trainable_weights", ())
    ]


def _check_input(model: Any, shape: Shape) -> None:
    inputs: Any = model.inputs or ()
    dtypes = [shape.input_dtype] * len(inputs)
    if shape.inputs and inputs:
        # Keras would take inputs of other names in alphabetical order, without a word.
        names = sorted(model._nested_inputs) if _takes_dict(model) else model.input_names
        if {*names} != {*shape.inputs}:
            raise ModelError(
                f"the model has the inputs {', '.join(names)}; the data has "
                f"{', '.join(shape.inputs)}; name them alike: tf.keras.Input(shape, name=...)"
            )
        dtypes = [shape.inputs[name][1] for name in names]
    elif len(inputs) > 1:
        raise ModelError(
            f"the model has {len(inputs)} inputs; the data has one, which data.dataset.features of "
            "a table, or a data set of your own, can divide"
        )
    for model_input, data_dtype in zip(inputs, dtypes):
        is_float = np.issubdtype(np.dtype(data_dtype), np.floating)
        # Keras would cast the data without a word, and may lose information.
        dtype = model_input.dtype
        if dtype.name == "string" or (is_float and not dtype.is_floating):
            raise ModelError(f"the model takes examples of {dtype.name}; the data has {data_dtype}")


def _takes_dict(model: Any) -> bool:
    """Returns whether a model was made with a dict of inputs, whose keys name them."""
    return isinstance(getattr(model, "_nested_inputs", None), dict)


def _output(model: Any, shape: Shape) -> Any:
    """Returns the model's output for the data: a tensor, symbolic where that has a known shape."""
    import tensorflow as tf

    needed = (None, *shape.input_shape)
    is_known = model.inputs and not shape.inputs and model.input_shape == needed
    output = model.output if is_known else None
    if output is None or not (tf.nest.is_nested(output) or output.shape[1:].is_fully_defined()):
        try:
            output = model(shape.zeros(2), training=False)
        except Exception as error:
            if (
                model.inputs
                and not shape.inputs
                and not tf.TensorShape(model.input_shape).is_compatible_with(needed)
            ):
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

    layers = layers_of(model)
    for layer in layers:
        # Of tf.compat.v1: it normalizes by the batch in training even when frozen.
        if not getattr(layer, "_USE_V2_BEHAVIOR", True):
            raise ModelError(_batch_normalization_message(layer))
    fixed = model.non_trainable_variables
    if not fixed and not _has_own_code(model):
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


def _has_own_code(model: Any) -> bool:
    """Returns whether a model calls functions that are not those of Keras' layers."""
    return not all(_is_builtin(layer) for layer in (model, *layers_of(model)))


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
