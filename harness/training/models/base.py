"""What a model is to the harness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Literal, Optional

from harness.data.datasets import TaskKind
from harness.errors import ModelError
from harness.registry import Registry
from harness.runtime.user_code import first_line
from harness.settings import Section
from harness.training import tasks

if TYPE_CHECKING:
    import tensorflow as tf

Outputs = Literal["logits", "probabilities"]

models: Registry[Callable[..., tf.keras.Model]] = Registry("model")


@dataclass(frozen=True)
class Shape:
    """The data that a model has to fit.

    Attributes:
        input_shape: of one example.
        num_classes: number of labels, or of tags.
        kind: what the labels are.
        label_shape: of one example's labels; () for a single one.

    """

    input_shape: tuple[int, ...]
    num_classes: int
    kind: TaskKind = "label"
    label_shape: tuple[int, ...] = ()

    @property
    def task(self) -> tasks.Task:
        """What the labels ask of a model."""
        return tasks.of(self.kind)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of a model's output for one example."""
        return self.task.outputs(self.label_shape, self.num_classes)

    def activation(self, outputs: Outputs) -> Optional[str]:
        """The activation of the last layer; None for logits."""
        return self.task.activation if outputs == "probabilities" else None


def outputs(chosen: Section) -> Outputs:
    """Whether the chosen model ends in logits or in probabilities."""
    return getattr(chosen, "outputs", "logits")


def build(chosen: Section, shape: Shape) -> tf.keras.Model:
    """Builds the chosen model and checks that it fits the data.

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
    needed = (None, *shape.output_shape)
    if tuple(given) != needed:
        each = f" for each of {shape.label_shape[0]} positions" if shape.kind == "tokens" else ""
        raise ModelError(
            f"the model gives outputs of shape {tuple(given)}; the data has {shape.num_classes} "
            f"{'tags' if shape.kind == 'tags' else 'labels'}{each}, so {needed} is needed"
        )
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            raise ModelError(
                f"the layer {layer.name!r} is batch normalisation: its moving averages are not "
                "trained, so averaging clients leaves them as they began; use "
                "tf.keras.layers.GroupNormalization"
            )
    return model
