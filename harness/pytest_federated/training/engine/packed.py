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
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from pytest_federated.clients.attacks.attack import Craft
from pytest_federated.clients.cohort import LocalWork
from pytest_federated.data.datasets.dataset import Examples, inputs_of, levels_of
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import combine_or_zero, flat, unflat
from pytest_federated.training.engine.crafting import with_crafted
from pytest_federated.training.engine.standard import TffAlgorithm
from pytest_federated.training.schedules.schedule import at, times

if TYPE_CHECKING:
    import tensorflow_federated as tff

# Not the number of cores: the order of additions, and with it the last bit of the result, must
# not depend on the machine. Idle placements cost next to no_change.
_PLACEMENTS = 8


def arguments(
    cohort: Sequence[Examples],
    work: LocalWork,
    steps: Optional[np.ndarray] = None,
    factors: Optional[np.ndarray] = None,
    keys: Optional[np.ndarray] = None,
) -> list[dict[str, np.ndarray]]:
    """Deals the clients to placements by number of batches, and puts each placement's in a row.

    Args:
        cohort: the examples of each client.
        work: batch size and local epochs.
        steps: int (clients,), local steps of each client; all epochs when None.
        factors: float32 (clients,), the factor of each client's change; 1 when None.
        keys: int32 (clients,), from which each client's layers draw random numbers; 0 when None.

    Returns:
        For each placement the examples of its clients, `x` and `y`, where all have bytes for
        features as these bytes; `plan`, int32
        (2 + 3 * clients,): batch size, local epochs, the clients' numbers of examples, their local
        steps and their keys; and `factors`, float32 (clients,).
    """
    batches = [-(-len(c) // work.batch_size) for c in cohort]
    if steps is None:
        steps = work.steps_of(np.array([len(c) for c in cohort]))
    if factors is None:
        factors = np.ones(len(cohort), np.float32)
    if keys is None:
        keys = np.zeros(len(cohort), np.int32)
    plan = [work.batch_size, work.epochs]
    levels = [levels_of(own.x) for own in cohort]
    are_bytes = all(one is not None for one in levels)
    features = levels if are_bytes else [own.x for own in cohort]
    return [
        OrderedDict(
            x=inputs_of(np.concatenate([np.asarray(features[c]) for c in stack])),
            y=np.concatenate([cohort[c].y for c in stack]),
            plan=np.array(
                [*plan, *(len(cohort[c]) for c in stack), *steps[stack], *keys[stack]], np.int32
            ),
            factors=factors[stack],
        )
        for stack in deal(batches, _PLACEMENTS)
    ]


def deal(loads: Sequence[int], stacks: int) -> list[list[int]]:
    """Deals items to at most `stacks` stacks of about equal work; no stack is empty.

    The longest first, always to the stack with the least work (R. L. Graham, Bounds on
    Multiprocessing Timing Anomalies, SIAM J. Appl. Math. 17(2), 1969).

    Returns:
        The positions in `loads` that each stack holds.
    """
    dealt: list[list[int]] = [[] for _ in range(min(stacks, len(loads)))]
    load = [0] * len(dealt)
    for item in sorted(range(len(loads)), key=lambda i: (-loads[i], i)):
        least = load.index(min(load))
        dealt[least].append(item)
        load[least] += max(loads[item], 1)
    return dealt


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
    by_round: Sequence[float] = (),
    aggregator: Any = None,
    craft: Optional[Craft] = None,
) -> PackedAlgorithm:
    """Builds FedAvg as `tff.learning.algorithms.build_weighted_fed_avg`, on packed clients.

    Without a client optimizer a client sends its gradient, as for
    `tff.learning.algorithms.build_fed_sgd`. `weighting` is that of the algorithm fedavg. With
    `by_round`, factors of the client's learning rate, the state counts the rounds. An `aggregator`
    is one of `aggregators.aggregator.stacked`; None is the weighted mean. With `craft` the
    attackers' changes are replaced at the server, which has all of them, before they are put
    together.

    A round is one broadcast, one map over the clients, one sum and one step of the server. The
    state is that of a process composed of TFF's templates, but the process is not: the calls of
    each template in TFF's worker would take longer than the training of a small round.

    Source: McMahan et al., AISTATS 2017, algorithm 1; Reddi et al., ICLR 2021, algorithm 2.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    templates = tff.learning.templates
    stack_type = tff.StructWithPythonType(
        [(name, _type_of(spec)) for name, spec in model.input_spec.items()]
        + [
            ("plan", tff.TensorType(np.int32, (None,))),
            ("factors", tff.TensorType(np.float32, (None,))),
        ],
        OrderedDict,
    )

    @tff.tensorflow.computation
    def initial_state() -> Any:
        trainable, other = (
            tuple(tf.convert_to_tensor(w) for w in group) for group in model.initial_weights
        )
        weights = tff.learning.models.ModelWeights(trainable, other)
        optimizer_state = server_optimizer.initialize(_specs(trainable))
        rounds = tf.constant(0) if by_round else ()
        return templates.LearningAlgorithmState(weights, (), rounds, (), optimizer_state)

    state_type = initial_state.type_signature.result

    @tff.tensorflow.computation(state_type)
    def sent(state: Any) -> Any:
        return state.global_model_weights, state.client_work

    keeps_rows = aggregator is not None or craft is not None
    train_stack = stack_training(
        model,
        client_optimizer,
        weighting,
        tuple(by_round),
        keeps_rows,
        sent.type_signature.result,
        stack_type,
    )
    trained_type = train_stack.type_signature.result

    @tff.tensorflow.computation(state_type, trained_type)
    def step(state: Any, sums: Any) -> Any:
        weights = state.global_model_weights
        total, total_weight, metrics = sums
        if keeps_rows:
            rows, row_weights, factors = total
            if craft is not None:
                rows = with_crafted(craft, rows, factors)
            if aggregator is None:
                mean = tf.linalg.matvec(rows, row_weights, transpose_a=True)
                mean = tf.math.divide_no_nan(mean, total_weight)
            else:
                mean = combine_or_zero(aggregator.combine, rows)
            mean = unflat(mean, tuple(weights.trainable))
        else:
            mean = tuple(tf.math.divide_no_nan(t, total_weight) for t in total)
        optimizer_state, trainable = server_optimizer.next(state.finalizer, weights.trainable, mean)
        updated = tff.learning.models.ModelWeights(trainable, weights.non_trainable)
        rounds = state.client_work + 1 if by_round else ()
        return (
            templates.LearningAlgorithmState(updated, (), rounds, (), optimizer_state),
            OrderedDict(client_work=OrderedDict(train=model.finalize_metrics(metrics))),
        )

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_eval(initial_state, tff.SERVER)

    @tff.federated_computation(
        tff.FederatedType(state_type, tff.SERVER),
        tff.FederatedType(stack_type, tff.CLIENTS),
    )
    def next_round(state: Any, stacks: Any) -> Any:
        received = tff.federated_broadcast(tff.federated_map(sent, state))
        trained = tff.federated_map(train_stack, (received, stacks))
        sums = _gathered(trained, model) if keeps_rows else tff.federated_sum(trained)
        state, metrics = tff.federated_map(step, (state, sums))
        return templates.LearningProcessOutput(state, metrics)

    return PackedAlgorithm(PackedProcess(initialize, next_round))


@lru_cache(maxsize=16)
def stack_training(
    model: Any,
    client_optimizer: Any,
    weighting: str,
    by_round: tuple[float, ...],
    keeps_rows: bool,
    received_type: Any,
    stack_type: Any,
) -> tff.Computation:
    """Returns the computation that trains a stack, shared by processes whose clients do the same.

    Tracing it, and preparing it in TFF's worker, which caches it, is most of what a process costs
    before its first round. Arguments as for `packed_algorithm`, and the types of what the server
    sends and of a stack.
    """
    tff: Any = import_tff()

    @tff.tensorflow.computation(received_type, stack_type)
    def train_stack(received: Any, stack: Any) -> Any:
        weights, rounds = received
        optimizer = client_optimizer
        if by_round:
            optimizer = times(at(by_round, rounds), client_optimizer)
        return _train_stack(model, optimizer, weighting, keeps_rows, weights, stack)

    return train_stack


def _type_of(spec: Any) -> Any:
    """Returns the TFF type of what has a `tf.TensorSpec`, or an ordered dict of them."""
    tff: Any = import_tff()
    if isinstance(spec, dict):
        of_inputs = [(name, _type_of(one)) for name, one in spec.items()]
        return tff.StructWithPythonType(of_inputs, OrderedDict)
    return tff.TensorType(spec.dtype.as_numpy_dtype, spec.shape)


def _gathered(trained: Any, model: Any) -> Any:
    """Stacks the rows of all placements, and sums the rest."""
    import tensorflow as tf

    tff: Any = import_tff()
    trained_type = trained.type_signature.member

    @tff.tensorflow.computation
    def no_clients() -> Any:
        rows = tuple(tf.zeros((0, *one.shape[1:])) for one in trained_type[0])
        return rows, tf.constant(0.0), model.initialize_metrics_state()

    @tff.tensorflow.computation(trained_type, trained_type)
    def together(some: Any, more: Any) -> Any:
        sums = tf.nest.map_structure(tf.add, some[1:], more[1:])
        return tuple(tf.concat(both, axis=0) for both in zip(some[0], more[0])), *sums

    @tff.tensorflow.computation(trained_type)
    def identity(gathered: Any) -> Any:
        return gathered

    return tff.federated_aggregate(trained, no_clients(), together, together, identity)


def _specs(weights: Any) -> Any:
    import tensorflow as tf

    return tuple(tf.TensorSpec(w.shape, w.dtype) for w in weights)


def _train_stack(
    model: Any, optimizer: Any, weighting: str, keeps_rows: bool, weights: Any, stack: Any
) -> Any:
    """Trains the clients of one stack in turn, in one graph.

    Without an optimizer a client's change is its gradient.

    Returns:
        The weighted sum of the clients' changes (start less end, as TFF has it), the sum of
        their weights (float32), and their metrics summed over examples. As in standard execution, a
        client whose change is not finite has no weight and no metrics. With `keeps_rows`, instead
        of the sum, each change that is finite, float32 (clients, parameters), with the weights and
        factors of these clients, float32 (clients,).
    """
    import tensorflow as tf

    tff: Any = import_tff()
    no_metrics = model.initialize_metrics_state
    draws = getattr(model, "draws", False)  # as KerasAdapter has it

    # Without autograph: its loops over datasets become ops that run several times slower.
    @tf.function(autograph=False)
    def run(weights: Any, stack: Any) -> Any:
        start, fixed = tuple(weights.trainable), tuple(weights.non_trainable)
        size, epochs = stack["plan"][0], tf.cast(stack["plan"][1], tf.float32)
        sizes, all_steps, keys = tf.split(stack["plan"][2:], 3)
        ends = tf.cumsum(sizes)
        begins = ends - sizes

        def train_client(client: Any, total: Any, total_weight: Any, sums: Any) -> Any:
            begin, end = begins[client], ends[client]
            batches = (end - begin + size - 1) // size

            def train_batch(step: Any, current: Any, state: Any, metrics: Any) -> Any:
                first = begin + (step % batches) * size
                last = tf.minimum(first + size, end)
                x = tf.nest.map_structure(lambda values: values[first:last], stack["x"])
                y = stack["y"][first:last]
                with tf.GradientTape() as tape:
                    tape.watch(current)
                    given = (x, tf.stack([keys[client], step])) if draws else x
                    predictions = model.predict_on_batch((current, fixed), given, training=True)
                    loss = model.loss(output=predictions, label=y)
                gradients = tape.gradient(loss, current)
                if optimizer is None:
                    examples = tf.cast(last - first, tf.float32)
                    state = tuple(s + examples * g for s, g in zip(state, gradients))
                else:
                    state, current = optimizer.next(state, current, gradients)
                output = tff.learning.models.BatchOutput(loss, predictions, last - first)
                metrics = model.update_metrics_state(metrics, labels=y, batch_output=output)
                return step + 1, tuple(current), state, metrics

            zeros = tuple(tf.zeros_like(w) for w in start)
            state = zeros if optimizer is None else optimizer.initialize(_specs(start))
            _, trained, state, metrics = tf.while_loop(
                lambda step, *_: step < all_steps[client],
                train_batch,
                (0, start, state, no_metrics()),
                parallel_iterations=1,
            )
            # What it processed, as in TFF: a straggler processes fewer examples than it holds.
            processed = tf.cast(metrics["num_examples"], tf.float32)
            if optimizer is None:
                change = tuple(s / processed for s in state)
            else:
                change = tuple(a - b for a, b in zip(start, trained))
            is_finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(c)) for c in change])
            weight = {
                "examples": processed / epochs,
                "examples_held": tf.cast(end - begin, tf.float32),
                "uniform": tf.constant(1.0),
                "num_batches": tf.cast(all_steps[client], tf.float32),
                "loss": metrics["loss"] / processed,
            }[weighting]
            factor = stack["factors"][client]

            def if_finite(value: Any) -> Any:
                return tf.where(is_finite, value, tf.zeros_like(value))

            if keeps_rows:
                rows, row_weights, are_finite = total
                total = (
                    rows.write(client, if_finite(factor * flat(change))),
                    row_weights.write(client, weight),
                    are_finite.write(client, is_finite),
                )
            else:
                total = tuple(t + if_finite(weight * factor * c) for t, c in zip(total, change))
            return (
                client + 1,
                total,
                total_weight + if_finite(weight),
                tf.nest.map_structure(lambda a, b: a + if_finite(b), sums, metrics),
            )

        no_change: Any = tuple(tf.zeros_like(w) for w in start)
        if keeps_rows:
            kinds = tf.float32, tf.float32, tf.bool
            no_change = tuple(tf.TensorArray(one, tf.size(sizes)) for one in kinds)
        _, total, total_weight, sums = tf.while_loop(
            lambda client, *_: client < tf.size(sizes),
            train_client,
            (0, no_change, tf.constant(0.0), no_metrics()),
            parallel_iterations=1,
        )
        if keeps_rows:
            rows, row_weights, are_finite = (one.stack() for one in total)
            parameters = sum(int(np.prod(w.shape)) for w in start)
            rows = tf.ensure_shape(rows, (None, parameters))
            columns = rows, row_weights, stack["factors"]
            total = tuple(tf.boolean_mask(one, are_finite) for one in columns)
        return total, total_weight, sums

    return run(weights, stack)
