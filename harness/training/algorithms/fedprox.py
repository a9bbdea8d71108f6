"""FedProx."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field

from harness.training.algorithms.base import LearningProcess, Parts, algorithms, client_weighting


@algorithms("fedprox", packs=True)
def fedprox(
    parts: Parts,
    *,
    mu: Annotated[float, Field(ge=0, allow_inf_nan=False, description="Proximal strength.")],
    weighting: Literal["examples", "uniform"] = "examples",
) -> LearningProcess:
    """FedProx: FedAvg whose clients are drawn back to the weights that the server sent.

    Adds mu/2 |w - w0|^2 to each client's loss; with mu 0 it is FedAvg. The metrics show the loss
    without that term. Built by `tff.learning.algorithms.build_weighted_fed_prox`, or for packed
    clients by the same arithmetic.

    Source: Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020, equation 2 and
    algorithm 2, arXiv:1812.06127.
    """
    import tensorflow_federated as tff

    if parts.packed:
        from harness.training.execution.packed import learning_process

        return learning_process(
            cast("tff.learning.models.FunctionalModel", parts.model),
            parts.client_optimizer,
            parts.server_optimizer,
            client_weighting(weighting),
            proximal_strength=mu,
        )
    return tff.learning.algorithms.build_weighted_fed_prox(
        parts.model,
        proximal_strength=mu,
        client_optimizer_fn=parts.client_optimizer,
        server_optimizer_fn=parts.server_optimizer,
        client_weighting=client_weighting(weighting),
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )
