"""Federated averaging whose clients keep something, or send more than their weights' change."""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import Algorithm, AlgorithmInputs
from pytest_federated.training.algorithms.local_steps import new_weights, types_of
from pytest_federated.training.engine import stacks
from pytest_federated.training.engine.process import Process, joined, packed_process, results
from pytest_federated.training.engine.stacks import PackedClient, Sent
from pytest_federated.training.engine.standard import arguments
from pytest_federated.training.optimizers import rates


class State(NamedTuple):
    """TFF's state of the server, and what all clients keep, along the first axis of each array.

    The server's `client_work` is what it keeps beside the weights, under `kept`.
    """

    server: Any
    kept: list[np.ndarray]


class StatefulAlgorithm(Algorithm):
    """TFF's distributor, aggregator and finalizer around the two steps of a subclass.

    For packed clients, a process with the same parts. A client whose change is not finite counts
    for nothing, as in TFF, and keeps what it had.

    Attributes:
        passes: what else clients train on, by name: so many passes over their batches.

    """

    passes: Mapping[str, int] = {}

    def __init__(self, inputs: AlgorithmInputs) -> None:
        tff: Any = import_tff()
        self.inputs = inputs
        self.types, finalizers = types_of(inputs)

        @tff.tensorflow.computation
        def initial_weights() -> Any:
            return self.shared(new_weights(inputs))

        weights_type = initial_weights.type_signature.result

        @tff.tensorflow.computation
        def before() -> Any:
            factor = rates.no_change(rates.CLIENT) if inputs.scheduled else {}
            return OrderedDict(kept=list(self.server_keeps(_specs(weights_type))), **factor)

        @tff.tensorflow.computation(self.types.weights)
        def before_of_client(weights: Any) -> Any:
            return list(self.client_keeps(weights))

        kept_type = before_of_client.type_signature.result
        build = self._packed if inputs.packed else partial(self._standard, finalizers)
        self._process: Process = build(initial_weights, before, kept_type)
        self.computation = self._process.next
        state_at_server: Any = self._process.initialize.type_signature.result

        @tff.tensorflow.computation(state_at_server.member, self.types.weights)
        def set_weights(state: Any, weights: Any) -> Any:
            return tff.learning.templates.LearningAlgorithmState(
                self.shared(weights),
                state.distributor,
                state.client_work,
                state.aggregator,
                state.finalizer,
            )

        self._set_weights, self._kept = set_weights, before_of_client

    @property
    def computations(self) -> Sequence[Any]:
        return self._process.computations

    def _standard(
        self, finalizers: Any, initial_weights: Any, before: Any, kept_type: Any
    ) -> Process:
        """Returns the process on clients that each have a placement."""
        import tensorflow as tf

        tff: Any = import_tff()
        templates = tff.learning.templates
        weights_type = initial_weights.type_signature.result
        server_type = before.type_signature.result
        once = [(name, self.types.data) for name in self.passes]
        data_type = tff.StructType(
            [("held", tff.TensorType(np.float32)), ("batches", self.types.data), *once]
        )
        distributor = templates.build_broadcast_process(weights_type)
        aggregator = (self.inputs.aggregator or tff.aggregators.MeanFactory()).create(
            weights_type.trainable, tff.TensorType(np.float32)
        )
        finalizer = templates.build_apply_optimizer_finalizer(
            self.inputs.server_optimizer, weights_type
        )

        @tff.tensorflow.computation(weights_type, server_type, kept_type, data_type)
        def train_client(weights: Any, server: Any, kept: Any, data: Any) -> Any:
            given = {"rate": server.get(rates.CLIENT), "held": data["held"]}
            given |= {name: data[name] for name in ("batches", *self.passes)}
            sent = self.train_client(weights, server["kept"], kept, given)
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
            new, gradient = self.step(list(server["kept"]), list(change), list(sums))
            return OrderedDict(server, kept=list(new)), list(gradient)

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
            return results(tff.federated_zip(state), measured, new)

        return Process(initialize, next_round)

    def _packed(self, initial_weights: Any, before: Any, kept_type: Any) -> Process:
        """Returns the process on packed clients."""
        import tensorflow as tf

        tff: Any = import_tff()
        model: Any = self.inputs.model
        optimizer = self.inputs.server_optimizer
        weights_type = initial_weights.type_signature.result
        stacked = [tff.TensorType(k.dtype, (None, *k.shape)) for k in kept_type]

        @tff.tensorflow.computation
        def initial_state() -> Any:
            finalizer = optimizer.initialize(tuple(_specs(weights_type)))
            return tff.learning.templates.LearningAlgorithmState(
                initial_weights(), (), before(), (), finalizer
            )

        def no_sums() -> Sequence[Any]:
            return [tf.convert_to_tensor(s) for s in self.no_sums(_specs(weights_type))]

        def training(received_type: Any, keeps_rows: bool) -> Any:
            @tff.tensorflow.computation(received_type, stacked, stacks.stack_type(model))
            def train_stack(received: Any, kept: Any, stack: Any) -> Any:
                # Without autograph, as in engine/packed.py.
                @tf.autograph.experimental.do_not_convert
                def run(weights: Any, server: Any, kept: Any, stack: Any) -> Any:
                    def train_client(client: PackedClient, own: Sequence[Any]) -> Sent:
                        again = {name: client.passes(n) for name, n in self.passes.items()}
                        data = {"rate": server.get(rates.CLIENT), "held": client.held}
                        data |= {"batches": client, **again}
                        return self.train_client(weights, server["kept"], own, data)

                    return stacks.train_stack(
                        *(model, stack, train_client, weights.trainable, keeps_rows),
                        *(kept, no_sums()),
                    )

                weights, server = received
                total, weight, metrics, sums, new = run(weights, server, list(kept), stack)
                trained = total, weight, (metrics, sums)
                return (trained if keeps_rows else joined(trained)), new

            return train_stack

        def step(state: Any, change: Sequence[Any], sums: Sequence[Any]) -> Any:
            weights = state.global_model_weights
            kept, gradient = self.step(list(state.client_work["kept"]), change, sums)
            finalizer, new = optimizer.next(
                state.finalizer, tuple(weights.trainable), tuple(gradient)
            )
            return state._replace(
                global_model_weights=tff.learning.models.ModelWeights(
                    list(new), weights.non_trainable
                ),
                client_work=OrderedDict(state.client_work, kept=list(kept)),
                finalizer=finalizer,
            )

        return packed_process(
            *(model, initial_state, training, step, stacked, no_sums, self.inputs.aggregator)
        )

    @abc.abstractmethod
    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        """Trains a client, inside a `tff.tensorflow.computation`.

        Args:
            weights: what the server sent, as of `shared`.
            server: what the server keeps beside them.
            kept: what the client keeps.
            data: what it trains on, as `local_steps.train` takes it, `batches` and what `passes`
                names; `held`, how many examples it holds, float32; and `rate`, what the learning
                rate of the client optimizer is times in this round, None for 1.
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

    def no_sums(self, specs: Sequence[Any]) -> Sequence[Any]:
        """Returns what the server gets as sums if there are no clients: zeros, as tensors.

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

    def before_round(self, server: Any, data: Sequence[Any]) -> Any:
        """Returns TFF's state of the server to begin a round with.

        Args:
            server: after the round before.
            data: what the clients of each placement train on.
        """
        return server

    def shared(self, weights: Any) -> Any:
        """Returns those of a model's `tff.learning.models.ModelWeights` that the server has."""
        return weights

    def _data(self, cohort: Cohort, work: LocalWork) -> tuple[list[Any], Sequence[Any]]:
        """Returns which clients of a cohort each placement has, and what these train on."""
        if self.inputs.packed:
            dealt = [cohort.clients[stack] for stack in stacks.stacks_of(cohort.rows, work)]
            data = stacks.arguments(cohort.rows, work, cohort.steps, keys=cohort.keys)
            return dealt, data
        tff: Any = import_tff()
        keys = cohort.keys if self.types.has_keys else None
        held = [np.float32(len(own)) for own in cohort.examples]
        parts = {"held": held, "batches": arguments(cohort.examples, work, cohort.steps, keys=keys)}
        for name, count in self.passes.items():
            again = LocalWork(work.batch_size, count)
            parts[name] = arguments(cohort.examples, again, keys=keys)
        zipped = [tff.structure.Struct(list(zip(parts, own))) for own in zip(*parts.values())]
        return list(cohort.clients), zipped

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> State:
        server = self._set_weights(self._process.initialize(), weights)
        of_client = [np.asarray(value) for value in self._kept(weights)]
        count = len(data.clients)
        return State(server, [np.repeat(value[np.newaxis], count, axis=0) for value in of_client])

    def next(
        self, state: State, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[State, Mapping[str, Any]]:
        placements, data = self._data(cohort, work)
        own = [[value[clients] for value in state.kept] for clients in placements]
        before = self.before_round(state.server, data)
        server, measured, new = self._process.round(before, cohort, work, own, data)
        kept = [value.copy() for value in state.kept]
        for clients, changed in zip(placements, new):
            for values, value in zip(kept, changed):
                values[clients] = value
        return State(server, kept), measured["train"]

    def weights(self, state: State) -> Any:
        return state.server.global_model_weights


def _specs(weights_type: Any) -> list[Any]:
    import tensorflow as tf

    return [tf.TensorSpec(t.shape, t.dtype) for t in weights_type.trainable]
