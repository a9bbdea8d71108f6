"""FedPer and FedRep: averaging of some layers, while each client keeps the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_layers import (
    LocalLayers,
    divided,
    in_order,
    keras_adapter,
)
from pytest_federated.training.algorithms.local_steps import Trained, initial_optimizer, train
from pytest_federated.training.algorithms.own_models import OwnModels
from pytest_federated.training.algorithms.stateful import Sent, State, StatefulAlgorithm


@algorithms(
    "fedper",
    example={"local_layers": "last"},
    packs=True,
    keeps_of_clients="layers",
    has_no_global_model=True,
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="steps on all layers, or on its own and then on the shared ones",
        distributor="the shared weights",
    ),
)
def fedper(
    inputs: AlgorithmInputs,
    *,
    local_layers: LocalLayers = "last",
    head_epochs: Annotated[
        Optional[int], Field(ge=1, description="Passes over its own layers first: FedRep.")
    ] = None,
    weighting: Literal["examples", "uniform"] = "examples",
) -> Algorithm:
    """FedPer: some layers are each client's own and stay with it; the others are averaged.

    A client trains all layers together, its own from where it left them, and sends the change of
    the shared ones. With `head_epochs` it is FedRep: a client first trains its own layers alone, in
    so many passes over its examples, and then only the shared ones for `local_epochs`; a round's
    loss, accuracy and number of examples are those of the second part, which stragglers cut short.
    A client's own layers begin with the model's initial weights, and the client optimizer begins
    anew in each round and part. Accuracy and loss are means over the clients' models: on the shared
    test set or, where clients have test examples of their own (`holdout: per_client`, or a test set
    that says whose they are), on these. The own layers of all clients are kept in memory. In
    contrast to `fed_recon`, clients keep their layers from round to round. Composed of TFF's
    distributor, aggregator and finalizer, with our own client work.

    Source: Arivazhagan et al., Federated Learning with Personalization Layers, 2019, algorithms 1
    and 2, arXiv:1912.00818; FedRep: Collins et al., Exploiting Shared Representations for
    Personalized Federated Learning, ICML 2021, algorithm 1, arXiv:2102.07078.
    """
    return _FedPer(inputs, local_layers, head_epochs, weighting)


class _FedPer(OwnModels, StatefulAlgorithm):
    def __init__(
        self,
        inputs: AlgorithmInputs,
        local_layers: Any,
        head_epochs: Optional[int],
        weighting: str,
    ) -> None:
        self._weighting = weighting
        if head_epochs is not None:
            self.passes = {"head": head_epochs}
        model = keras_adapter(inputs, "fedper").model
        self._shared, self._local = divided(model, local_layers, "fedper")
        super().__init__(inputs)

    def shared(self, weights: Any) -> Any:
        tff: Any = import_tff()
        trainable = [weights.trainable[i] for i in self._shared]
        return tff.learning.models.ModelWeights(trainable, weights.non_trainable)

    sent = shared

    def client_keeps(self, weights: Any) -> Sequence[Any]:
        return [weights.trainable[i] for i in self._local]

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        if "head" not in self.passes:
            trained = self._train(weights, kept, data, "batches", None)
            new = [trained.weights[i] for i in self._shared]
            own: Sequence[Any] = [trained.weights[i] for i in self._local]
        else:
            own = self._train(weights, kept, data, "head", self._local).weights
            trained = self._train(weights, own, data, "batches", self._shared)
            new = trained.weights
        weight = trained.examples if self._weighting == "examples" else tf.constant(1.0)
        change = [x - y for x, y in zip(weights.trainable, new)]
        return Sent(change, weight, own, [], trained.metrics)

    def _train(
        self,
        weights: Any,
        own: Sequence[Any],
        data: Any,
        batches: str,
        trained: Optional[Sequence[int]],
    ) -> Trained:
        """Trains all layers, or those of these positions, inside a computation.

        On those of the `data` that are named by `batches`.
        """
        whole = self._whole(weights, own)
        chosen = whole.trainable if trained is None else [whole.trainable[i] for i in trained]
        optimizer = initial_optimizer(self.inputs, chosen, data["rate"])
        return train(self.inputs, whole, optimizer, data[batches], trained=trained)

    def _whole(self, weights: Any, own: Sequence[Any]) -> Any:
        tff: Any = import_tff()
        trainable = in_order([*self._shared, *self._local], [*weights.trainable, *own])
        return tff.learning.models.ModelWeights(trainable, weights.non_trainable)

    def own_weights(self, state: State, client: int) -> Any:
        tff: Any = import_tff()
        whole = self._whole(
            state.server.global_model_weights, [value[client] for value in state.kept]
        )
        groups = (whole.trainable, whole.non_trainable)
        return tff.learning.models.ModelWeights(*([np.asarray(w) for w in g] for g in groups))

    def weights(self, state: State) -> Any:
        raise ModelError("fedper has no model that all clients share")
