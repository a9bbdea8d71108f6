"""Functional models that take the bytes of gray levels, a quarter of what their features take."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Any

from pytest_federated.data.datasets.rows import LEVELS
from pytest_federated.training.models.plain import plain


@lru_cache(maxsize=16)
def taking_levels(model: Any) -> Any:
    """Returns a `tff.learning.models.FunctionalModel` of float32 features as one of uint8 levels.

    It divides them by 255, with the result of `gray_levels` to the bit. Always the same one for a
    model, so that what is traced with it can be shared.
    """
    import tensorflow as tf

    spec = OrderedDict(model.input_spec)
    spec["x"] = tf.TensorSpec(spec["x"].shape, tf.uint8)

    def scaled(levels: Any) -> Any:
        # TensorFlow makes a plain division a product with 1/255, which rounds otherwise.
        return tf.math.divide_no_nan(tf.cast(levels, tf.float32), tf.constant(LEVELS, tf.float32))

    def predict(weights: Any, x: Any, training: bool = True) -> Any:
        if isinstance(x, tuple):  # with the key of a step, as in KerasAdapter
            levels, key = x
            return model.predict_on_batch(weights, (scaled(levels), key), training=training)
        return model.predict_on_batch(weights, scaled(x), training=training)

    metrics = (
        model.initialize_metrics_state,
        model.update_metrics_state,
        model.finalize_metrics,
    )
    taking = plain(model.initial_weights, predict, model.loss, metrics, spec)
    taking.draws = getattr(model, "draws", False)
    return taking
