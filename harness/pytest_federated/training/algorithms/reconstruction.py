"""Federated reconstruction: what both executions share, and its packed clients."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Optional

import numpy as np

from pytest_federated.clients.cohort import Cohort, LocalWork, layer_keys, shuffled_rows
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import Algorithm, AlgorithmInputs, Judge
from pytest_federated.training.algorithms.local_layers import (
    LocalLayers,
    divided,
    in_order,
    keras_adapter,
)
from pytest_federated.training.algorithms.local_steps import initial_optimizer, train
from pytest_federated.training.algorithms.stateful import Sent, State, StatefulAlgorithm
from pytest_federated.training.engine import stacks
from pytest_federated.training.engine.stacks import PackedClient
from pytest_federated.training.evaluation.central import Evaluation, pooled

# Clients whose examples are sent for evaluation at a time.
JUDGED = 32


@dataclass(frozen=True)
class Keys:
    """The keys of the algorithm.

    Attributes:
        local_layers: those that each client has of its own.
        optimizer: of the reconstruction.
        epochs: passes of the reconstruction over its batches.
        most_steps: of the reconstruction; None for all.
        is_split: whether every second batch is for reconstruction, and for nothing else.
        weighting: how clients count.

    """

    local_layers: LocalLayers
    optimizer: Any
    epochs: int
    most_steps: Optional[int]
    is_split: bool
    weighting: str


class Reconstruction(Algorithm):
    """What the algorithm is in both executions, but for how it computes a round."""

    def __init__(self, inputs: AlgorithmInputs, keys: Keys) -> None:
        self._adapter = keras_adapter(inputs, "fed_recon")
        shape = self._adapter.shape
        if shape.task.hits is None:
            raise ModelError(
                "training.algorithm: fed_recon is judged by accuracy; the data has numbers "
                f"(task: {shape.kind})"
            )
        self._keys = keys
        self._shared, self._local = divided(self._adapter.model, keys.local_layers, "fed_recon")

    def _steps(self, cohort: Cohort, work: LocalWork) -> np.ndarray:
        """Returns how many steps each client of a round trains the shared layers, int (n,).

        Raises:
            DataError: none does any.
        """
        steps = [self._trained(len(own), taken, work)[1] for own, taken in _clients(cohort)]
        if steps and not any(steps):
            raise DataError(
                "training.algorithm.split_dataset: no client of the round has a second batch to "
                f"train on; needs a smaller training.batch_size ({work.batch_size}), larger "
                "clients, or split_dataset: false"
            )
        return np.array(steps, np.int64)

    def planned_examples(self, cohort: Cohort, work: LocalWork) -> int:
        total = 0
        for own, taken in _clients(cohort):
            sizes, steps = self._trained(len(own), taken, work)
            epochs, rest = divmod(steps, max(len(sizes), 1))
            total += epochs * int(sizes.sum()) + int(sizes[:rest].sum())
        return total

    def _trained(self, count: int, steps: int, work: LocalWork) -> tuple[np.ndarray, int]:
        """Sizes, int, of the batches that a client trains on, and how many such steps it does.

        Of those that it does not use to reconstruct, in proportion to `steps` of all its batches.
        """
        batch_size = work.batch_size_of(count)
        starts = np.arange(0, count, batch_size)
        sizes = np.minimum(batch_size, count - starts)
        used = sizes[1::2] if self._keys.is_split else sizes
        return used, -(-int(steps) * len(used) // max(len(sizes), 1))

    def weights(self, state: Any) -> Any:
        raise ModelError("fed_recon has no model that all clients share")

    def sent(self, weights: Any) -> Any:
        tff: Any = import_tff()
        shared = [weights.trainable[i] for i in self._shared]
        return tff.learning.models.ModelWeights(shared, weights.non_trainable)


def _clients(cohort: Cohort) -> Any:
    return zip(cohort.rows, cohort.steps)


class _Judged(NamedTuple):
    """The clients' evaluations, and what they are of; a training's data is not kept for it."""

    data: weakref.ref[FederatedData]
    work: LocalWork
    weights: Sequence[Any]
    of_clients: dict[int, Evaluation]


class PackedReconstruction(Reconstruction, StatefulAlgorithm):
    """Federated reconstruction with our own client work, as TFF's `build_fed_recon` has it.

    The server's fixed weights are those of the model, and then the first weights of the layers that
    clients reconstruct.
    """

    def __init__(self, inputs: AlgorithmInputs, keys: Keys) -> None:
        Reconstruction.__init__(self, inputs, keys)
        self._reconstructing = replace(inputs, client_optimizer=keys.optimizer)
        self._judged: Optional[_Judged] = None
        StatefulAlgorithm.__init__(self, inputs)
        self._reconstruct = self._reconstruction_of_stacks() if self._local else None

    def _reconstruction_of_stacks(self) -> Any:
        """Returns the computation: (the server's weights, a stack) -> its clients' own weights."""
        import tensorflow as tf

        tff: Any = import_tff()
        state_at_server: Any = self._process.initialize.type_signature.result
        weights_type = state_at_server.member.global_model_weights

        @tff.tensorflow.computation(weights_type, stacks.stack_type(self.inputs.model))
        def reconstruct(weights: Any, stack: Any) -> Any:
            # Without autograph, as in engine/packed.py.
            @tf.autograph.experimental.do_not_convert
            def run(weights: Any, stack: Any) -> Any:
                def of_client(client: PackedClient) -> Sequence[Any]:
                    return self._reconstructed(weights, client)[0]

                return stacks.of_each(stack, of_client, self._parts(weights)[1])

            return run(weights, stack)

        return reconstruct

    def shared(self, weights: Any) -> Any:
        tff: Any = import_tff()
        first = [weights.trainable[i] for i in self._local]
        trainable = [weights.trainable[i] for i in self._shared]
        return tff.learning.models.ModelWeights(trainable, [*weights.non_trainable, *first])

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        client = data["batches"]
        own, steps = self._parts(weights)[1], None
        if self._local:
            own, steps = self._reconstructed(
                weights, client.every_second(0) if self._keys.is_split else client
            )
        then = client.every_second(1) if self._keys.is_split else client
        whole = self._whole(weights, own)
        optimizer = initial_optimizer(self.inputs, weights.trainable, data["rate"])
        trained = train(
            self.inputs, whole, optimizer, then._replace(steps_before=steps), trained=self._shared
        )
        is_uniform = self._keys.weighting == "uniform"
        weight = tf.constant(1.0) if is_uniform else trained.examples
        change = [x - y for x, y in zip(weights.trainable, trained.weights)]
        return Sent(change, weight, [], [], trained.metrics)

    def _reconstructed(self, weights: Any, client: PackedClient) -> tuple[Sequence[Any], Any]:
        """Returns a client's own weights, reconstructed from its batches; and in how many steps."""
        import tensorflow as tf

        steps = self._keys.epochs * client.batches
        if self._keys.most_steps is not None:
            steps = tf.minimum(steps, self._keys.most_steps)
        first = self._parts(weights)[1]
        optimizer = initial_optimizer(self._reconstructing, first, None)
        trained = train(
            self._reconstructing,
            self._whole(weights, first),
            optimizer,
            client._replace(steps=steps),
            trained=self._local,
        )
        return trained.weights, steps

    def _parts(self, weights: Any) -> tuple[list[Any], list[Any]]:
        """Returns the server's fixed weights of the model, and the first ones of own layers."""
        values = list(weights.non_trainable)
        count = len(values) - len(self._local)
        return values[:count], values[count:]

    def _whole(self, weights: Any, own: Sequence[Any]) -> Any:
        """Returns the model's weights of the server's, and of a client's own."""
        tff: Any = import_tff()
        trainable = in_order([*self._shared, *self._local], [*weights.trainable, *own])
        return tff.learning.models.ModelWeights(trainable, self._parts(weights)[0])

    def next(
        self, state: State, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[State, Mapping[str, Any]]:
        return super().next(state, replace(cohort, steps=self._steps(cohort, work)), work, rng)

    def evaluate(
        self, state: State, data: FederatedData, work: LocalWork, judge: Judge
    ) -> Evaluation:
        return pooled(self.client_evaluations(state, data, work, judge).values())

    def client_evaluations(
        self, state: State, data: FederatedData, work: LocalWork, judge: Judge
    ) -> dict[int, Evaluation]:
        weights = state.server.global_model_weights
        values = [*weights.trainable, *weights.non_trainable]
        last = self._judged
        if (
            last is None
            or last.data() is not data
            or last.work != work
            or not all(map(np.array_equal, last.weights, values))
        ):
            of_clients = self._judge(weights, data, work, judge)
            last = self._judged = _Judged(weakref.ref(data), work, values, of_clients)
        return last.of_clients

    def _judge(
        self, weights: Any, data: FederatedData, work: LocalWork, judge: Judge
    ) -> dict[int, Evaluation]:
        """Judges clients' models, with layers that are reconstructed from their examples."""
        tested, judged = list(data.tested_by_client()), {}
        for first in range(0, len(tested), JUDGED):
            some = tested[first : first + JUDGED]
            own = self._own_weights(weights, data, work, [client for client, _ in some])
            for place, (client, examples) in enumerate(some):
                whole = self._whole(weights, [np.asarray(value[place]) for value in own])
                found = judge(whole, examples)
                judged[client] = Evaluation(found.loss, found.accuracy, counts=found.counts)
        return judged

    def _own_weights(
        self, weights: Any, data: FederatedData, work: LocalWork, clients: Sequence[int]
    ) -> Sequence[Any]:
        """Returns the reconstructed weights of these clients, along the first axis of each."""
        if self._reconstruct is None:
            return []
        # In an order as in training, but in no round's; a client may hold one label after the
        # other.
        rows = [shuffled_rows(data, client, data.seed, 0) for client in clients]
        keys = layer_keys(np.array(clients), data.seed, 0)
        (stack,) = stacks.arguments(rows, work, keys=keys, dealt=[range(len(rows))])
        return self._reconstruct(weights, stack)
