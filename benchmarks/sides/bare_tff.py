"""A TFF user's loop: TFF's learning process, context and worker, none of our code."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from workloads import BATCH, RATE, Federation, Weights

LAYERS = tf.keras.layers


def rounds(federation: Federation, loop: str) -> Iterator[Weights]:
    """Trains with `loop`, a member of `tff.learning.LoopImplementation`."""
    shape = federation.test_x.shape[1:]
    spec = OrderedDict(
        x=tf.TensorSpec((None, *shape), tf.float32), y=tf.TensorSpec((None,), tf.int32)
    )

    def model() -> Any:
        return tff.learning.models.from_keras_model(
            cnn(shape) if federation.work.is_cnn else mlp(shape, federation.work.hidden),
            loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            input_spec=spec,
            metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
        )

    learning = tff.learning.algorithms.build_weighted_fed_avg(
        model,
        client_optimizer_fn=tff.learning.optimizers.build_sgdm(RATE),
        loop_implementation=getattr(tff.learning.LoopImplementation, loop),
    )
    start = tff.learning.models.ModelWeights(list(federation.start), [])
    state, number = learning.set_model_weights(learning.initialize(), start), 0
    while True:
        number += 1
        datasets = [
            tf.data.Dataset.from_tensor_slices(cast("Any", OrderedDict(x=x, y=y)))
            .batch(BATCH)
            .repeat(federation.work.local_epochs)
            for x, y in (federation.examples(k, number) for k in federation.cohort(number))
        ]
        state = learning.next(state, datasets).state
        yield [np.asarray(w) for w in state.global_model_weights.trainable]


def mlp(shape: tuple[int, ...], hidden: int) -> tf.keras.Model:
    return tf.keras.Sequential(
        [
            LAYERS.InputLayer(shape),
            LAYERS.Flatten(),
            LAYERS.Dense(hidden, activation="relu"),
            LAYERS.Dense(10),
        ]
    )


def cnn(shape: tuple[int, ...]) -> tf.keras.Model:
    return tf.keras.Sequential(
        [
            LAYERS.InputLayer(shape),
            LAYERS.Conv2D(32, 3, activation="relu"),
            LAYERS.Conv2D(64, 3, activation="relu"),
            LAYERS.MaxPooling2D(),
            LAYERS.Flatten(),
            LAYERS.Dense(128, activation="relu"),
            LAYERS.Dense(62),
        ]
    )
