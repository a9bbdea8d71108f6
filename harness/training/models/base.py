"""What a model is to the harness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Literal

from harness.errors import ModelError
from harness.registry import Registry
from harness.runtime.user_code import first_line
from harness.settings import Section

if TYPE_CHECKING:
    import tensorflow as tf

Outputs = Literal["logits", "probabilities"]

models: Registry[Callable[..., tf.keras.Model]] = Registry("model")


@dataclass(frozen=True)
class Shape:
    """The data that a model has to fit: the shape of one example, and the number of labels."""

    input_shape: tuple[int, ...]
    num_classes: int


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
    if tuple(given) != (None, shape.num_classes):
        raise ModelError(
            f"the model gives outputs of shape {tuple(given)}; the data has {shape.num_classes} "
            f"labels, so (None, {shape.num_classes}) is needed"
        )
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            raise ModelError(
                f"the layer {layer.name!r} is batch normalisation: its moving averages are not "
                "trained, so averaging clients leaves them as they began; use "
                "tf.keras.layers.GroupNormalization"
            )
    return model
