"""FedDyn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import initial_optimizer, train, zeros
from pytest_federated.training.algorithms.stateful import Sent, StatefulAlgorithm


@algorithms(
    "feddyn",
    example={"alpha": 0.1},
    packs=True,
    by_population=True,
    keeps_of_clients="a gradient",
    unprotected="that they took part",
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="steps of the client optimizer on the loss with its dynamic regularizer",
        aggregator="mean of changes; number of clients",
        finalizer="step of the server optimizer, with the sum of all changes so far",
    ),
)
def feddyn(
    inputs: AlgorithmInputs,
    *,
    alpha: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="Strength of the regularizer.")
    ],
) -> Algorithm:
    """FedDyn: a regularizer that a client updates every round lets its optimum be the common one.

    To the gradient of its loss a client adds alpha (w - w0) - g_i, where w0 are the weights that
    the server sent. After its steps it sets g_i, zero at first, to g_i - alpha (w - w0). The server
    adds alpha / m times the sum of the changes w - w0 to -h, m being the number of all clients and
    h zero at first, and takes the mean of the clients' weights less h / alpha. All clients count
    the same. The gradients g_i of all clients are kept in memory, each as large as a model, and no
    client may be drawn twice in a round. Composed of TFF's distributor, aggregator and finalizer,
    with our own client work.

    Source: Acar et al., Federated Learning Based on Dynamic Regularization, ICLR 2021, algorithm 1,
    arXiv:2111.04263; the authors' code: alpemreacar/FedDyn, utils_methods.py.
    """
    return _FedDyn(inputs, alpha)


class _FedDyn(StatefulAlgorithm):
    def __init__(self, inputs: AlgorithmInputs, alpha: float) -> None:
        self._alpha = alpha
        super().__init__(inputs)

    def server_keeps(self, specs: Sequence[Any]) -> Sequence[Any]:
        return zeros(specs)

    def client_keeps(self, weights: Any) -> Sequence[Any]:
        return zeros(weights.trainable)

    def no_sums(self, specs: Sequence[Any]) -> Sequence[Any]:
        import tensorflow as tf

        return [tf.constant(0.0)]

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        start = weights.trainable

        def regularized(gradients: Sequence[Any], current: Sequence[Any]) -> Sequence[Any]:
            parts = zip(gradients, current, start, kept)
            return [g + self._alpha * (w - w0) - g_i for g, w, w0, g_i in parts]

        optimizer = initial_optimizer(self.inputs, start, data["rate"])
        trained = train(self.inputs, weights, optimizer, data["batches"], correct=regularized)
        change = [x - y for x, y in zip(start, trained.weights)]
        own = [g_i + self._alpha * c for g_i, c in zip(kept, change)]
        return Sent(change, tf.constant(1.0), own, [tf.constant(1.0)], trained.metrics)

    def step(
        self, server: Sequence[Any], change: Sequence[Any], sums: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        share = sums[0] / self.inputs.population
        h = [h + self._alpha * share * c for h, c in zip(server, change)]
        return h, [c + h / self._alpha for c, h in zip(change, h)]
