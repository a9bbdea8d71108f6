"""A TFF VariableModel from a user's function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from pytest_federated.training.models.model import Shape, models
from pytest_federated.training.models.user_function import call_model_function
from pytest_federated.user.functions import UserFunction

if TYPE_CHECKING:
    import tensorflow_federated as tff


@models("variable", has_own_loss=True)
def variable(
    shape: Shape,
    *,
    variable: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> Callable[[], tff.learning.models.VariableModel]:
    """Any TFF model with variables: `variable: "module:function"`, which returns a new one.

    The function is called as for `keras`, and returns a `tff.learning.models.VariableModel`. The
    loss that is trained and reported is the model's; the metrics are pytest-federated's. Such
    models run by standard execution only.

    Raises:
        ModelError: the function cannot be imported, or raises.

    """

    def make() -> tff.learning.models.VariableModel:
        return call_model_function("variable", variable, shape, args)

    return make
