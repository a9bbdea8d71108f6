"""Mime Lite."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional

from pytest_federated.core.schema import Section
from pytest_federated.registry.choice import Choice
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.engine.standard import TffAlgorithm
from pytest_federated.training.schedules.schedule import at, factors, schedules


@algorithms(
    "mime_lite",
    by_round=True,
    unprotected="the gradients at the round's first weights",
    fixes_updates=True,
    tff=TffComposition(
        "build_weighted_mime_lite, build_mime_lite_with_optimizer_schedule",
        client_work="steps with the server's optimizer state; gradient at the weights",
        distributor="the weights; the optimizer state",
        aggregator="weighted means of changes and of gradients",
    ),
    # The optimizer's state goes down, too, and the gradient at the first weights up.
    traffic=lambda s: (s.weights + s.optimizer, 2 * s.trainable),
)
def mime_lite(
    inputs: AlgorithmInputs,
    *,
    weighting: Literal["examples", "uniform"] = "examples",
    schedule: Annotated[Optional[Section], Choice(schedules, optional=True)] = None,
) -> Algorithm:
    """Mime Lite: clients train with the server's optimizer state and do not change it.

    The state, such as a momentum, is that of the client optimizer; the server updates it once a
    round with the mean gradient of the cohort at the round's first weights. Without momentum it is
    FedAvg. With a `schedule` the client optimizer's learning rate is multiplied by its factor.
    TFF's SGD keeps its momentum as the sum beta m + g, not as the paper's average beta m + (1 -
    beta) g: the paper's learning rate is (1 - beta) times smaller. Built by
    `tff.learning.algorithms.build_weighted_mime_lite`.

    Source: Karimireddy et al., Breaking the Centralized Barrier for Cross-Device Federated
    Learning, NeurIPS 2021, algorithm 1 ("MimeLite"), arXiv:2008.03606.
    """
    import tensorflow as tf
    import tensorflow_federated as tff

    build: Any = tff.learning.algorithms.build_weighted_mime_lite
    scheduled = {}
    if schedule is not None:
        build = tff.learning.algorithms.build_mime_lite_with_optimizer_schedule
        by_round = factors(schedule, inputs.rounds)
        state = inputs.client_optimizer.initialize(tf.TensorSpec((), tf.float32))
        rate = state[tff.learning.optimizers.LEARNING_RATE_KEY]
        scheduled = {"learning_rate_fn": lambda done: rate * at(by_round, done)}
    weightings = tff.learning.ClientWeighting
    process = build(
        inputs.model,
        base_optimizer=inputs.client_optimizer,
        server_optimizer=inputs.server_optimizer,
        client_weighting=weightings.NUM_EXAMPLES if weighting == "examples" else weightings.UNIFORM,
        model_aggregator=inputs.aggregator,
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
        **scheduled,
    )
    return TffAlgorithm(process)
