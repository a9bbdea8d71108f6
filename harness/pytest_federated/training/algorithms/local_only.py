"""Local training only: what each client can do without the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.core.errors import ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import alone, types_of
from pytest_federated.training.algorithms.own_models import OwnModels
from pytest_federated.training.engine.standard import arguments
from pytest_federated.training.optimizers import rates


class State(NamedTuple):
    """Of all clients, along the first axis of each array: weights, state of the optimizer."""

    weights: Any
    optimizer: Any


@algorithms(
    "local_only",
    unused=("server_optimizer",),
    refuses={"training.server_optimizer.schedule": "there is no step of a server"},
    keeps_of_clients="a model",
    has_no_global_model=True,
    aggregates_itself=True,
    traffic=lambda s: (0, 0),
    fixes_updates=True,
    tff=TffComposition(
        "tff.federated_map",
        client_work="steps from its own weights",
        aggregator="none",
        finalizer="none",
        distributor="nothing",
    ),
)
def local_only(inputs: AlgorithmInputs) -> Algorithm:
    """Each client trains its own model alone: the lower bound of a federation.

    All begin with the same weights. In each round the clients of the cohort continue with their
    own, and nothing is sent; a client that is in no cohort counts with its initial weights. The
    expectation gain_over_local therefore trains all clients in every round. The client optimizer
    keeps its state from round to round. Accuracy and loss are means over the clients' models: on
    the shared test set or, where clients have test examples of their own (`holdout: per_client`,
    or a test set that says whose they are), on these, weighted by their number. All models are kept
    in memory.

    Source: the "local" baseline of Li et al., Ditto, ICML 2021, section 4, arXiv:2012.04221.
    """
    return _LocalOnly(inputs)


class _LocalOnly(OwnModels):
    def __init__(self, inputs: AlgorithmInputs) -> None:
        tff: Any = import_tff()
        lasting = rates.lasting(inputs.client_optimizer, inputs.scheduled)
        inputs = replace(inputs, client_optimizer=lasting)
        types, finalizers = types_of(inputs)
        self._draws = types.has_keys
        self._initial, train_client = alone(inputs, types)

        @tff.federated_computation(
            tff.FederatedType(types.weights, tff.CLIENTS),
            tff.FederatedType(types.optimizer, tff.CLIENTS),
            tff.FederatedType(types.data, tff.CLIENTS),
        )
        def next_round(weights: Any, optimizer: Any, data: Any) -> Any:
            new, optimizer, metrics = tff.federated_map(train_client, (weights, optimizer, data))
            train = tff.learning.metrics.sum_then_finalize(finalizers)(metrics)
            return new, optimizer, train

        self.computation = next_round

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> State:
        import tensorflow as tf

        def of_all(value: Any) -> np.ndarray:
            return np.repeat(np.asarray(value)[np.newaxis], len(data.clients), axis=0)

        return State(*tf.nest.map_structure(of_all, (weights, self._initial())))

    def next(
        self, state: State, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[State, Mapping[str, Any]]:
        import tensorflow as tf

        own = [_of(state, client) for client in cohort.clients]
        weights, optimizers, metrics = self.computation(
            [s.weights for s in own],
            [s.optimizer for s in own],
            arguments(
                cohort.examples, work, cohort.steps, keys=cohort.keys if self._draws else None
            ),
        )
        new = tf.nest.map_structure(np.copy, state)
        leaves = tf.nest.flatten(new)
        for client, *trained in zip(cohort.clients, weights, optimizers):
            for leaf, value in zip(leaves, tf.nest.flatten(trained)):
                leaf[client] = value
        return new, metrics

    def weights(self, state: State) -> Any:
        raise ModelError("local_only has no model that all clients share")

    def own_weights(self, state: State, client: int) -> Any:
        return _of(state, client).weights


def _of(state: State, client: int) -> State:
    """The state of one client."""
    import tensorflow as tf

    return tf.nest.map_structure(lambda leaf: leaf[client], state)
