"""Many clients per placement, as one stack of tensors: the same arithmetic, far fewer calls.

A simulated client costs TFF about 3 ms of set-up a round, whatever it computes. Here a placement
holds the examples of many clients one after the other, with their sizes, and one TensorFlow
computation trains these clients in turn from the broadcast weights, on the same batches as standard
execution, and returns their weighted sum with their total weight. TFF broadcasts, aggregates
and updates as usual: the sums of the placements add up to the sum of all clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from pytest_federated.clients.attacks.attack import Craft
from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import combine_of
from pytest_federated.training.engine.process import Process, joined, packed_process
from pytest_federated.training.engine.stacks import (
    PackedClient,
    Sent,
    arguments,
    stack_type,
    train_stack,
    train_steps,
)
from pytest_federated.training.engine.standard import TffAlgorithm
from pytest_federated.training.optimizers import rates

if TYPE_CHECKING:
    import tensorflow_federated as tff


class PackedAlgorithm(TffAlgorithm):
    """A `Process` on packed clients as an `Algorithm`."""

    def __init__(self, process: Process) -> None:
        super().__init__(process)
        self._process = process

    @property
    def computations(self) -> Sequence[Any]:
        return self._process.computations

    @property
    def scales_updates(self) -> bool:
        return True

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> Any:
        tff: Any = import_tff()
        as_tuples = tff.learning.models.ModelWeights(  # as a functional model keeps them
            *(tuple(w.numpy() for w in g) for g in (weights.trainable, weights.non_trainable))
        )
        return super().initialize(as_tuples, data, rng)

    def next(
        self, state: Any, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[Any, Mapping[str, Any]]:
        clients = self.arguments(cohort.rows, work, cohort.steps, cohort.factors, cohort.keys)
        state, measured, _ = self._process.round(state, cohort, work, clients)
        return state, measured["train"]

    def arguments(
        self,
        cohort: Sequence[Examples],
        work: LocalWork,
        steps: Optional[np.ndarray] = None,
        factors: Optional[np.ndarray] = None,
        keys: Optional[np.ndarray] = None,
    ) -> list[dict[str, np.ndarray]]:
        return arguments(cohort, work, steps, factors, keys)


def packed_algorithm(
    model: tff.learning.models.FunctionalModel,
    client_optimizer: Optional[tff.learning.optimizers.Optimizer],
    server_optimizer: tff.learning.optimizers.Optimizer,
    weighting: str = "examples",
    scheduled: bool = False,
    aggregator: Any = None,
    craft: Optional[Craft] = None,
) -> PackedAlgorithm:
    """Builds FedAvg as `tff.learning.algorithms.build_weighted_fed_avg`, on packed clients.

    Without a client optimizer a client sends its gradient, as for
    `tff.learning.algorithms.build_fed_sgd`. `weighting` is that of the algorithm fedavg. If
    `scheduled`, the state has a factor of the client's learning rate. `aggregator` and `craft` are
    those of `packed_process`.

    The state is that of a process composed of TFF's templates, but the process is not.

    Source: McMahan et al., AISTATS 2017, algorithm 1; Reddi et al., ICLR 2021, algorithm 2.
    """
    import tensorflow as tf

    tff: Any = import_tff()

    @tff.tensorflow.computation
    def initial_state() -> Any:
        trainable, other = (
            tuple(tf.convert_to_tensor(w) for w in group) for group in model.initial_weights
        )
        weights = tff.learning.models.ModelWeights(trainable, other)
        optimizer_state = server_optimizer.initialize(specs_of(trainable))
        factor = rates.no_change(rates.CLIENT) if scheduled else ()
        return tff.learning.templates.LearningAlgorithmState(
            weights, (), factor, (), optimizer_state
        )

    if weighting == "examples" and aggregator is not None and combine_of(aggregator) is None:
        # As TFF's own client work weighs: sums of fixed-point numbers depend on the scale.
        weighting = "examples_of_all_epochs"

    def training(received_type: Any, keeps_rows: bool) -> tff.Computation:
        return stack_training(
            *(model, client_optimizer, weighting, scheduled, keeps_rows),
            *(received_type, stack_type(model)),
        )

    def step(state: Any, change: Sequence[Any], _: Any) -> Any:
        weights = state.global_model_weights
        optimizer_state, trainable = server_optimizer.next(
            state.finalizer, weights.trainable, tuple(change)
        )
        updated = tff.learning.models.ModelWeights(trainable, weights.non_trainable)
        return state._replace(global_model_weights=updated, finalizer=optimizer_state)

    process = packed_process(
        model, initial_state, training, step, aggregator=aggregator, craft=craft
    )
    return PackedAlgorithm(process)


@lru_cache(maxsize=16)
def stack_training(
    model: Any,
    client_optimizer: Any,
    weighting: str,
    scheduled: bool,
    keeps_rows: bool,
    received_type: Any,
    type_of_stack: Any,
) -> tff.Computation:
    """Returns the computation that trains a stack, shared by processes whose clients do the same.

    Tracing it, and preparing it in TFF's worker, which caches it, is most of what a process costs
    before its first round. Arguments as for `packed_algorithm`, and the types of what the server
    sends and of a stack.
    """
    tff: Any = import_tff()

    @tff.tensorflow.computation(received_type, type_of_stack)
    def train(received: Any, stack: Any) -> Any:
        weights, factor = received
        optimizer = client_optimizer
        if scheduled:
            optimizer = rates.times(factor[rates.CLIENT], client_optimizer)
        total, weight, metrics = _trained(model, optimizer, weighting, keeps_rows, weights, stack)
        trained = total, weight, (metrics, [])
        return (trained if keeps_rows else joined(trained)), []

    return train


def specs_of(weights: Any) -> Any:
    """Returns the `tf.TensorSpec`s of weights."""
    import tensorflow as tf

    return tuple(tf.TensorSpec(w.shape, w.dtype) for w in weights)


def _trained(
    model: Any, optimizer: Any, weighting: str, keeps_rows: bool, weights: Any, stack: Any
) -> Any:
    """Trains the clients of one stack in turn, in one graph.

    Without an optimizer a client's change is its gradient.

    Returns:
        The first three of what `stacks.train_stack` returns.
    """
    import tensorflow as tf

    # Without autograph: its loops over datasets become ops that run several times slower. And in no
    # `tf.function`, in which `stacks.loop` would be a slower loop.
    @tf.autograph.experimental.do_not_convert
    def run(weights: Any, stack: Any) -> Any:
        start = tuple(weights.trainable)
        epochs = tf.cast(stack["plan"][0], tf.float32)

        def advance(state: Any, current: Any, gradients: Any, examples: Any) -> Any:
            if optimizer is not None:
                return optimizer.next(state, current, gradients)
            count = tf.cast(examples, tf.float32)
            return tuple(s + count * g for s, g in zip(state, gradients)), current

        def train_client(client: PackedClient, _: Any) -> Sent:
            zeros = tuple(tf.zeros_like(w) for w in start)
            state = zeros if optimizer is None else optimizer.initialize(specs_of(start))
            trained, state, metrics = train_steps(model, client, weights, state, advance)
            # What it processed, as in TFF: a straggler processes fewer examples than it holds.
            processed = tf.cast(metrics["num_examples"], tf.float32)
            if optimizer is None:
                change = tuple(s / processed for s in state)
            else:
                change = tuple(a - b for a, b in zip(start, trained))
            weight = {
                "examples": processed / epochs,
                "examples_of_all_epochs": processed,
                "examples_held": client.held,
                "uniform": tf.constant(1.0),
                "num_batches": tf.cast(client.steps, tf.float32),
                "loss": metrics["loss"] / processed,
            }[weighting]
            return Sent(change, weight, (), (), metrics)

        return train_stack(model, stack, train_client, start, keeps_rows)[:3]

    return run(weights, stack)
