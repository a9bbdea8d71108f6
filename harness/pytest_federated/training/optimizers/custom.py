"""An optimizer from a user's function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_federated.core.errors import ModelError
from pytest_federated.training.optimizers.optimizer import optimizers
from pytest_federated.user.functions import UserFunction, call, require

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers("tff", of_the_user=True)
def custom(
    *,
    tff: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> tff.learning.optimizers.Optimizer:
    """Any `tff.learning.optimizers.Optimizer`: `tff: "module:function"`, called with `args`.

    Raises:
        ModelError: the function cannot be imported, raises, or returns something else.
    """
    import tensorflow_federated

    key = "the key tff of an optimizer"
    optimizer = call(require(tff, key, ModelError), {}, args, f"{key}: {tff}", ModelError)
    if not isinstance(optimizer, tensorflow_federated.learning.optimizers.Optimizer):
        raise ModelError(
            f"{key}: {tff} gave {type(optimizer).__name__}, not a tff.learning.optimizers.Optimizer"
        )
    return optimizer
