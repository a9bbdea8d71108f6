"""FedAvgM: server momentum."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    Weighting,
    algorithms,
)
from pytest_federated.training.algorithms.fedavg import fedavg
from pytest_federated.training.optimizers.optimizer import Decay


@algorithms(
    "fedavgm",
    packs=True,
    server_step=True,
    tff=TffComposition("build_weighted_fed_avg", finalizer="step of SGD with momentum"),
)
def fedavgm(
    inputs: AlgorithmInputs,
    *,
    momentum: Annotated[Decay, Field(description="Hsu's beta.")] = 0.9,
    weighting: Weighting = "examples",
) -> Algorithm:
    """FedAvgM: FedAvg with momentum at the server, v = momentum v + change.

    weights + eta v, by `tff.learning.optimizers.build_sgdm`. Reddi's eta is the learning rate of
    `server_optimizer`; that of Hsu is 1. With momentum 0 it is FedAvg.

    Source: T.-M. H. Hsu, H. Qi, M. Brown, Measuring the Effects of Non-Identical Data Distribution
    for Federated Visual Classification, section 4.3, arXiv:1909.06335; Reddi et al., ICLR 2021,
    section 3, arXiv:2003.00295.
    """
    import tensorflow_federated as tff

    sgdm = tff.learning.optimizers.build_sgdm
    server = inputs.server_step(lambda rate: sgdm(rate, momentum))
    return fedavg(replace(inputs, server_optimizer=server), weighting=weighting)
