"""A metric of the user's own, without registering anything."""

from __future__ import annotations

from typing import Any

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import is_number
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.training.history import TrainingHistory
from pytest_federated.user.functions import UserFunction, load
from pytest_federated.user.permitted import NotPermitted


@metrics("custom", title="custom")
def custom(
    history: TrainingHistory,
    *,
    function: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> float:
    """The value that ``"module:function"`` returns for a training's history and `args`."""
    try:
        value = load(function)(history, **args)
    except NoValue:
        raise
    except NotPermitted as error:
        raise FederatedError(f"expect.custom: {error}") from error
    except Exception as error:
        raise FederatedError(
            f"expect.custom: {function}: {type(error).__name__}: {error}"
        ) from error
    if not is_number(value):
        raise FederatedError(f"expect.custom: {function}: gave {value!r}; must give a number")
    return float(value)
