"""Calls of the users' functions that make models."""

from __future__ import annotations

from typing import Any

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.keras_settings import load_with_settings
from pytest_federated.training.models.model import Shape
from pytest_federated.user.functions import call, require


def call_model_function(key: str, reference: str, shape: Shape, args: dict[str, Any]) -> Any:
    """Returns the model that the user's function `reference`, ``"module:function"``, makes.

    It is called with `args`, and with `input_shape`, `num_classes`, `output_shape`, `task` and
    `input_spec` where it has parameters of these names; messages name it by the key `model.<key>`.

    Raises:
        ModelError: the function cannot be imported, or raises.

    """
    import tensorflow as tf

    # TFF builds models under autograph, which must not rewrite what happens at import.
    load = tf.autograph.experimental.do_not_convert(require)
    function = load_with_settings(lambda: load(reference, f"model.{key}", ModelError))
    arguments = {
        "input_shape": shape.shape_of_inputs,
        "num_classes": shape.num_classes,
        "output_shape": shape.output_shape,
        "task": shape.kind,
        "input_spec": shape.spec(),
    }
    return call(function, arguments, args, f"model.{key}: {reference}", ModelError)
