"""Centralized training: what could be had if the data were in one place."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import alone, types_of
from pytest_federated.training.engine.standard import arguments
from pytest_federated.training.optimizers import rates


class State(NamedTuple):
    """The model's weights, and the state of its optimizer."""

    weights: Any
    optimizer: Any


@algorithms(
    "centralized",
    unused=("server_optimizer",),
    refuses={"training.server_optimizer.schedule": "there is no step of a server"},
    traffic=lambda s: (0, 0),
    aggregates_itself=True,
    fixes_updates=True,
    tff=TffComposition(
        "tff.tensorflow.computation",
        client_work="steps on the pooled examples, at the server",
        aggregator="none",
        finalizer="none",
        distributor="nothing",
    ),
)
def centralized(inputs: AlgorithmInputs) -> Algorithm:
    """One model on the pooled examples of the round's cohort: the upper bound of a federation.

    A round uses the same examples as a round of FedAvg: those of the cohort, `local_epochs` times,
    shuffled together; of a straggler's examples, only those that it processes. With `local_steps`
    it takes as many steps as the cohort would, together. The client optimizer keeps its state from
    round to round. With one client and plain SGD it is FedAvg.

    Source: the "centralized" baseline of Hsu et al., arXiv:1909.06335, section 4.
    """
    return _Centralized(inputs)


class _Centralized(Algorithm):
    def __init__(self, inputs: AlgorithmInputs) -> None:
        tff: Any = import_tff()
        lasting = rates.lasting(inputs.client_optimizer, inputs.scheduled)
        inputs = replace(inputs, client_optimizer=lasting)
        types, finalizers = types_of(inputs)
        self._draws = types.has_keys
        self._initial, train_pool = alone(inputs, types)

        @tff.tensorflow.computation(train_pool.type_signature.result[2])
        def finalize(metrics: Any) -> Any:
            return {name: finalizers[name](metrics[name]) for name in finalizers}

        @tff.federated_computation(
            tff.FederatedType(types.weights, tff.SERVER),
            tff.FederatedType(types.optimizer, tff.SERVER),
            tff.FederatedType(types.data, tff.SERVER),
        )
        def next_round(weights: Any, optimizer: Any, pool: Any) -> Any:
            new, optimizer, metrics = tff.federated_map(train_pool, (weights, optimizer, pool))
            return new, optimizer, tff.federated_map(finalize, metrics)

        self.computation = next_round

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> State:
        return State(weights, self._initial())

    def next(
        self, state: State, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[State, Mapping[str, Any]]:
        x = np.concatenate([client.x for client in cohort.examples])
        y = np.concatenate([client.y for client in cohort.examples])
        # The examples of a client are shuffled already.
        order = rng.permutation(len(y)) if len(cohort.clients) > 1 else slice(None)
        x, y = x[order], y[order]
        key = cohort.keys[:1]
        if work.steps is not None:
            steps = np.array([sum(cohort.steps)])
            keys = key if self._draws else None
            (pool,) = arguments([Examples(x, y)], work, steps, keys=keys)
        elif cohort.stragglers:  # fewer examples from epoch to epoch
            passes = np.concatenate(cohort.passes(work.batch_size))[order]
            epochs = [passes > done for done in range(passes.max())]
            once = work._replace(epochs=1)
            left = [Examples(x[is_left], y[is_left]) for is_left in epochs]
            pools = arguments(left, once, keys=np.repeat(key, len(left)) if self._draws else None)
            pool = functools.reduce(lambda first, then: first.concatenate(then), pools)
        else:
            (pool,) = arguments([Examples(x, y)], work, keys=key if self._draws else None)
        weights, optimizer, metrics = self.computation(state.weights, state.optimizer, pool)
        return State(weights, optimizer), metrics

    def weights(self, state: State) -> Any:
        return state.weights
