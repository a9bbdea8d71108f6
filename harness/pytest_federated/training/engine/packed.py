"""Many clients per placement, as one stack of tensors: the same arithmetic, far fewer calls.

A simulated client costs TFF about 3 ms of set-up a round, whatever it computes. Here a placement
holds the examples of many clients one after the other, with their sizes, and one TensorFlow
computation trains these clients in turn from the broadcast weights, on the same batches as standard
execution, and returns their weighted sum with their total weight. TFF broadcasts, aggregates
and updates as usual: the sums of the placements add up to the sum of all clients.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pytest_federated.clients.attacks.attack import Craft
from pytest_federated.clients.cohort import LocalWork
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import combine_or_zero, flat, unflat
from pytest_federated.training.engine.crafting import with_crafted
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


@dataclass(frozen=True)
class PackedProcess:
    """Stands in for `tff.learning.templates.LearningProcess`, which takes `tf.data.Dataset`s only.

    Here a placement has tensors: a data set would be written as a graph and read again for each
    placement in each round.
    """

    initialize: tff.Computation
    next: tff.Computation

    def get_model_weights(self, state: Any) -> tff.learning.models.ModelWeights:
        """Returns the model's weights in a state; no TFF computation, as the state is local."""
        return state.global_model_weights

    def set_model_weights(self, state: Any, weights: tff.learning.models.ModelWeights) -> Any:
        """Returns the state with these weights, tuples of arrays."""
        return state._replace(global_model_weights=weights)


class PackedAlgorithm(TffAlgorithm):
    """A `PackedProcess` as an `Algorithm`."""

    @property
    def scales_updates(self) -> bool:
        return True

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> Any:
        tff: Any = import_tff()
        as_tuples = tff.learning.models.ModelWeights(  # as a functional model keeps them
            *(tuple(w.numpy() for w in g) for g in (weights.trainable, weights.non_trainable))
        )
        return super().initialize(as_tuples, data, rng)

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
    `scheduled`, the state has a factor of the client's learning rate. An `aggregator` is one of
    `aggregators.aggregator.stacked`; None is the weighted mean. With `craft` the attackers' changes
    are replaced at the server, which has all of them, before they are put together.

    A round is one broadcast, one map over the clients, one sum and one step of the server. The
    state is that of a process composed of TFF's templates, but the process is not: the calls of
    each template in TFF's worker would take longer than the training of a small round.

    Source: McMahan et al., AISTATS 2017, algorithm 1; Reddi et al., ICLR 2021, algorithm 2.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    templates = tff.learning.templates
    type_of_stack = stack_type(model)

    @tff.tensorflow.computation
    def initial_state() -> Any:
        trainable, other = (
            tuple(tf.convert_to_tensor(w) for w in group) for group in model.initial_weights
        )
        weights = tff.learning.models.ModelWeights(trainable, other)
        optimizer_state = server_optimizer.initialize(specs_of(trainable))
        factor = rates.no_change(rates.CLIENT) if scheduled else ()
        return templates.LearningAlgorithmState(weights, (), factor, (), optimizer_state)

    state_type = initial_state.type_signature.result

    @tff.tensorflow.computation(state_type)
    def sent(state: Any) -> Any:
        return state.global_model_weights, state.client_work

    keeps_rows = aggregator is not None or craft is not None
    train = stack_training(
        model,
        client_optimizer,
        weighting,
        scheduled,
        keeps_rows,
        sent.type_signature.result,
        type_of_stack,
    )
    trained_type = train.type_signature.result

    @tff.tensorflow.computation(state_type, trained_type)
    def step(state: Any, sums: Any) -> Any:
        weights = state.global_model_weights
        like = tuple(weights.trainable)
        if not keeps_rows:
            sums = separated(sums, (like, tf.constant(0.0), model.initialize_metrics_state()))
        total, total_weight, metrics = sums
        mean = aggregate(aggregator, total, total_weight, like, craft)
        optimizer_state, trainable = server_optimizer.next(state.finalizer, weights.trainable, mean)
        updated = tff.learning.models.ModelWeights(trainable, weights.non_trainable)
        return (
            templates.LearningAlgorithmState(updated, (), state.client_work, (), optimizer_state),
            OrderedDict(client_work=OrderedDict(train=model.finalize_metrics(metrics))),
        )

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_eval(initial_state, tff.SERVER)

    @tff.federated_computation(
        tff.FederatedType(state_type, tff.SERVER),
        tff.FederatedType(type_of_stack, tff.CLIENTS),
    )
    def next_round(state: Any, stacks: Any) -> Any:
        received = tff.federated_broadcast(tff.federated_map(sent, state))
        trained = tff.federated_map(train, (received, stacks))
        sums = summed(keeps_rows, trained, model.initialize_metrics_state)
        state, metrics = tff.federated_map(step, (state, sums))
        return templates.LearningProcessOutput(state, metrics)

    return PackedAlgorithm(PackedProcess(initialize, next_round))


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
        trained = _trained(model, optimizer, weighting, keeps_rows, weights, stack)
        return trained if keeps_rows else joined(trained)

    return train


def summed(keeps_rows: bool, trained: Any, no_rest: Callable[[], Any]) -> Any:
    """Returns the sums of what placements give, inside a `tff.federated_computation`.

    Args:
        keeps_rows: whether the rows of all placements are needed.
        trained: what each gives, `joined`; or with rows as of `stacks.train_stack`: these, the sum
            of their weights, and the rest.
        no_rest: makes the zeros of the rest.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    if not keeps_rows:
        return tff.federated_sum(trained)
    trained_type = trained.type_signature.member

    @tff.tensorflow.computation
    def no_clients() -> Any:
        rows = tuple(tf.zeros((0, *one.shape[1:])) for one in trained_type[0])
        return rows, tf.constant(0.0), no_rest()

    @tff.tensorflow.computation(trained_type, trained_type)
    def together(some: Any, more: Any) -> Any:
        sums = tf.nest.map_structure(tf.add, some[1:], more[1:])
        return tuple(tf.concat(both, axis=0) for both in zip(some[0], more[0])), *sums

    @tff.tensorflow.computation(trained_type)
    def identity(gathered: Any) -> Any:
        return gathered

    return tff.federated_aggregate(trained, no_clients(), together, together, identity)


def joined(values: Any) -> Any:
    """Returns tensors as one vector for each dtype; TFF adds up a few tensors faster than many."""
    import tensorflow as tf

    tensors = tf.nest.flatten(values)
    return tuple(flat([tensors[i] for i in same]) for same in _of_same_dtype(tensors))


def separated(vectors: Any, template: Any) -> Any:
    """Returns what was `joined`, in the structure and the shapes of `template`."""
    import tensorflow as tf

    tensors = tf.nest.flatten(template)
    for same, vector in zip(_of_same_dtype(tensors), vectors):
        for i, tensor in zip(same, unflat(vector, [tensors[i] for i in same])):
            tensors[i] = tensor
    return tf.nest.pack_sequence_as(template, tensors)


def _of_same_dtype(tensors: Sequence[Any]) -> list[list[int]]:
    """Returns the positions of the tensors of each dtype."""
    positions: dict[Any, list[int]] = {}
    for i, tensor in enumerate(tensors):
        positions.setdefault(tensor.dtype, []).append(i)
    return list(positions.values())


def aggregate(
    aggregator: Any, total: Any, total_weight: Any, like: Any, craft: Optional[Craft] = None
) -> Any:
    """Returns the mean of all changes, or what the aggregator makes of their rows, as `like`.

    With `craft` the attackers' changes are replaced first.
    """
    import tensorflow as tf

    if aggregator is None and craft is None:
        return tuple(tf.math.divide_no_nan(t, total_weight) for t in total)
    rows, row_weights, factors = total
    if craft is not None:
        rows = with_crafted(craft, rows, factors)
    if aggregator is None:
        mean = tf.linalg.matvec(rows, row_weights, transpose_a=True)
        mean = tf.math.divide_no_nan(mean, total_weight)
    else:
        mean = combine_or_zero(aggregator.combine, rows)
    return unflat(mean, like)


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
                "examples_held": client.held,
                "uniform": tf.constant(1.0),
                "num_batches": tf.cast(client.steps, tf.float32),
                "loss": metrics["loss"] / processed,
            }[weighting]
            return Sent(change, weight, (), (), metrics)

        return train_stack(model, stack, train_client, start, keeps_rows)[:3]

    return run(weights, stack)
