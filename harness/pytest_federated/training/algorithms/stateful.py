"""Federated averaging whose clients keep something, or send more than their weights' change."""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import Algorithm, AlgorithmInputs
from pytest_federated.training.algorithms.local_steps import types_of
from pytest_federated.training.engine.standard import arguments


class State(NamedTuple):
    """TFF's state of the server, and what all clients keep, along the first axis of each array.

    The server's `client_work` is what it keeps beside the weights.
    """

    server: Any
    kept: list[np.ndarray]


class Sent(NamedTuple):
    """What comes of a client's training, as tensors.

    Attributes:
        change: start less end of each weight that clients share, as TFF has it.
        weight: float32, how much the client counts in the mean.
        kept: what the client keeps until it takes part again.
        sums: what the server gets the sum over the cohort of.
        metrics: those of TFF's model, not yet finalized.

    """

    change: Sequence[Any]
    weight: Any
    kept: Sequence[Any]
    sums: Sequence[Any]
    metrics: Any


class StatefulAlgorithm(Algorithm):
    """TFF's distributor, aggregator and finalizer around the two steps of a subclass.

    A client whose change is not finite counts for nothing, as in TFF, and keeps what it had.
    """

    def __init__(self, inputs: AlgorithmInputs) -> None:
        import tensorflow as tf

        tff: Any = import_tff()
        templates = tff.learning.templates
        self.inputs = inputs
        self.types, finalizers = types_of(inputs)

        @tff.tensorflow.computation
        def initial_weights() -> Any:
            return self.shared(
                tff.learning.models.ModelWeights.from_model(cast(Any, inputs.model)())
            )

        weights_type = initial_weights.type_signature.result

        @tff.tensorflow.computation
        def before() -> Any:
            specs = [tf.TensorSpec(t.shape, t.dtype) for t in weights_type.trainable]
            return list(self.server_keeps(specs))

        @tff.tensorflow.computation(self.types.weights)
        def before_of_client(weights: Any) -> Any:
            return list(self.client_keeps(weights))

        server_type, kept_type = (
            before.type_signature.result,
            before_of_client.type_signature.result,
        )
        data_type = self.data_type()
        distributor = templates.build_broadcast_process(weights_type)
        aggregator = (inputs.aggregator or tff.aggregators.MeanFactory()).create(
            weights_type.trainable, tff.TensorType(np.float32)
        )
        finalizer = templates.build_apply_optimizer_finalizer(inputs.server_optimizer, weights_type)

        @tff.tensorflow.computation(weights_type, server_type, kept_type, data_type)
        def train_client(weights: Any, server: Any, kept: Any, data: Any) -> Any:
            sent = self.train_client(weights, server, kept, data)
            is_finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(c)) for c in sent.change])

            def if_finite(value: Any, otherwise: Any = None) -> Any:
                return tf.where(is_finite, value, tf.zeros_like(value))

            return (
                templates.ClientResult([if_finite(c) for c in sent.change], if_finite(sent.weight)),
                [tf.where(is_finite, new, old) for new, old in zip(sent.kept, kept)],
                [if_finite(s) for s in sent.sums],
                tf.nest.map_structure(if_finite, sent.metrics),
            )

        sums_type = train_client.type_signature.result[2]

        @tff.tensorflow.computation(server_type, weights_type.trainable, sums_type)
        def step(server: Any, change: Any, sums: Any) -> Any:
            server, gradient = self.step(list(server), list(change), list(sums))
            return list(server), list(gradient)

        @tff.federated_computation
        def initialize() -> Any:
            return tff.federated_zip(
                templates.LearningAlgorithmState(
                    tff.federated_eval(initial_weights, tff.SERVER),
                    distributor.initialize(),
                    tff.federated_eval(before, tff.SERVER),
                    aggregator.initialize(),
                    finalizer.initialize(),
                )
            )

        state_type = initialize.type_signature.result.member

        @tff.tensorflow.computation(state_type, self.types.weights)
        def set_weights(state: Any, weights: Any) -> Any:
            return templates.LearningAlgorithmState(
                self.shared(weights),
                state.distributor,
                state.client_work,
                state.aggregator,
                state.finalizer,
            )

        @tff.federated_computation(
            tff.FederatedType(state_type, tff.SERVER),
            tff.FederatedType(kept_type, tff.CLIENTS),
            tff.FederatedType(data_type, tff.CLIENTS),
        )
        def next_round(state: Any, kept: Any, data: Any) -> Any:
            sent = distributor.next(state.distributor, state.global_model_weights)
            server = tff.federated_broadcast(state.client_work)
            result, new, sums, metrics = tff.federated_map(
                train_client, (sent.result, server, kept, data)
            )
            mean = aggregator.next(state.aggregator, result.update, result.update_weight)
            server, gradient = tff.federated_map(
                step, (state.client_work, mean.result, tff.federated_sum(sums))
            )
            done = finalizer.next(state.finalizer, state.global_model_weights, gradient)
            train = tff.learning.metrics.sum_then_finalize(finalizers)(metrics)
            state = templates.LearningAlgorithmState(
                done.result, sent.state, server, mean.state, done.state
            )
            measured = tff.federated_zip(OrderedDict(train=train))
            return tff.federated_zip(state), measured, new

        self._initialize, self._set_weights, self._kept = initialize, set_weights, before_of_client
        self.computation = next_round

    @abc.abstractmethod
    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        """Trains a client, inside a `tff.tensorflow.computation`.

        Args:
            weights: what the server sent, as of `shared`.
            server: what the server keeps beside them.
            kept: what the client keeps.
            data: what `clients_data` gives a client.
        """

    def client_keeps(self, weights: Any) -> Sequence[Any]:
        """Returns what a client keeps before its first round, as tensors.

        Args:
            weights: `tff.learning.models.ModelWeights` of the whole model.
        """
        return []

    def server_keeps(self, specs: Sequence[Any]) -> Sequence[Any]:
        """Returns what the server keeps beside the weights before the first round, as tensors.

        Args:
            specs: `tf.TensorSpec`s of the weights that are trained and shared.
        """
        return []

    def step(
        self, server: Sequence[Any], change: Sequence[Any], sums: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Returns what the server keeps after a round, and what its optimizer takes as gradient.

        Args:
            server: what it kept before.
            change: of the weights, start less end, from the aggregator.
            sums: of what the clients sent beside it.
        """
        return server, change

    def shared(self, weights: Any) -> Any:
        """Returns those of a model's `tff.learning.models.ModelWeights` that the server has."""
        return weights

    def data_type(self) -> Any:
        """Returns the TFF type of what a client trains on."""
        return self.types.data

    def clients_data(self, cohort: Cohort, work: LocalWork) -> Sequence[Any]:
        """Returns what each client of a cohort trains on."""
        keys = cohort.keys if self.types.has_keys else None
        return arguments(cohort.examples, work, cohort.steps, keys=keys)

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> State:
        server = self._set_weights(self._initialize(), weights)
        of_client = [np.asarray(value) for value in self._kept(weights)]
        count = len(data.clients)
        return State(server, [np.repeat(value[np.newaxis], count, axis=0) for value in of_client])

    def next(
        self, state: State, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[State, Mapping[str, Any]]:
        own = [[value[client] for value in state.kept] for client in cohort.clients]
        server, measured, new = self.computation(state.server, own, self.clients_data(cohort, work))
        kept = [value.copy() for value in state.kept]
        for client, changed in zip(cohort.clients, new):
            for values, value in zip(kept, changed):
                values[client] = value
        return State(server, kept), measured["train"]

    def weights(self, state: State) -> Any:
        return state.server.global_model_weights


def zipped(**parts: Sequence[Any]) -> list[Any]:
    """Returns for each client a struct of its parts, such as several data sets."""
    tff: Any = import_tff()
    return [tff.structure.Struct(list(zip(parts, of_client))) for of_client in zip(*parts.values())]
