"""Federated SGD."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.engine.packed import packed_algorithm
from pytest_federated.training.engine.standard import TffAlgorithm

if TYPE_CHECKING:
    import tensorflow_federated as tff


@algorithms(
    "fedsgd",
    packs=True,
    fixes_updates="standard",
    fixes=("local_epochs", "local_steps"),
    unused=("client_optimizer",),
    refuses={
        "training.client_optimizer.schedule": "its only rate is that of server_optimizer, which "
        "can have one"
    },
    tff=TffComposition("build_fed_sgd", client_work="gradient over its examples"),
)
def fedsgd(inputs: AlgorithmInputs) -> Algorithm:
    """FedSGD: the server takes one step a round, along the gradient over the cohort's examples.

    The step is the server optimizer's, its learning rate the paper's eta. The batch size only says
    how many of a client's examples are in memory at once. Built by
    `tff.learning.algorithms.build_fed_sgd`, or for packed clients composed of the same inputs.

    Source: McMahan et al., AISTATS 2017, section 2 ("FederatedSGD"), arXiv:1602.05629.
    """
    import tensorflow_federated as tff

    if inputs.packed:
        return packed_algorithm(
            cast("tff.learning.models.FunctionalModel", inputs.model),
            None,
            inputs.server_optimizer,
            aggregator=inputs.aggregator,
            craft=inputs.craft,
        )
    process = tff.learning.algorithms.build_fed_sgd(
        inputs.model,
        server_optimizer_fn=inputs.server_optimizer,
        model_aggregator=inputs.aggregator,
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )
    return TffAlgorithm(process)
