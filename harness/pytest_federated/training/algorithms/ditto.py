"""Ditto."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import initial_optimizer, train
from pytest_federated.training.algorithms.own_models import OwnModels
from pytest_federated.training.algorithms.stateful import Sent, State, StatefulAlgorithm


@algorithms(
    "ditto",
    example={"penalty": 0.1},
    packs=True,
    keeps_of_clients="a model",
    has_no_global_model=True,
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="steps on the sent model; steps on its own model, drawn to the sent one",
    ),
)
def ditto(
    inputs: AlgorithmInputs,
    *,
    penalty: Annotated[float, Field(ge=0, allow_inf_nan=False, description="The paper's lambda.")],
    weighting: Literal["examples", "uniform"] = "examples",
) -> Algorithm:
    """Ditto: FedAvg, beside which each client trains a model of its own that stays close to it.

    A client of the cohort trains the model that the server sent, as in FedAvg, and then its own
    model v on the same batches, with penalty (v - w) added to the gradient, w being the weights
    that the server sent. With penalty 0 its own models are those of `local_only`; the larger it is,
    the closer they are to FedAvg's. All begin with the model's initial weights, and the client
    optimizer begins anew in each round. Accuracy and loss are means over the clients' own models:
    on the shared test set or, where clients have test examples of their own (`holdout: per_client`,
    or a test set that says whose they are), on these. The model that clients share is that of
    `fedavg`. All models are kept in memory. Composed of TFF's distributor, aggregator and
    finalizer, with our own client work.

    Source: Li et al., Ditto: Fair and Robust Federated Learning Through Personalization, ICML 2021,
    algorithm 1, arXiv:2012.04221; the authors' code: litian96/ditto,
    flearn/trainers_MTL/ditto.py.
    """
    return _Ditto(inputs, penalty, weighting)


class _Ditto(OwnModels, StatefulAlgorithm):
    def __init__(self, inputs: AlgorithmInputs, penalty: float, weighting: str) -> None:
        self._penalty, self._weighting = penalty, weighting
        super().__init__(inputs)

    def client_keeps(self, weights: Any) -> Sequence[Any]:
        return weights.trainable

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        tff: Any = import_tff()
        center = weights.trainable

        def drawn_to_center(gradients: Sequence[Any], own: Sequence[Any]) -> Sequence[Any]:
            return [g + self._penalty * (v - w) for g, v, w in zip(gradients, own, center)]

        def optimizer() -> Any:
            return initial_optimizer(self.inputs, center, data["rate"])

        shared = train(self.inputs, weights, optimizer(), data["batches"])
        own_weights = tff.learning.models.ModelWeights(list(kept), weights.non_trainable)
        own = train(
            *(self.inputs, own_weights, optimizer(), data["batches"]), correct=drawn_to_center
        )
        weight = shared.examples if self._weighting == "examples" else tf.constant(1.0)
        change = [x - y for x, y in zip(center, shared.weights)]
        return Sent(change, weight, own.weights, [], shared.metrics)

    def own_weights(self, state: State, client: int) -> Any:
        tff: Any = import_tff()
        fixed = [np.asarray(w) for w in super().weights(state).non_trainable]
        return tff.learning.models.ModelWeights([value[client] for value in state.kept], fixed)
