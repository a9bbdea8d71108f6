"""Adaptive servers: FedAdagrad, FedAdam and FedYogi.

Two steps are in use. The authors' experiments (google-research/federated, optimization/README.md
and utils/optimizers/) give the mean change of the clients to Keras's Adagrad and Adam and to a Yogi
of their own, with epsilon = tau and accumulators that start at zero. Adam and Yogi correct both
averages for that start, and square the change itself. Algorithm 2 of the paper has no correction
and starts v at tau^2 or above. In some of its versions lines 12 and 13 can be read as squaring the
momentum of line 10: an author calls that a slip, and the code right (google-research/federated,
issue 41). Flower (src/py/flwr/server/strategy/fedadam.py, fedyogi.py) and FedLab
(fedlab/contrib/algorithm/fedopt.py) square the change, too, without correction, from v = 0.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Annotated, Any, Callable, Literal

from pydantic import Field

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    Weighting,
    algorithms,
)
from pytest_federated.training.algorithms.fedavg import fedavg
from pytest_federated.training.optimizers.optimizer import Decay, Positive

_Tau = Annotated[Positive, Field(description="Adaptivity: the larger, the less adaptive.")]
_Step = Annotated[
    Literal["code", "paper"],
    Field(description="`code`: that of the authors' experiments; `paper`: that of algorithm 2."),
]
_Second = Callable[[Any, Any], Any]  # (v, square of the change) -> new v


def _traits(finalizer: str, **example: float) -> dict[str, Any]:
    return {
        "packs": True,
        "server_step": "at a stated rate",
        "example": example,
        "tff": TffComposition("build_weighted_fed_avg", finalizer=finalizer),
    }


@algorithms("fedadagrad", **_traits("step of Adagrad", tau=0.01))
def fedadagrad(
    inputs: AlgorithmInputs,
    *,
    tau: _Tau = 1e-3,
    beta_1: Decay = 0.0,
    weighting: Weighting = "examples",
    step: _Step = "code",
) -> Algorithm:
    """FedAdagrad: FedAvg whose server takes smaller steps where the changes so far were large.

    With m the average of the changes, m = beta_1 m + (1 - beta_1) change, and v = v + change^2:
    weights + eta m / (sqrt(v) + tau). v starts at 0, as in the authors' experiments; with
    `step: paper` it starts at tau^2, the least that the paper allows. The paper's eta is the
    learning rate of `server_optimizer`, eta_l that of `client_optimizer`. TFF's Adagrad
    (`server_optimizer: {kind: adagrad, ...}` with `fedavg`) adds its epsilon under the root.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295;
    the authors' code: google-research/federated, optimization/README.md, whose servers are Keras's.
    """
    start = tau**2 if step == "paper" else 0.0
    server = inputs.server_step(
        lambda rate: _adaptive(rate, tau, beta_1, lambda v, square: v + square, start)
    )
    return fedavg(replace(inputs, server_optimizer=server), weighting=weighting)


@algorithms("fedadam", **_traits("step of Adam", tau=0.01))
def fedadam(
    inputs: AlgorithmInputs,
    *,
    tau: _Tau = 1e-3,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.99,
    weighting: Weighting = "examples",
    step: _Step = "code",
) -> Algorithm:
    """FedAdam: FedAvg whose server takes smaller steps where recent changes were large.

    As fedadagrad, with v = beta_2 v + (1 - beta_2) change^2, and in round t with eta
    sqrt(1 - beta_2^t) / (1 - beta_1^t), which corrects m and v for starting at 0: Adam with epsilon
    = tau (`tff.learning.optimizers.build_adam`). `step: paper` has no correction and starts v at
    tau^2. Neither squares m, although some versions of the paper can be read that way: one of its
    authors calls that a slip (google-research/federated, issue 41). Flower and FedLab square the
    change, too (adap/flower, src/py/flwr/server/strategy/fedadam.py; SMILELab-FL/FedLab,
    fedlab/contrib/algorithm/fedopt.py), without correction, from v = 0.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295;
    the authors' code: google-research/federated, optimization/README.md, whose servers are Keras's.
    """
    import tensorflow_federated as tff

    def second(v: Any, square: Any) -> Any:
        return beta_2 * v + (1 - beta_2) * square

    def make(rate: float) -> Any:
        if step == "code":
            return tff.learning.optimizers.build_adam(rate, beta_1, beta_2, tau)
        return _adaptive(rate, tau, beta_1, second, start=tau**2)

    server = inputs.server_step(make)
    return fedavg(replace(inputs, server_optimizer=server), weighting=weighting)


@algorithms("fedyogi", **_traits("step of Yogi", tau=0.01))
def fedyogi(
    inputs: AlgorithmInputs,
    *,
    tau: _Tau = 1e-3,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.99,
    weighting: Weighting = "examples",
    step: _Step = "code",
) -> Algorithm:
    """FedYogi: like FedAdam, but its measure of recent changes moves by no more than a change.

    Like fedadam with both values of `step`, with v = v - (1 - beta_2) change^2 sign(v - change^2)
    (`tff.learning.optimizers.build_yogi`, with v = 0 to begin with).

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295;
    the authors' code: google-research/federated, utils/optimizers/yogi.py; Flower's:
    src/py/flwr/server/strategy/fedyogi.py.
    """
    import tensorflow as tf
    import tensorflow_federated as tff

    def second(v: Any, square: Any) -> Any:
        return v - (1 - beta_2) * square * tf.sign(v - square)

    def make(rate: float) -> Any:
        if step == "code":
            return tff.learning.optimizers.build_yogi(
                rate, beta_1, beta_2, tau, initial_preconditioner_value=0.0
            )
        return _adaptive(rate, tau, beta_1, second, start=tau**2)

    server = inputs.server_step(make)
    return fedavg(replace(inputs, server_optimizer=server), weighting=weighting)


def _adaptive(rate: float, tau: float, beta_1: float, second: _Second, start: float) -> Any:
    """Lines 10 to 14 of the paper's algorithm 2, with v from `start`.

    What TFF calls the gradient is the change with its sign turned.
    """
    import tensorflow as tf
    import tensorflow_federated as tff

    key = tff.learning.optimizers.LEARNING_RATE_KEY

    def each(function: Callable[..., Any], like: Any, *structures: Any) -> Any:
        leaves = map(tf.nest.flatten, (like, *structures))
        return tf.nest.pack_sequence_as(like, [function(*one) for one in zip(*leaves)])

    class Adaptive(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            return OrderedDict(
                {key: rate},
                m=each(lambda s: tf.zeros(s.shape, s.dtype), specs),
                v=each(lambda s: tf.fill(s.shape, tf.constant(start, s.dtype)), specs),
            )

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            m = each(lambda m, g: beta_1 * m - (1 - beta_1) * g, state["m"], gradients)
            v = each(lambda v, g: second(v, tf.square(g)), state["v"], gradients)
            eta = state[key]
            weights = each(lambda w, m, v: w + eta * m / (tf.sqrt(v) + tau), weights, m, v)
            return OrderedDict({key: eta}, m=m, v=v), weights

    return Adaptive()
