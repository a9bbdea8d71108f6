"""The user's own Keras model."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError
from harness.runtime.user_code import UserFunction, blamed, demand
from harness.training.models.base import Outputs, Shape, models

if TYPE_CHECKING:
    import tensorflow as tf


@models("keras")
def keras(
    shape: Shape,
    *,
    keras: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
    outputs: Outputs = "logits",
) -> tf.keras.Model:
    """Any Keras 2 model: `keras: "module:function"`, imported from beside the scenario file.

    The function is called with `args`, and with `input_shape` (tuple of int) and `num_classes`
    (int) where it has parameters of these names; it returns an uncompiled `tf.keras.Model`.

    Raises:
        ModelError: the function cannot be imported, or raises.

    """
    import tensorflow as tf

    # TFF builds models while autograph rewrites what it meets, and imports are not for it.
    find = tf.autograph.experimental.do_not_convert(demand)
    function = find(keras, "model.keras", ModelError)
    known = {"input_shape": shape.input_shape, "num_classes": shape.num_classes}
    try:
        wanted = inspect.signature(function).parameters
        return function(**{k: v for k, v in known.items() if k in wanted}, **args)
    except Exception as bad:
        raise ModelError(f"model.keras: {keras} raised {blamed(bad)}") from bad
