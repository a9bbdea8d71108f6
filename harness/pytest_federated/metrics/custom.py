"""A metric of the user's own, without registering anything."""

from __future__ import annotations

from typing import Any

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import is_number
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.training.history import TrainingHistory
from pytest_federated.user.functions import UserFunction, blamed, require


@metrics("custom", title="custom")
def custom(
    history: TrainingHistory,
    *,
    function: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> float:
    """The value that ``"module:function"`` returns for a training's history and `args`."""
    called = require(function, "expect.custom.function", FederatedError)
    try:
        value = called(history, **args)
    except NoValue:
        raise
    except Exception as error:
        raise FederatedError(f"expect.custom: {function} raised {blamed(error)}") from error
    if not is_number(value):
        raise FederatedError(f"expect.custom: {function} gave {value!r}; it must give a number")
    return float(value)
