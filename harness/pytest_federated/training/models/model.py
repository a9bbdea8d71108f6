"""The interface of models, and how a scenario's model is built."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Protocol, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from pytest_federated.core.errors import FederatedError, ModelError
from pytest_federated.core.schema import Section, without_empty
from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.registry.registry import Registry, kind
from pytest_federated.registry.spec import Spec
from pytest_federated.training.models import keras_settings
from pytest_federated.training.models.random_layers import draw_from_keys, drawing_from_keys
from pytest_federated.training.tasks.task import Task
from pytest_federated.training.tasks.task import of as task_of
from pytest_federated.user.files import UserPath
from pytest_federated.user.functions import blamed

if TYPE_CHECKING:
    import tensorflow as tf

Outputs = Literal["logits", "probabilities"]

# Limits of a batch in evaluation: examples, and numbers in their outputs.
_MAX_EXAMPLES = 1000
_MAX_OUTPUTS = 4_000_000


class ModelSettings(Section):
    """The keys that every model has."""

    initial_weights: Annotated[
        Optional[UserPath],
        Field(
            description="A file of weights to begin with: .npz, .h5, .keras, .index. {seed} in its "
            "name stands for the seed."
        ),
    ] = None

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(self, write, "initial_weights")


@dataclass(frozen=True)
class Shape:
    """The shapes and types of the data that a model has to fit.

    Attributes:
        input_shape: of one example.
        num_classes: number of labels, or of tags; 1 for numbers.
        kind: what the labels are.
        label_shape: of one example's labels; () for a single one.
        input_dtype: of examples.
        label_dtype: of labels.
        inputs: of examples with several inputs, the shape and the type of each, by its name;
            `input_shape` and `input_dtype` are empty then.

    """

    input_shape: tuple[int, ...]
    num_classes: int
    kind: TaskKind = "label"
    label_shape: tuple[int, ...] = ()
    input_dtype: str = "float32"
    label_dtype: str = "int32"
    inputs: Mapping[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)

    @property
    def shape_of_inputs(self) -> Any:
        """The shape of an example, or of each of its inputs by name."""
        if not self.inputs:
            return self.input_shape
        return {name: shape for name, (shape, _) in self.inputs.items()}

    @property
    def task(self) -> Task:
        """The task that the labels set."""
        return task_of(self.kind)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of a model's output for one example."""
        return self.task.outputs(self.label_shape, self.num_classes)

    @property
    def units(self) -> int:
        """The width of a model's last layer."""
        return self.output_shape[-1]

    def spec(self) -> Any:
        """Returns the types of a batch, `x` and `y`, as an ordered dict of `tf.TensorSpec`."""
        import tensorflow as tf

        x: Any = OrderedDict(
            (name, tf.TensorSpec((None, *shape), dtype))
            for name, (shape, dtype) in self.inputs.items()
        )
        return OrderedDict(
            x=x or tf.TensorSpec((None, *self.input_shape), self.input_dtype),
            y=tf.TensorSpec((None, *self.label_shape), self.label_dtype),
        )

    def zeros(self, count: int) -> Any:
        """Returns so many examples of zeros, as models take them."""
        import tensorflow as tf

        return tf.nest.map_structure(
            lambda spec: tf.zeros((count, *spec.shape[1:]), spec.dtype), self.spec()["x"]
        )

    def batch(self) -> int:
        """Returns how many examples to evaluate at a time, so that outputs take little memory."""
        return max(1, min(_MAX_EXAMPLES, _MAX_OUTPUTS // math.prod(self.output_shape)))

    def check_outputs(self, actual: Any) -> None:
        """Checks the shape of a model's outputs for a batch.

        Raises:
            ModelError: it is not the one that the data needs.
        """
        needed = (None, *self.output_shape)
        if self.kind == "label" and self.num_classes == 1 and tuple(actual) == needed:
            raise ModelError(
                "the data has one label only, so there is nothing to learn; for numbers, say "
                "data.dataset.task: regression"
            )
        if tuple(actual) != needed:
            each = f" for each of {self.label_shape[0]} positions" if self.kind == "tokens" else ""
            labels = "tags" if self.kind == "tags" else "labels"
            has = f"{self.num_classes} {labels}{each}"
            if self.kind in ("binary", "regression"):
                has = f"one {'label of two' if self.kind == 'binary' else 'number'} to predict"
            remedy = ""
            if self.kind == "label" and tuple(actual) == (None, 1):
                tasks = "regression"
                if self.num_classes == 2:
                    tasks = "binary, or regression for numbers"
                remedy = f"; with one output, say data.dataset.task: {tasks}"
            raise ModelError(
                f"the model gives outputs of shape {tuple(actual)}; the data has {has}, so "
                f"{needed} is needed{remedy}"
            )

    def activation(self, outputs: Outputs) -> Optional[str]:
        """Returns the activation of the last layer; None for logits."""
        return self.task.activation if outputs == "probabilities" else None


@dataclass(frozen=True)
class ModelSpec(Spec):
    """The traits of a model.

    Attributes:
        has_own_loss: whether the loss that it is trained with is part of it.

    """

    has_own_loss: bool = False


class MakesModel(Protocol):
    """Makes a model that fits the data."""

    def __call__(self, shape: Shape, /, *args: Any, **keys: Any) -> Any:
        """Returns a `tf.keras.Model`, a `tff.learning.models.FunctionalModel`, or a function that
        makes a `tff.learning.models.VariableModel`.
        """
        ...


models = Registry(
    "model",
    MakesModel,
    ModelSpec,
    ModelSettings,
    plural="models",
    package=__package__,
    error=ModelError,
)


def stated_outputs(settings: Section) -> Optional[Outputs]:
    """Returns what the scenario states about a Keras model's outputs; None if nothing."""
    stated = getattr(settings, "outputs", None)
    return stated if stated in get_args(Outputs) else None


def is_user_model(settings: Section) -> bool:
    """Returns whether a model comes from a user's function that the scenario names."""
    return hasattr(settings, kind(settings))


def named(settings: Section) -> str:
    """Returns a model as messages name it: its key, and the user's function if it is one."""
    function = getattr(settings, kind(settings), None)
    return f"model.{kind(settings)}: {function}" if function else f"model: {kind(settings)}"


def make(settings: Section, shape: Shape) -> Any:
    """Returns a new model, of whichever kind the model's function makes.

    Raises:
        ModelError: the function raises.

    """
    with keras_settings.preserved():
        return _call(settings, shape)


def build(settings: Section, shape: Shape) -> tf.keras.Model:
    """Builds a Keras model with its weights; `keras_checks.check_fit` checks the rest.

    Raises:
        ModelError: the model cannot be built.

    """
    import tensorflow as tf

    with keras_settings.preserved(), drawing_from_keys():
        model = _call(settings, shape)
        if not isinstance(model, tf.keras.Model):
            raise ModelError(
                f"the model function gave {type(model).__name__}, not a tf.keras.Model"
            )
        try:
            model = _with_weights(model, shape)
        except Exception as error:
            raise ModelError(refusal(shape, error)) from error
    draw_from_keys(model)
    return model


def _call(settings: Section, shape: Shape) -> Any:
    try:
        return models.entry(settings).call(settings, shape)
    except FederatedError:
        raise
    except Exception as error:
        raise ModelError(f"{named(settings)} raised {blamed(error)}") from error


def refusal(shape: Shape, error: BaseException) -> str:
    """Returns the message that a model does not take the data, with the error it raised."""
    form = f"shape {shape.input_shape}, {shape.input_dtype}"
    if shape.inputs:
        form = f"the inputs {shape.shape_of_inputs}"
    return f"the model does not take examples of {form}: {blamed(error)}"


def _with_weights(model: tf.keras.Model, shape: Shape) -> tf.keras.Model:
    """Returns the model with its weights created, by its known input or by a first call."""
    import tensorflow as tf

    model._is_compiled = False  # TFF refuses others; loss and optimizer are the scenario's
    if getattr(model, "inputs", None):
        return model
    if type(model) is tf.keras.Sequential and not shape.inputs:
        return tf.keras.Sequential([tf.keras.Input(shape.input_shape), *model.layers], model.name)
    model(shape.zeros(1))
    return model
