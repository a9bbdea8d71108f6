"""SCAFFOLD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

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
    zeros,
)
from pytest_federated.training.algorithms.stateful import Sent, StatefulAlgorithm


@algorithms(
    "scaffold",
    packs=True,
    by_population=True,
    keeps_of_clients="a control variate",
    unprotected="the changes of its control variates",
    client_sgd="plain",
    traffic=lambda s: (s.weights + s.trainable, 2 * s.trainable),
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="steps of SGD, corrected by its control variate",
        aggregator="mean of changes; sum of changes of control variates",
        distributor="the weights; the server's control variate",
    ),
)
def scaffold(
    inputs: AlgorithmInputs, *, weighting: Literal["uniform", "examples"] = "uniform"
) -> Algorithm:
    """SCAFFOLD: control variates correct the drift between clients with different data.

    A local step goes along g - c_i + c, where c_i is the client's control variate and c the mean
    over all clients. After its steps, K of them at rate eta, a client sets c_i to c_i - c + (x - y)
    / (K eta), the paper's option II, x and y being the weights before and after. The paper averages
    uniformly. Needs plain SGD as client optimizer, and a sampling that draws no client twice in a
    round: only one of its two changes of c_i would be kept, while both change c. The control
    variates of all clients are kept in memory, each as large as a model. Composed of TFF's
    distributor, aggregator and finalizer, with our own client work.

    Source: Karimireddy et al., SCAFFOLD: Stochastic Controlled Averaging for Federated Learning,
    ICML 2020, algorithm 1, arXiv:1910.06378.
    """
    return _Scaffold(inputs, weighting)


class _Scaffold(StatefulAlgorithm):
    def __init__(self, inputs: AlgorithmInputs, weighting: str) -> None:
        self._rate_key, _ = sgd_state_keys(inputs, "scaffold", "plain")
        self._weighting = weighting
        super().__init__(inputs)

    def server_keeps(self, specs: Sequence[Any]) -> Sequence[Any]:
        return zeros(specs)

    def client_keeps(self, weights: Any) -> Sequence[Any]:
        return zeros(weights.trainable)

    def no_sums(self, specs: Sequence[Any]) -> Sequence[Any]:
        return zeros(specs)

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        optimizer = initial_optimizer(self.inputs, weights.trainable, data["rate"])
        rate = tf.convert_to_tensor(optimizer[self._rate_key])
        correction = tuple(c - c_i for c, c_i in zip(server, kept))
        trained = train(
            *(self.inputs, weights, optimizer, data["batches"]),
            correct=lambda gradients, _: [g + c for g, c in zip(gradients, correction)],
        )
        change = [x - y for x, y in zip(weights.trainable, trained.weights)]
        steps = tf.cast(trained.steps, tf.float32)
        moved = [tf.math.divide_no_nan(d, steps * rate) - c for d, c in zip(change, server)]
        weight = trained.examples if self._weighting == "examples" else tf.constant(1.0)
        own = [c_i + m for c_i, m in zip(kept, moved)]
        return Sent(change, weight, own, moved, trained.metrics)

    def step(
        self, server: Sequence[Any], change: Sequence[Any], sums: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        return [c + m / self.inputs.population for c, m in zip(server, sums)], change
