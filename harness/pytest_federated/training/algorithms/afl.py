"""AFL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from pytest_federated.data.federation import FederatedData
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import initial_optimizer, mean_loss, train
from pytest_federated.training.algorithms.stateful import Sent, State, StatefulAlgorithm


@algorithms(
    "afl",
    example={"lambda_rate": 0.1},
    packs=True,
    by_population=True,
    aggregates_itself=True,
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="loss of the weights; steps of the client optimizer",
        aggregator="mean of changes times the client's weight; losses by client",
        finalizer="step of the server optimizer; step of the clients' weights along the losses",
        distributor="the weights; the clients' weights",
    ),
)
def afl(
    inputs: AlgorithmInputs,
    *,
    lambda_rate: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="The paper's gamma_lambda.")
    ],
) -> Algorithm:
    """AFL, agnostic federated learning: gets ready for the mixture of clients that is worst for it.

    The server keeps a weight lambda of each client, all the same at first and 1 in sum. It takes
    the sum over clients of lambda times their change, and adds to each lambda `lambda_rate` times
    the client's loss at the weights that the server sent; then the lambdas are projected onto the
    simplex, so that the clients that the model serves worst count most, and others may not count at
    all. Of m of the p clients in a round both sums are taken p/m times, which is right in
    expectation. With one local step of SGD it is the paper's; more are those of agnostic FedAvg.
    The model is that of the last round; the paper's bound is for the mean over rounds. Composed of
    TFF's distributor, mean and finalizer, with our own client work.

    Source: Mohri et al., Agnostic Federated Learning, ICML 2019, Stochastic-AFL, arXiv:1902.00146;
    Ro et al., Communication-Efficient Agnostic Federated Averaging, arXiv:2104.02748;
    litian96/fair_flearn, flearn/trainers/afl.py.
    """
    return _Afl(inputs, lambda_rate)


class _Afl(StatefulAlgorithm):
    """What a client keeps is its number; the server keeps all lambdas."""

    passes: Mapping[str, int] = {"once": 1}

    def __init__(self, inputs: AlgorithmInputs, lambda_rate: float) -> None:
        self._rate = lambda_rate
        super().__init__(inputs)

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> State:
        state = super().initialize(weights, data, rng)
        return State(state.server, [np.arange(len(data.clients), dtype=np.int32)])

    def client_keeps(self, weights: Any) -> Sequence[Any]:
        import tensorflow as tf

        return [tf.constant(0)]

    def server_keeps(self, specs: Sequence[Any]) -> Sequence[Any]:
        import tensorflow as tf

        count = self.inputs.population
        return [tf.fill([count], 1 / count)]

    def no_sums(self, specs: Sequence[Any]) -> Sequence[Any]:
        import tensorflow as tf

        return [tf.zeros([self.inputs.population]), tf.constant(0.0)]

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        (number,), count = kept, self.inputs.population
        loss = mean_loss(self.inputs, weights, data["once"])
        optimizer = initial_optimizer(self.inputs, weights.trainable, data["rate"])
        trained = train(self.inputs, weights, optimizer, data["batches"])
        factor = count * tf.gather(server[0], number)
        change = [factor * (x - y) for x, y in zip(weights.trainable, trained.weights)]
        sums = [loss * tf.one_hot(number, count), tf.constant(1.0)]
        return Sent(change, tf.constant(1.0), [number], sums, trained.metrics)

    def step(
        self, server: Sequence[Any], change: Sequence[Any], sums: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        import tensorflow as tf

        of_all = tf.math.divide_no_nan(float(self.inputs.population), sums[1])
        return [_on_simplex(server[0] + self._rate * of_all * sums[0])], change


def _on_simplex(values: Any) -> Any:
    """Returns the nearest vector of numbers that are not negative and have the sum 1.

    Source: Wang and Carreira-Perpinan, Projection onto the probability simplex, algorithm 1,
    arXiv:1309.1541.
    """
    import tensorflow as tf

    falling = tf.sort(values, direction="DESCENDING")
    excess = (tf.cumsum(falling) - 1) / tf.range(1.0, tf.size(values, tf.int32) + 1)
    last = tf.reduce_sum(tf.cast(falling > excess, tf.int32)) - 1
    return tf.maximum(values - excess[last], 0.0)
