"""Learning processes for own.yaml."""

from __future__ import annotations

from typing import Any


def clipped(model_fn: Any, client_optimizer: Any, server_optimizer: Any, *, norm: float) -> Any:
    """Returns FedAvg with clients' changes clipped to an L2 norm."""
    import tensorflow_federated as tff

    return tff.learning.algorithms.build_weighted_fed_avg(
        model_fn,
        client_optimizer_fn=client_optimizer,
        server_optimizer_fn=server_optimizer,
        model_aggregator=tff.aggregators.clipping_factory(norm, tff.aggregators.MeanFactory()),
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )
