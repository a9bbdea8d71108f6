"""Federated averaging with a learning rate that depends on the round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from pytest_federated.core.schema import Section
from pytest_federated.registry.choice import Choice
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.engine.packed import packed_algorithm
from pytest_federated.training.engine.standard import TffAlgorithm
from pytest_federated.training.schedules.schedule import at, factors, schedules, times

if TYPE_CHECKING:
    import tensorflow_federated as tff


@algorithms(
    "fedavg_with_schedule",
    example={"schedule": {"kind": "exponential", "rate": 0.95}},
    packs=True,
    fixes_updates="standard",
    by_round=True,
    tff=TffComposition(
        "build_weighted_fed_avg_with_optimizer_schedule",
        client_work="steps of the client optimizer at the round's rate",
    ),
)
def fedavg_with_schedule(
    inputs: AlgorithmInputs, *, schedule: Annotated[Section, Choice(schedules)]
) -> Algorithm:
    """FedAvg with a client learning rate that changes from round to round, not within one.

    The learning rate of the client optimizer times the schedule's factor. Weighted by examples.
    Built by `tff.learning.algorithms.build_weighted_fed_avg_with_optimizer_schedule`, or for packed
    clients composed of the same inputs.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 1 and appendix C,
    arXiv:2003.00295; Li et al., On the Convergence of FedAvg on Non-IID Data, ICLR 2020, theorem 4
    (why a decaying rate is needed), arXiv:1907.02189.
    """
    import tensorflow_federated as tff

    by_round = factors(schedule, inputs.rounds)
    if inputs.packed:
        return packed_algorithm(
            cast("tff.learning.models.FunctionalModel", inputs.model),
            inputs.client_optimizer,
            inputs.server_optimizer,
            by_round=by_round,
            aggregator=inputs.aggregator,
            craft=inputs.craft,
        )
    process = tff.learning.algorithms.build_weighted_fed_avg_with_optimizer_schedule(
        inputs.model,
        client_learning_rate_fn=lambda done: at(by_round, done),
        client_optimizer_fn=lambda factor: times(factor, inputs.client_optimizer),
        server_optimizer_fn=inputs.server_optimizer,
        model_aggregator=inputs.aggregator,
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )
    return TffAlgorithm(process)
