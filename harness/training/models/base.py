"""What a model is to the harness."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Callable, Literal, Optional

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from harness.data.datasets import TaskKind
from harness.errors import ModelError
from harness.registry import Registry
from harness.runtime.user_code import first_line
from harness.runtime.user_files import UserPath
from harness.settings import Section
from harness.training import tasks
from harness.training.models.dropout import seed_dropout

if TYPE_CHECKING:
    import tensorflow as tf

Outputs = Literal["logits", "probabilities"]

_BATCH = 1000
_OUTPUTS = 4_000_000  # numbers that a model gives for a batch, at most


class ModelSettings(Section):
    """What every model understands."""

    initial_weights: Annotated[
        Optional[UserPath],
        Field(description="A file of weights to begin with: .npz, .h5, .keras, .index."),
    ] = None

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written = write(self)
        if self.initial_weights is None:  # records have no line for what most models do without
            written.pop("initial_weights", None)
        return written


# A function gives a `tf.keras.Model`, a `tff.learning.models.FunctionalModel`, or a function that
# makes a `tff.learning.models.VariableModel`.
models: Registry[Callable[..., Any]] = Registry("model", ModelSettings)


@dataclass(frozen=True)
class Shape:
    """The data that a model has to fit.

    Attributes:
        input_shape: of one example.
        num_classes: number of labels, or of tags.
        kind: what the labels are.
        label_shape: of one example's labels; () for a single one.
        input_dtype: of examples.
        label_dtype: of labels.

    """

    input_shape: tuple[int, ...]
    num_classes: int
    kind: TaskKind = "label"
    label_shape: tuple[int, ...] = ()
    input_dtype: str = "float32"
    label_dtype: str = "int32"

    @property
    def task(self) -> tasks.Task:
        """What the labels ask of a model."""
        return tasks.of(self.kind)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of a model's output for one example."""
        return self.task.outputs(self.label_shape, self.num_classes)

    def spec(self) -> Any:
        """The types of a batch, `x` and `y`, as an ordered dict of `tf.TensorSpec`."""
        import tensorflow as tf

        return OrderedDict(
            x=tf.TensorSpec((None, *self.input_shape), self.input_dtype),
            y=tf.TensorSpec((None, *self.label_shape), self.label_dtype),
        )

    def batch(self) -> int:
        """Examples that are evaluated at a time, so that outputs take little memory."""
        return max(1, min(_BATCH, _OUTPUTS // math.prod(self.output_shape)))

    def check_outputs(self, given: Any) -> None:
        """Checks the shape of a model's outputs for a batch.

        Raises:
            ModelError: it is another than the data needs.
        """
        needed = (None, *self.output_shape)
        if tuple(given) != needed:
            each = f" for each of {self.label_shape[0]} positions" if self.kind == "tokens" else ""
            raise ModelError(
                f"the model gives outputs of shape {tuple(given)}; the data has "
                f"{self.num_classes} {'tags' if self.kind == 'tags' else 'labels'}{each}, so "
                f"{needed} is needed"
            )

    def activation(self, outputs: Outputs) -> Optional[str]:
        """The activation of the last layer; None for logits."""
        return self.task.activation if outputs == "probabilities" else None


def outputs(chosen: Section) -> Outputs:
    """Whether the chosen model ends in logits or in probabilities."""
    return getattr(chosen, "outputs", "logits")


def build(chosen: Section, shape: Shape) -> tf.keras.Model:
    """Builds the chosen model, one of Keras, and checks that it fits the data.

    Raises:
        ModelError: the model cannot be built, does not fit, or cannot be federated.

    """
    import tensorflow as tf

    model = models.entry(chosen).call(chosen, shape)
    if not isinstance(model, tf.keras.Model):
        raise ModelError(f"the model function gave {type(model).__name__}, not a tf.keras.Model")
    try:
        given = model.compute_output_shape((None, *shape.input_shape))
        if not model.built:
            model.build((None, *shape.input_shape))
    except Exception as bad:
        raise ModelError(
            f"the model does not take examples of shape {shape.input_shape}: {first_line(bad)}"
        ) from bad
    shape.check_outputs(given)
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            raise ModelError(
                f"the layer {layer.name!r} is batch normalisation: its moving averages are not "
                "trained, so averaging clients leaves them as they began; use "
                "tf.keras.layers.GroupNormalization"
            )
    seed_dropout(model)
    return model
