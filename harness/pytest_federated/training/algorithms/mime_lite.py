"""Mime Lite."""

from __future__ import annotations

from typing import Literal

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.engine.standard import TffAlgorithm
from pytest_federated.training.optimizers import rates


@algorithms(
    "mime_lite",
    unprotected="the gradients at the round's first weights",
    fixes_updates=True,
    tff=TffComposition(
        "build_weighted_mime_lite",
        client_work="steps with the server's optimizer state; gradient at the weights",
        distributor="the weights; the optimizer state",
        aggregator="weighted means of changes and of gradients",
    ),
    # The optimizer's state goes down, too, and the gradient at the first weights up.
    traffic=lambda s: (s.weights + s.optimizer, 2 * s.trainable),
)
def mime_lite(
    inputs: AlgorithmInputs, *, weighting: Literal["examples", "uniform"] = "examples"
) -> Algorithm:
    """Mime Lite: clients train with the server's optimizer state and do not change it.

    The state, such as a momentum, is that of the client optimizer; the server updates it once a
    round with the mean gradient of the cohort at the round's first weights. Without momentum it is
    FedAvg. TFF's SGD keeps its momentum as the sum beta m + g, not as the paper's average beta m +
    (1 - beta) g: the paper's learning rate is (1 - beta) times smaller. Built by
    `tff.learning.algorithms.build_weighted_mime_lite`.

    Source: Karimireddy et al., Breaking the Centralized Barrier for Cross-Device Federated
    Learning, NeurIPS 2021 ("MimeLite"), arXiv:2008.03606.
    """
    import tensorflow_federated as tff

    weightings = tff.learning.ClientWeighting
    process = tff.learning.algorithms.build_weighted_mime_lite(
        inputs.model,
        base_optimizer=rates.lasting(inputs.client_optimizer, inputs.scheduled),
        server_optimizer=inputs.server_optimizer,
        client_weighting=weightings.NUM_EXAMPLES if weighting == "examples" else weightings.UNIFORM,
        model_aggregator=inputs.aggregator,
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )
    return TffAlgorithm(process)
