"""Federated SGD."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pytest_federated.training.algorithms.algorithm import (
    AlgorithmInputs,
    LearningProcess,
    TffComposition,
    algorithms,
)

if TYPE_CHECKING:
    import tensorflow_federated as tff


@algorithms(
    "fedsgd",
    packs=True,
    fixes=("local_epochs",),
    unused=("client_optimizer",),
    tff=TffComposition("build_fed_sgd", client_work="gradient over its examples"),
)
def fedsgd(parts: AlgorithmInputs) -> LearningProcess:
    """FedSGD: the server takes one step a round, along the gradient over the cohort's examples.

    The step is the server optimizer's, its learning rate the paper's eta. The batch size only says
    how much of a client is in memory at once. Built by
    `tff.learning.algorithms.build_fed_sgd`, or for packed clients composed of the same parts.

    Source: McMahan et al., AISTATS 2017, section 2 ("FederatedSGD"), arXiv:1602.05629.
    """
    import tensorflow_federated as tff

    if parts.packed:
        from pytest_federated.training.engine.packed import learning_process

        return learning_process(
            cast("tff.learning.models.FunctionalModel", parts.model),
            None,
            parts.server_optimizer,
            aggregator=parts.aggregator,
        )
    return tff.learning.algorithms.build_fed_sgd(
        parts.model,
        server_optimizer_fn=parts.server_optimizer,
        model_aggregator=parts.aggregator,
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )
