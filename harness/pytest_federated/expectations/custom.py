"""A figure of the user's own, without registering anything."""

from __future__ import annotations

from numbers import Real
from typing import Any

from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.judging import NoFigure, expectation
from pytest_federated.training.history import TrainingHistory
from pytest_federated.user.functions import UserFunction, load


@expectation("custom")
def custom(
    history: TrainingHistory,
    *,
    function: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> float:
    """The figure that ``"module:function"`` gives of a training's history and `args`."""
    try:
        found = load(function)(history, **args)
    except NoFigure:
        raise
    except Exception as bad:
        raise FederatedError(f"expect.custom: {function}: {type(bad).__name__}: {bad}") from bad
    if isinstance(found, bool) or not isinstance(found, Real):
        raise FederatedError(f"expect.custom: {function}: gave {found!r}; must give a number")
    return float(found)
