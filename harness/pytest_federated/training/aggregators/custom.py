"""An aggregator from a user's function."""

from __future__ import annotations

from typing import Any

from pytest_federated.core.errors import ModelError
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.user.functions import UserFunction, call, require

_KEY = "training.aggregator.tff"


@aggregators("tff", by_clients=True)
def custom(
    clients: int,
    *,
    tff: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> Any:
    """Any factory of `tff.aggregators`: `tff: "module:function"`, from the scenario file's folder.

    The function is called with `args`, and with `clients`, the expected number of clients of a
    round, if it has a parameter of this name. It returns a `WeightedAggregationFactory`, or an
    `UnweightedAggregationFactory`, for which every client counts the same. Its randomness is seeded
    through int32 (2,) named `noise_seed` in the server's state.

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
