"""Models for own.yaml."""

from __future__ import annotations

from typing import Any


def residual(input_shape: tuple[int, ...], num_classes: int, *, width: int) -> Any:
    """Returns a Keras model with a shortcut around its second layer."""
    import tensorflow as tf

    layers = tf.keras.layers
    pixels = tf.keras.Input(input_shape)
    first = layers.Dense(width, activation="relu")(layers.Flatten()(pixels))
    second = layers.Dense(width, activation="relu")(first)
    return tf.keras.Model(pixels, layers.Dense(num_classes)(layers.Add()([first, second])))


def prototypes(input_spec: Any, input_shape: tuple[int, ...], num_classes: int) -> Any:
    """Returns a TFF functional model: each class is a point that attracts near examples."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_federated as tff

    size = int(np.prod(input_shape))
    points = np.zeros((num_classes, size), np.float32)

    @tf.function
    def predict(weights: Any, x: Any, training: bool) -> Any:
        (trainable,), _ = weights
        apart = tf.reshape(x, [-1, 1, size]) - trainable
        return -tf.reduce_sum(tf.square(apart), axis=2)

    def loss(output: Any, label: Any, sample_weight: Any = None) -> Any:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(label, output)
        return tf.reduce_mean(losses)

    return tff.learning.models.FunctionalModel(
        initial_weights=((points,), ()),
        predict_on_batch_fn=predict,
        loss_fn=loss,
        input_spec=input_spec,
    )
