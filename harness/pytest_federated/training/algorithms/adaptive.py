"""Adaptive servers: FedAdagrad, FedAdam and FedYogi.

Their step is written out from the paper as a `tff.learning.optimizers.Optimizer`, as those of TFF
are others: TFF's Adam and Yogi correct their averages for starting at zero, square the plain change
instead of its average, and start from v = 0 and 1e-6; its Adagrad adds epsilon under the root. They
can be had all the same: fedavg with `server_optimizer: adam`.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from dataclasses import replace
from typing import Annotated, Any, Callable

from pydantic import Field

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    Weighting,
    algorithms,
)
from pytest_federated.training.algorithms.fedavg import fedavg
from pytest_federated.training.optimizers.optimizer import Decay, Positive, Rate

_Rate = Annotated[Rate, Field(description="The paper's eta.")]
_Tau = Annotated[Positive, Field(description="Adaptivity: the larger, the less adaptive.")]

_TRAITS: dict[str, Any] = {
    "packs": True,
    "fixes": ("server_optimizer",),
    "tff": TffComposition("build_weighted_fed_avg", finalizer="the paper's step"),
}

_BuildAlgorithm = Callable[..., Algorithm]
_Second = Callable[[Any, Any], Any]  # (v, square of the averaged change) -> new v


@algorithms("fedadagrad", example={"learning_rate": 0.1, "tau": 0.01}, **_TRAITS)
def fedadagrad(
    inputs: AlgorithmInputs,
    *,
    learning_rate: _Rate,
    tau: _Tau = 1e-3,
    beta_1: Decay = 0.0,
    weighting: Weighting = "examples",
) -> Algorithm:
    """FedAdagrad: FedAvg whose server takes smaller steps where the changes so far were large.

    With m the average of the changes, m = beta_1 m + (1 - beta_1) change, and v = v + m^2:
    weights + learning_rate m / (sqrt(v) + tau). v starts as tau^2, the least that the paper
    allows. Its eta_l is the learning rate of the client optimizer.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295.
    """
    server = _adaptive(learning_rate, tau, beta_1, lambda v, square: v + square)
    return fedavg(replace(inputs, server_optimizer=server), weighting=weighting)


def _with_decay(name: str) -> Callable[[Callable[[float, Any, Any], Any]], _BuildAlgorithm]:
    """Registers an algorithm, given what makes a new v of beta_2, v and the square of m."""

    def register(second: Callable[[float, Any, Any], Any]) -> _BuildAlgorithm:
        def algorithm(
            inputs: AlgorithmInputs,
            *,
            learning_rate: _Rate,
            tau: _Tau = 1e-3,
            beta_1: Decay = 0.9,
            beta_2: Decay = 0.99,
            weighting: Weighting = "examples",
        ) -> Algorithm:
            server = _adaptive(learning_rate, tau, beta_1, functools.partial(second, beta_2))
            return fedavg(replace(inputs, server_optimizer=server), weighting=weighting)

        algorithm.__doc__ = second.__doc__
        example = {"learning_rate": 0.05, "tau": 0.01}
        return algorithms(name, example=example, **_TRAITS)(algorithm)

    return register


@_with_decay("fedadam")
def fedadam(beta_2: float, v: Any, square: Any) -> Any:
    """FedAdam: FedAvg whose server takes smaller steps where recent changes were large.

    As fedadagrad, with v = beta_2 v + (1 - beta_2) m^2.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295.
    """
    return beta_2 * v + (1 - beta_2) * square


@_with_decay("fedyogi")
def fedyogi(beta_2: float, v: Any, square: Any) -> Any:
    """FedYogi: as FedAdam, but its measure of recent changes moves by no more than a change.

    As fedadagrad, with v = v - (1 - beta_2) m^2 sign(v - m^2).

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295.
    """
    import tensorflow as tf

    return v - (1 - beta_2) * square * tf.sign(v - square)


def _adaptive(learning_rate: float, tau: float, beta_1: float, second: _Second) -> Any:
    """Lines 10 to 14 of the paper's algorithm 2; what TFF calls the gradient is the change, < 0."""
    import tensorflow as tf
    import tensorflow_federated as tff

    def each(function: Callable[..., Any], like: Any, *structures: Any) -> Any:
        leaves = map(tf.nest.flatten, (like, *structures))
        return tf.nest.pack_sequence_as(like, [function(*one) for one in zip(*leaves)])

    class Adaptive(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            return OrderedDict(
                m=each(lambda s: tf.zeros(s.shape, s.dtype), specs),
                v=each(lambda s: tf.fill(s.shape, tf.constant(tau**2, s.dtype)), specs),
            )

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            m = each(lambda m, g: beta_1 * m - (1 - beta_1) * g, state["m"], gradients)
            v = each(lambda v, m: second(v, tf.square(m)), state["v"], m)
            weights = each(
                lambda w, m, v: w + learning_rate * m / (tf.sqrt(v) + tau), weights, m, v
            )
            return OrderedDict(m=m, v=v), weights

    return Adaptive()
