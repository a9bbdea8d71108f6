"""The user's own aggregator."""

from __future__ import annotations

from typing import Any

from pytest_federated.core.errors import ModelError
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.user.functions import UserFunction, call, require

_KEY = "training.aggregator.tff"


@aggregators("tff", by_clients=True)
def own(
    clients: int,
    *,
    tff: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> Any:
    """Any factory of `tff.aggregators`: `tff: "module:function"`, from beside the scenario file.

    The function is called with `args`, and with `clients`, the number that a round is expected to
    have, where it has a parameter of this name. It returns a `WeightedAggregationFactory`, or an
    `UnweightedAggregationFactory`, for which every client counts the same. What is random in it
    is seeded where the server's state has int32 (2,) under the name `noise_seed`.

    Raises:
        ModelError: the function cannot be imported, raises, or returns something else.
    """
    function = require(tff, _KEY, ModelError)
    factory = call(function, {"clients": clients}, args, f"{_KEY}: {tff}", ModelError)
    library: Any = import_tff()
    if not isinstance(factory, library.aggregators.AggregationFactory):
        raise ModelError(
            f"{_KEY}: {tff} gave {type(factory).__name__}, not a factory of tff.aggregators"
        )
    return factory
