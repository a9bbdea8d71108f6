"""FedNova."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import (
    initial_optimizer,
    sgd_state_keys,
    train,
)
from pytest_federated.training.algorithms.stateful import Sent, StatefulAlgorithm


@algorithms(
    "fednova",
    packs=True,
    client_sgd="with momentum",
    unprotected="its number of local steps",
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="steps of SGD; the change per step",
        aggregator="weighted mean; sums of local steps and of examples",
        finalizer="step of the server optimizer, along the mean times the mean number of steps",
    ),
)
def fednova(inputs: AlgorithmInputs) -> Algorithm:
    """FedNova: averages the clients' changes per local step, so that more steps are no more weight.

    A client divides its change by its number of local steps; the server takes the mean of these,
    weighted by the examples that clients hold, times the mean number of steps, weighted likewise.
    With momentum beta, a client's k steps count as the weights that they give to its gradients: the
    sum of (1 - beta^j) / (1 - beta) for j from 1 to k. Where all clients do the same number of
    steps it is FedAvg. Composed of TFF's distributor, aggregator and finalizer, with our own client
    work.

    Source: Wang et al., Tackling the Objective Inconsistency Problem in Heterogeneous Federated
    Optimization, NeurIPS 2020, equation 9 and section 4, arXiv:2007.07481; the authors' code:
    JYWa/FedNova, distoptim/FedNova.py.
    """
    return _FedNova(inputs)


class _FedNova(StatefulAlgorithm):
    def __init__(self, inputs: AlgorithmInputs) -> None:
        _, self._momentum_key = sgd_state_keys(inputs, "fednova", "with momentum")
        super().__init__(inputs)

    def no_sums(self, specs: Sequence[Any]) -> Sequence[Any]:
        import tensorflow as tf

        return [tf.constant(0.0), tf.constant(0.0)]

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        optimizer = initial_optimizer(self.inputs, weights.trainable, data["rate"])
        trained = train(self.inputs, weights, optimizer, data["batches"])
        counted = _counted(trained.steps, optimizer.get(self._momentum_key))
        change = [
            tf.math.divide_no_nan(x - y, counted)
            for x, y in zip(weights.trainable, trained.weights)
        ]
        held = data["held"]
        return Sent(change, held, [], [held * counted, held], trained.metrics)

    def step(
        self, server: Sequence[Any], change: Sequence[Any], sums: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        import tensorflow as tf

        steps = tf.math.divide_no_nan(sums[0], sums[1])
        return server, [steps * c for c in change]


def _counted(steps: Any, momentum: Any) -> Any:
    """Returns the sum of the weights that SGD's steps give to their gradients, float32."""
    import tensorflow as tf

    steps = tf.cast(steps, tf.float32)
    if momentum is None:
        return steps
    left = 1 - tf.convert_to_tensor(momentum)
    return (steps - momentum * (1 - tf.pow(momentum, steps)) / left) / left
