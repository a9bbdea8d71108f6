"""A Keras model from a user's function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

from pytest_federated.core.schema import Usual
from pytest_federated.training.models.model import Outputs, Shape, models
from pytest_federated.training.models.user_function import call_model_function
from pytest_federated.user.functions import UserFunction

if TYPE_CHECKING:
    import tensorflow as tf


@models("keras")
def keras(
    shape: Shape,
    *,
    keras: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
    outputs: Annotated[Optional[Outputs], Usual("logits")] = None,
) -> tf.keras.Model:
    """Any Keras 2 model: `keras: "module:function"`, imported from the scenario file's folder.

    The function is called with `args`, and with `input_shape` (tuple of int), `num_classes` (int),
    `output_shape` (tuple of int, of the outputs that the data needs for one example), `task`
    (label, binary, tokens, tags or regression) and `input_spec` (the types of a batch) where it has
    parameters of these names; it returns a `tf.keras.Model`. Whether its outputs are logits or
    probabilities is inferred from the model, unless `outputs` states it.

    Raises:
        ModelError: the function cannot be imported, or raises.

    """
    return call_model_function("keras", keras, shape, args)
