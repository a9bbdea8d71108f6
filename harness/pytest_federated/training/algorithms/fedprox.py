"""FedProx."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    Weighting,
    algorithms,
)
from pytest_federated.training.algorithms.fedavg import fedavg


@algorithms(
    "fedprox",
    example={"mu": 0.1},
    packs=True,
    tff=TffComposition(
        "build_weighted_fed_avg",
        client_work="steps of the client optimizer, drawn back to the weights",
    ),
)
def fedprox(
    inputs: AlgorithmInputs,
    *,
    mu: Annotated[float, Field(ge=0, allow_inf_nan=False, description="Proximal strength.")],
    weighting: Weighting = "examples",
) -> Algorithm:
    """FedProx: FedAvg with a term that draws clients back to the weights that the server sent.

    Adds mu/2 |w - w0|^2 to each client's loss; with mu 0 it is FedAvg. The metrics show the loss
    without that term. Built by `tff.learning.algorithms.build_weighted_fed_avg` with a client
    optimizer that adds the term's gradient: `build_weighted_fed_prox` of TFF 0.87 subtracts it,
    which drives the clients away from w0 (test_numpy_reference.py shows it).

    By default clients are weighted by the examples that they process in a round, as in TFF; the
    authors' code uses those that they hold, even for stragglers: `weighting: examples_held`.
    Without stragglers the two are the same. Algorithm 2 draws clients with probabilities in
    proportion to their examples and averages uniformly: `weighting: uniform` with the sampling
    by_size.

    Source: Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020, equation 2 and
    algorithm 2, arXiv:1812.06127; the authors' code: litian96/FedProx, flearn/models/client.py
    (solve_inner gives num_samples) and flearn/trainers/fedbase.py (aggregate).
    """
    if mu:
        inputs = replace(inputs, client_optimizer=_proximal(inputs.client_optimizer, mu))
    return fedavg(inputs, weighting=weighting)


@lru_cache(maxsize=16)  # one object for the same arguments, so that what it is part of is shared
def _proximal(inner: Any, mu: float) -> Any:
    """The optimizer `inner`, for a loss with mu/2 |w - w0|^2 more; w0 is where it starts."""
    import tensorflow as tf
    import tensorflow_federated as tff

    class Proximal(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            zeros = tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), specs)
            return tf.constant(True), zeros, inner.initialize(specs)

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            is_first, start, inner_state = state
            start = tf.nest.map_structure(lambda w, w0: tf.where(is_first, w, w0), weights, start)
            gradients = tf.nest.map_structure(
                lambda g, w, w0: None if g is None else g + mu * (w - w0), gradients, weights, start
            )
            inner_state, weights = inner.next(inner_state, weights, gradients)
            return (tf.constant(False), start, inner_state), weights

    return Proximal()
