"""A TFF functional model from a user's function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_federated.training.models.model import Shape, models
from pytest_federated.training.models.user_function import call_model_function
from pytest_federated.user.functions import UserFunction

if TYPE_CHECKING:
    import tensorflow_federated as tff


@models("functional", has_own_loss=True)
def functional(
    shape: Shape,
    *,
    functional: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> tff.learning.models.FunctionalModel:
    """Any TFF functional model: `functional: "module:function"`.

    The function is called as for `keras`, and returns a `tff.learning.models.FunctionalModel` with
    the `input_spec` that it was passed. The loss that is trained and reported is the model's; the
    metrics are pytest-federated's.

    Raises:
        ModelError: the function cannot be imported, or raises.

    """
    return call_model_function("functional", functional, shape, args)
