"""Calling the functions with which users make models of their own."""

from __future__ import annotations

from typing import Any

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.keras_settings import with_those_of_its_module
from pytest_federated.training.models.model import Shape
from pytest_federated.user.functions import call, require


def call_model_function(key: str, reference: str, shape: Shape, args: dict[str, Any]) -> Any:
    """What the function `reference`, ``"module:function"``, of the key `model.<key>` returns.

    It is called with `args`, and with `input_shape`, `num_classes`, `task` and `input_spec` where
    it has parameters of these names.

    Raises:
        ModelError: the function cannot be imported, or raises.

    """
    import tensorflow as tf

    # TFF builds models while autograph rewrites what it meets, and imports are not for it.
    find = tf.autograph.experimental.do_not_convert(require)
    function = with_those_of_its_module(lambda: find(reference, f"model.{key}", ModelError))
    known = {
        "input_shape": shape.input_shape,
        "num_classes": shape.num_classes,
        "task": shape.kind,
        "input_spec": shape.spec(),
    }
    return call(function, known, args, f"model.{key}: {reference}", ModelError)
