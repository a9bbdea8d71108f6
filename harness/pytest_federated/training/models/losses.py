"""The loss of Keras models: the task's own, one of Keras' by name, or a user's function."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Literal, NamedTuple, Optional, Union

import numpy as np

from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.core.suggestions import suggest
from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.models.keras_checks import check_operations, operations_in
from pytest_federated.training.models.keras_settings import load_with_settings
from pytest_federated.training.models.model import Shape
from pytest_federated.training.tasks.metrics import keras_loss
from pytest_federated.user.functions import blamed, require

if TYPE_CHECKING:
    import tensorflow as tf

LossName = Literal[
    "bce",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "hinge",
    "huber",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]
ClassWeights = Union[Literal["balanced"], dict[str, float]]

_BINARY: tuple[LossName, ...] = ("binary_crossentropy", "bce", "binary_focal_crossentropy")
_FOR_TASK: Mapping[TaskKind, tuple[LossName, ...]] = {
    "label": (
        "sparse_categorical_crossentropy",
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_hinge",
    ),
    "binary": (*_BINARY, "hinge", "squared_hinge"),
    "tags": _BINARY,
    "tokens": ("sparse_categorical_crossentropy",),
    "regression": (
        *("mean_squared_error", "mse", "mean_absolute_error", "mae", "huber"),
        *("log_cosh", "logcosh", "mean_absolute_percentage_error", "mape"),
        *("mean_squared_logarithmic_error", "msle", "poisson"),
    ),
}
LOSS_NAMES = sorted({name for names in _FOR_TASK.values() for name in names})
WEIGHTED_TASKS: tuple[TaskKind, ...] = ("label", "binary")
_OWN_FUNCTION = 'or your own, "module:function"'


@dataclass(frozen=True)
class LossSettings:
    """What a scenario says about the loss of its model.

    Attributes:
        name: one of Keras' losses, or ``"module:function"``; None for the loss of the task.
        class_weights: of each label, in order; empty if all are 1.

    """

    name: Optional[str] = None
    class_weights: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return self != TASK_LOSS


TASK_LOSS = LossSettings()


class Losses(NamedTuple):
    """The loss that clients train with, and the one that is measured on held-out examples.

    Both are functions of (labels, outputs) that return the mean loss of a batch. Class weights are
    part of the former only, as in Keras.
    """

    training: tf.keras.losses.Loss
    evaluation: tf.keras.losses.Loss


def unknown_loss(name: str) -> Optional[str]:
    """Returns why there is no loss of that name; None for a known one and for a function."""
    if ":" in name or name in LOSS_NAMES:
        return None
    return suggest(name, [*LOSS_NAMES, _OWN_FUNCTION])


def unfit_loss(name: Optional[str], task: TaskKind) -> Optional[str]:
    """Returns why a loss is not for a task; None if it is."""
    if name is None or ":" in name or name in _FOR_TASK[task]:
        return None
    allowed = ", ".join(_FOR_TASK[task])
    return f"not for data with the task {task}; allowed: {allowed}, {_OWN_FUNCTION}"


def unfit_class_weights(task: TaskKind) -> Optional[str]:
    """Returns why examples of a task have no class weights; None if they have."""
    if task in WEIGHTED_TASKS:
        return None
    return f"weights are for examples of one label (label, binary); the data has the task {task}"


def weights_of_classes(chosen: Optional[ClassWeights], data: FederatedData) -> tuple[float, ...]:
    """Returns the weight of each label, in order; empty if the scenario weighs none.

    ``balanced`` is that of scikit-learn's `compute_class_weight`: examples / (labels * examples of
    the label), over the examples that all clients train on. Labels that are not named weigh 1.

    Raises:
        DataError: the task has no class weights, or the data has no label of a name.

    """
    if chosen is None:
        return ()
    key = "training.class_weights"
    if reason := unfit_class_weights(data.task):
        raise DataError(f"{key}: {reason}")
    if chosen == "balanced":
        counts = data.label_counts.sum(axis=0)
        present = np.count_nonzero(counts)
        return tuple(float(counts.sum() / (present * n)) if n else 1.0 for n in counts)
    names = list(data.label_names) or [str(label) for label in range(data.num_classes)]
    assert isinstance(chosen, dict)
    for name in chosen:
        if name not in names:
            raise DataError(f"{key}: got {name!r}; no such label; {suggest(name, names)}")
    weights = tuple(chosen.get(name, 1.0) for name in names)
    if not any(weights):
        raise DataError(f"{key}: all labels weigh 0, so there is nothing to learn")
    return weights


def losses_of(settings: LossSettings, shape: Shape, are_logits: bool) -> Losses:
    """Returns the losses of a Keras model.

    Raises:
        ModelError: the loss does not fit the task or the model's outputs, or the user's function
            cannot be imported, raises, or gives something else than losses.

    """
    task_loss = keras_loss(shape.task, are_logits)
    if not settings:
        return Losses(task_loss, task_loss)
    if reason := unfit_loss(settings.name, shape.kind):
        raise ModelError(f"training.loss: got {settings.name!r}; {reason}")
    if settings.name in ("hinge", "squared_hinge") and not are_logits:
        raise ModelError(
            f"training.loss: got {settings.name!r}; it is for outputs from minus to plus infinity, "
            "and the model gives probabilities; leave out the sigmoid"
        )
    if shape.kind == "tokens" and settings.name in _FOR_TASK["tokens"]:
        return Losses(task_loss, task_loss)
    if settings.name is not None and ":" in settings.name:
        function = _own(settings.name, shape, are_logits, bool(settings.class_weights))
    else:
        function = _of_keras(settings.name or _FOR_TASK[shape.kind][0], shape, are_logits)
    evaluation = task_loss if settings.name is None else _loss(function, shape)
    return Losses(_loss(function, shape, settings.class_weights), evaluation)


def _loss(
    function: Callable[..., Any], shape: Shape, class_weights: tuple[float, ...] = ()
) -> tf.keras.losses.Loss:
    """Returns a Keras loss of a function of (labels, outputs) that gives each example's loss.

    It is the mean of a batch; with class weights the sum of the weighted losses divided by the
    number of examples, as in Keras' `fit`.
    """
    of_examples, of_positions = _loss_classes()
    made = of_positions if shape.kind == "tokens" else of_examples
    return made(function, shape, class_weights)


@lru_cache(maxsize=1)
def _loss_classes() -> tuple[Any, Any]:
    """Returns the classes of losses, once, as TensorFlow keeps every class that it has seen."""
    import tensorflow as tf

    class ChosenLoss(tf.keras.losses.Loss):
        def __init__(
            self, function: Callable[..., Any], shape: Shape, class_weights: tuple[float, ...]
        ) -> None:
            super().__init__()
            self._function, self._shape, self._class_weights = function, shape, class_weights

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self._function(_targets(y_true, self._shape), tf.cast(y_pred, tf.float32))

        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            if self._class_weights:
                of_labels = tf.constant(self._class_weights, tf.float32)
                sample_weight = tf.gather(of_labels, tf.cast(y_true, tf.int32))
            return super().__call__(y_true, y_pred, sample_weight)

    class LossOfPositions(ChosenLoss):
        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            losses = self.call(y_true, y_pred)
            real = tf.cast(tf.convert_to_tensor(y_true) >= 0, losses.dtype)
            return tf.math.divide_no_nan(tf.reduce_sum(losses * real), tf.reduce_sum(real))

    return ChosenLoss, LossOfPositions


def _targets(y: Any, shape: Shape) -> Any:
    """Returns labels as loss functions take them: int32, or float32 if they are like the outputs.

    Padding is 0. Where a model has one output, labels have its shape: otherwise their difference
    would be one of each label and each output.
    """
    import tensorflow as tf

    if shape.kind in ("label", "tokens"):  # Keras' metrics hand them over as floats
        return tf.maximum(tf.cast(y, tf.int32), 0)
    y = tf.cast(y, tf.float32)
    return y if shape.kind == "tags" else y[:, tf.newaxis]


def _of_keras(name: str, shape: Shape, are_logits: bool) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    function: Any = tf.keras.losses.get(name)
    takes_logits = "from_logits" in inspect.signature(function).parameters
    keys = {"from_logits": are_logits} if takes_logits else {}
    is_sparse = shape.kind != "label" or name == "sparse_categorical_crossentropy"

    def losses(y: Any, outputs: Any) -> Any:
        return function(y if is_sparse else tf.one_hot(y, shape.num_classes), outputs, **keys)

    return losses


def _own(
    reference: str, shape: Shape, are_logits: bool, is_weighted: bool
) -> Callable[[Any, Any], Any]:
    """Returns a user's loss function, after a trial with made-up labels and outputs."""
    import tensorflow as tf

    what = f"training.loss: {reference}"
    function = load_with_settings(lambda: require(reference, "training.loss", ModelError))
    labels, outputs = (tf.constant(values) for values in _trial(shape, are_logits))

    seen: list[Any] = []

    def trial(y: Any, predictions: Any) -> Any:
        losses = function(_targets(y, shape), predictions)
        seen[:] = [losses, tf.is_tensor(losses) and tf.gradients(losses, predictions)[0]]
        return losses

    try:
        traced = tf.function(trial).get_concrete_function(labels, outputs)
        traced(labels, outputs)
    except Exception as error:
        raise ModelError(f"{what} raised {blamed(error)}") from error
    losses, gradient = seen
    if not tf.is_tensor(losses):
        raise ModelError(f"{what} gave {type(losses).__name__}; a tensor is needed")
    shapes = [tuple(labels.shape if shape.kind == "tokens" else labels.shape[:1])]
    if shape.kind != "tokens" and not is_weighted:
        shapes.append(())
    if tuple(losses.shape) not in shapes or not losses.dtype.is_floating:
        reason = ", as class weights need them" if is_weighted else ""
        mean = ", or () for their mean," if len(shapes) > 1 else ""
        raise ModelError(
            f"{what} gave {losses.dtype.name} {tuple(losses.shape)} for labels of shape "
            f"{tuple(labels.shape)} and outputs of {tuple(outputs.shape)}; losses of shape "
            f"{shapes[0]}{mean} are needed{reason}"
        )
    if gradient is None:
        raise ModelError(f"{what} does not depend on the model's outputs, so nothing is learnt")
    check_operations(operations_in(traced.graph), what)
    return function


def _trial(shape: Shape, are_logits: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels and outputs of some examples, in a number that no other length equals."""
    count = max(*shape.output_shape, *shape.label_shape, 1) + 2
    rng = np.random.default_rng(0)
    size = (count, *shape.label_shape)
    most = 2 if shape.kind in ("binary", "tags") else shape.num_classes
    labels = rng.normal(size=size) if shape.kind == "regression" else rng.integers(0, most, size)
    outputs = rng.normal(size=(count, *shape.output_shape))
    if not are_logits:
        outputs = np.exp(outputs)
        is_softmax = shape.task.activation == "softmax"
        outputs /= outputs.sum(axis=-1, keepdims=True) if is_softmax else 1 + outputs
    return labels.astype(shape.label_dtype), outputs.astype(np.float32)
