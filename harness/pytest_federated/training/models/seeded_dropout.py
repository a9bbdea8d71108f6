"""Dropout that follows from the seed.

Keras' dropout draws from a state in TFF's worker that no seed reaches and that clients running at
the same time share: two trainings with one seed would differ. Here the random numbers are seeded
by the sum of the bits of the layer's inputs. These change with the weights and the batch, so each
step drops different values, and the same training always drops the same ones. Packed and standard
execution differ in rounding, and therefore in what they drop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_federated.core.errors import ModelError

if TYPE_CHECKING:
    import tensorflow as tf


def seed_dropout(model: tf.keras.Model) -> None:
    """Makes the dropout layers of a model take their random numbers from their inputs.

    Raises:
        ModelError: another layer draws random numbers.
    """
    import tensorflow as tf

    random_layer = tf.keras.__internal__.layers.BaseRandomLayer
    position = 0
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.Dropout):
            layer.call = _seeded_call(layer, position)  # pyright: ignore[reportAttributeAccessIssue]
            position += 1
        elif getattr(layer, "dropout", 0) or getattr(layer, "recurrent_dropout", 0):
            is_cell = hasattr(layer, "recurrent_dropout")
            kind = type(layer).__name__
            what = "dropout within a recurrent cell" if is_cell else f"{kind} with dropout"
            raise ModelError(_refusal(layer, what))
        elif isinstance(layer, random_layer) and not hasattr(layer, "dropout"):
            raise ModelError(_refusal(layer, type(layer).__name__))


def _refusal(layer: Any, what: str) -> str:
    return (
        f"the layer {layer.name!r} is {what}: it draws random numbers that no seed decides in "
        "TFF's worker; use tf.keras.layers.Dropout between layers"
    )


def _seeded_call(layer: Any, position: int) -> Any:
    import tensorflow as tf

    def call(inputs: Any, training: Any = None) -> Any:
        def dropped() -> Any:
            bits = tf.bitcast(tf.cast(inputs, tf.float32), tf.int32)
            return tf.nn.experimental.stateless_dropout(
                inputs,
                rate=layer.rate,
                seed=tf.stack([tf.constant(position), tf.reduce_sum(bits)]),
                noise_shape=layer._get_noise_shape(inputs),
            )

        if training is None:
            training = tf.keras.backend.learning_phase()
        if tf.is_tensor(training):
            return tf.cond(tf.cast(training, tf.bool), dropped, lambda: tf.identity(inputs))
        return dropped() if training and layer.rate else inputs

    return tf.autograph.experimental.do_not_convert(call)
