"""q-FedAvg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import (
    initial_optimizer,
    mean_loss,
    sgd_state_keys,
    train,
)
from pytest_federated.training.algorithms.stateful import Sent, StatefulAlgorithm

# As in the authors' code, so that a loss of 0 has a power.
_LEAST_LOSS = 1e-10


@algorithms(
    "q_fedavg",
    example={"q": 1.0},
    packs=True,
    aggregates_itself=True,
    client_sgd="plain",
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="loss of the weights; steps of SGD",
        aggregator="mean, weighted by the estimated Lipschitz constants",
    ),
)
def q_fedavg(
    inputs: AlgorithmInputs,
    *,
    q: Annotated[float, Field(ge=0, allow_inf_nan=False, description="The larger, the more even.")],
) -> Algorithm:
    """q-FedAvg: gives more weight to clients that the model serves badly, for even accuracies.

    Of a client F is the loss of the weights that the server sent, over all its examples, and D the
    change of its local SGD divided by the learning rate eta. The server steps along the sum of the
    F^q D, divided by the sum of the q F^(q - 1) |D|^2 + F^q / eta, which estimate a Lipschitz
    constant. With q 0 it is FedAvg with uniform weighting. The losses have to be positive. Composed
    of TFF's distributor, mean and finalizer, with our own client work.

    Source: Li et al., Fair Resource Allocation in Federated Learning, ICLR 2020, algorithm 2,
    arXiv:1905.10497; the authors' code: litian96/fair_flearn, flearn/trainers/qffedavg.py.
    """
    return _QFedAvg(inputs, q)


class _QFedAvg(StatefulAlgorithm):
    passes: Mapping[str, int] = {"once": 1}

    def __init__(self, inputs: AlgorithmInputs, q: float) -> None:
        self._q = q
        self._rate_key, _ = sgd_state_keys(inputs, "q_fedavg", "plain")
        super().__init__(inputs)

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        optimizer = initial_optimizer(self.inputs, weights.trainable, data["rate"])
        rate = tf.convert_to_tensor(optimizer[self._rate_key])
        rate = tf.where(rate > 0, rate, 1.0)  # at a rate of 0 it divides a change of 0
        loss = mean_loss(self.inputs, weights, data["once"]) + _LEAST_LOSS
        trained = train(self.inputs, weights, optimizer, data["batches"])
        steepness = [(x - y) / rate for x, y in zip(weights.trainable, trained.weights)]
        norm = tf.add_n([tf.reduce_sum(tf.square(d)) for d in steepness])
        constant = self._q * tf.pow(loss, self._q - 1) * norm + tf.pow(loss, self._q) / rate
        # The mean, weighted by the constants, divides by their sum.
        change = [tf.pow(loss, self._q) * d / constant for d in steepness]
        return Sent(change, constant, [], [], trained.metrics)
