"""Serialized `tf.train.Example` messages, parsed many at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

import numpy as np

Fields = Mapping[str, np.ndarray]  # the rows' values, (rows, ...), by name


def parser(element_spec: Mapping[str, Any]) -> Callable[[list[bytes]], Fields]:
    """Returns a function that parses messages as TFF's loaders do, which parse them one by one.

    `element_spec` is the `element_type_structure` of TFF's `ClientData`: what an example becomes.
    The function raises TensorFlow's errors where a message has no such example.
    """
    import tensorflow as tf

    def stored(dtype: Any) -> Any:
        return tf.string if dtype == tf.string else tf.float32 if dtype.is_floating else tf.int64

    features = {
        name: tf.io.FixedLenFeature(spec.shape, stored(spec.dtype))
        for name, spec in element_spec.items()
    }

    def parse(messages: list[bytes]) -> Fields:
        fields = tf.io.parse_example(messages, features)
        return {
            name: tf.cast(fields[name], spec.dtype).numpy() for name, spec in element_spec.items()
        }

    return parse
