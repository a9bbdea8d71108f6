"""The user's own TFF learning process."""

from __future__ import annotations

from inspect import signature
from typing import Any

from pytest_federated.core.errors import ModelError
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.engine.standard import TffAlgorithm
from pytest_federated.user.functions import UserFunction, call, require

_KEY = "training.algorithm.tff"


@algorithms(
    "tff",
    example={"tff": "my_processes:build"},
    refuses={
        "training.client_optimizer.schedule": "the rates of clients are up to your function "
        "(tff.learning.algorithms.build_weighted_fed_avg_with_optimizer_schedule)"
    },
    tff=TffComposition("your function", *["as your function has it"] * 4),
)
def user_process(
    inputs: AlgorithmInputs,
    *,
    tff: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> Algorithm:
    """Any learning process: `tff: "module:function"`, imported from the scenario file's folder.

    The function is called with `args`, and with `model_fn`, `client_optimizer`,
    `server_optimizer` and `model_aggregator` (None for the mean) where it has parameters of these
    names; it returns a `tff.learning.templates.LearningProcess` over the model's weights, such as
    TFF's builders make, whose metrics have `num_examples`, `loss` and `accuracy` under
    `client_work`, `train`, as TFF's client works give them.

    Raises:
        ModelError: the function cannot be imported, raises, or returns something else.

    Source: TFF, the tutorial "Composing Learning Algorithms".
    """
    # TFF reads what it is given while it builds, and imports are not for that.
    function = require(tff, _KEY, ModelError)
    known = {
        "model_fn": inputs.model,
        "client_optimizer": inputs.client_optimizer,
        "server_optimizer": inputs.server_optimizer,
        "model_aggregator": inputs.aggregator,
    }
    if inputs.aggregator is not None and "model_aggregator" not in signature(function).parameters:
        raise ModelError(
            f"training.aggregator: {tff} has no parameter model_aggregator: give it one, or leave "
            "the aggregator out"
        )
    process = call(function, known, args, f"{_KEY}: {tff}", ModelError)
    library: Any = import_tff()
    if not isinstance(process, library.learning.templates.LearningProcess):
        raise ModelError(
            f"{_KEY}: {tff} gave {type(process).__name__}, not a "
            "tff.learning.templates.LearningProcess"
        )
    measured = process.next.type_signature.result[1].member
    try:
        names = set(dir(measured["client_work"]["train"]))
    except (KeyError, AttributeError, TypeError):
        names = set()
    accuracy = ["accuracy"] if inputs.adapter.shape.task.hits else []
    if missing := [n for n in ("num_examples", "loss", *accuracy) if n not in names]:
        raise ModelError(
            f"{_KEY}: the process of {tff} has no metrics {', '.join(missing)} under client_work, "
            "train"
        )
    return TffAlgorithm(process)
