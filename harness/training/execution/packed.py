"""Many clients to a placement, as one stack of tensors: the same arithmetic, far fewer calls.

A simulated client costs TFF about 4 ms of set-up a round, whatever it computes. Here a placement
carries the examples of many clients one after the other, with their sizes, and one TensorFlow
computation trains these clients in turn from the broadcast weights, on the very batches of the
standard path, and returns their weighted mean with their total weight. TFF broadcasts, aggregates
and updates as ever: the weighted mean of weighted means is the weighted mean.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from harness.data.datasets import Examples
from harness.runtime.imports import import_tff
from harness.training.settings import Training

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_federated as tff

# Not the number of cores: the order of additions, and with it the last bit of the result, must
# not depend on the machine. Idle placements cost next to nothing.
_PLACEMENTS = 8


def datasets(cohort: Sequence[Examples], training: Training) -> list[tf.data.Dataset]:
    """The clients dealt to placements by number of batches, each placement's as one element."""
    import tensorflow as tf

    return [
        tf.data.Dataset.from_tensors(
            cast(
                "Any",
                OrderedDict(
                    x=np.concatenate([cohort[c].x for c in stack]),
                    y=np.concatenate([cohort[c].y for c in stack]),
                    sizes=np.array([len(cohort[c]) for c in stack], np.int32),
                    batch_size=np.int32(training.batch_size),
                    local_epochs=np.int32(training.local_epochs),
                ),
            )
        )
        for stack in deal([-(-len(c) // training.batch_size) for c in cohort], _PLACEMENTS)
    ]


def deal(work: Sequence[int], stacks: int) -> list[list[int]]:
    """Deals items to at most `stacks` stacks of about equal work; no stack is empty.

    The longest first, always to the stack with the least work (R. L. Graham, Bounds on
    Multiprocessing Timing Anomalies, SIAM J. Appl. Math. 17(2), 1969).

    Returns:
        The positions in `work` that each stack holds.
    """
    dealt: list[list[int]] = [[] for _ in range(min(stacks, len(work)))]
    load = [0] * len(dealt)
    for item in sorted(range(len(work)), key=lambda i: (-work[i], i)):
        least = load.index(min(load))
        dealt[least].append(item)
        load[least] += max(work[item], 1)
    return dealt


def learning_process(
    model: tff.learning.models.FunctionalModel,
    client_optimizer: tff.learning.optimizers.Optimizer,
    server_optimizer: tff.learning.optimizers.Optimizer,
    weighting: tff.learning.ClientWeighting,
) -> tff.learning.templates.LearningProcess:
    """FedAvg as `tff.learning.algorithms.build_weighted_fed_avg` composes it, on packed clients.

    Source: McMahan et al., AISTATS 2017, algorithm 1; Reddi et al., ICLR 2021, algorithm 2.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    templates = tff.learning.templates

    @tff.tensorflow.computation
    def initial_weights() -> Any:
        trainable, other = (
            tuple(tf.convert_to_tensor(w) for w in part) for part in model.initial_weights
        )
        return tff.learning.models.ModelWeights(trainable, other)

    weights_type = initial_weights.type_signature.result
    return templates.compose_learning_process(
        initial_weights,
        templates.build_broadcast_process(weights_type),
        _client_work(model, client_optimizer, weighting, weights_type),
        tff.aggregators.MeanFactory().create(weights_type.trainable, tff.TensorType(np.float32)),
        templates.build_apply_optimizer_finalizer(server_optimizer, weights_type),
    )


def _client_work(
    model: Any, optimizer: Any, weighting: Any, weights_type: Any
) -> tff.learning.templates.ClientWorkProcess:
    tff: Any = import_tff()
    spec = model.input_spec
    stack_type = tff.SequenceType(
        OrderedDict(
            x=tff.TensorType(spec["x"].dtype.as_numpy_dtype, spec["x"].shape),
            y=tff.TensorType(spec["y"].dtype.as_numpy_dtype, spec["y"].shape),
            sizes=tff.TensorType(np.int32, (None,)),
            batch_size=np.int32,
            local_epochs=np.int32,
        )
    )
    by_examples = weighting == tff.learning.ClientWeighting.NUM_EXAMPLES

    @tff.tensorflow.computation(weights_type, stack_type)
    def train_stack(weights: Any, stacks: tf.data.Dataset) -> Any:
        update, weight, metrics = _train_stack(model, optimizer, by_examples, weights, stacks)
        return tff.learning.templates.ClientResult(update, weight), metrics

    @tff.tensorflow.computation(train_stack.type_signature.result[1])
    def finalise(sums: Any) -> Any:
        return OrderedDict(train=_means(sums))

    @tff.federated_computation
    def initialise() -> Any:
        return tff.federated_value((), tff.SERVER)

    @tff.federated_computation(
        initialise.type_signature.result,
        tff.FederatedType(weights_type, tff.CLIENTS),
        tff.FederatedType(stack_type, tff.CLIENTS),
    )
    def work(state: Any, weights: Any, stacks: Any) -> Any:
        result, sums = tff.federated_map(train_stack, (weights, stacks))
        metrics = tff.federated_map(finalise, tff.federated_sum(sums))
        return tff.templates.MeasuredProcessOutput(state, result, metrics)

    return tff.learning.templates.ClientWorkProcess(initialise, work)


def _means(sums: Any) -> Any:
    import tensorflow as tf

    examples = tf.cast(sums["num_examples"], tf.float32)
    return OrderedDict(
        accuracy=tf.math.divide_no_nan(tf.cast(sums["correct"], tf.float32), examples),
        loss=tf.math.divide_no_nan(sums["loss"], examples),
        num_examples=sums["num_examples"],
    )


def _train_stack(
    model: Any, optimizer: Any, by_examples: bool, weights: Any, stacks: tf.data.Dataset
) -> Any:
    """Trains the clients of one stack in turn; all in one graph.

    Returns:
        The weighted mean of the clients' changes (start less end, as TFF has it), the sum of
        their weights (float32), and their metrics summed over examples. As on TFF's own path, a
        client whose change is not finite has no weight and no metrics.
    """
    import tensorflow as tf

    def no_metrics() -> Any:
        return OrderedDict(
            correct=tf.constant(0, tf.int64),
            loss=tf.constant(0.0),
            num_examples=tf.constant(0, tf.int64),
        )

    # Without autograph: its loops over datasets become ops that run several times slower.
    @tf.function(autograph=False)
    def run(weights: Any, stacks: tf.data.Dataset) -> Any:
        stack = stacks.get_single_element()
        start, fixed = tuple(weights.trainable), tuple(weights.non_trainable)
        specs = tuple(tf.TensorSpec(w.shape, w.dtype) for w in start)
        ends = tf.cumsum(stack["sizes"])
        begins = ends - stack["sizes"]
        size = stack["batch_size"]

        def train_client(client: Any, total: Any, total_weight: Any, sums: Any) -> Any:
            begin, end = begins[client], ends[client]
            batches = (end - begin + size - 1) // size

            def train_batch(step: Any, current: Any, state: Any, metrics: Any) -> Any:
                first = begin + (step % batches) * size
                last = tf.minimum(first + size, end)
                x, y = stack["x"][first:last], stack["y"][first:last]
                with tf.GradientTape() as tape:
                    tape.watch(current)
                    given = model.predict_on_batch((current, fixed), x, training=True)
                    loss = model.loss(output=given, label=y)
                state, updated = optimizer.next(state, current, tape.gradient(loss, current))
                hits = tf.equal(tf.argmax(given, axis=-1, output_type=y.dtype), y)
                metrics = OrderedDict(
                    correct=metrics["correct"] + tf.math.count_nonzero(hits),
                    loss=metrics["loss"] + loss * tf.cast(last - first, tf.float32),
                    num_examples=metrics["num_examples"] + tf.cast(last - first, tf.int64),
                )
                return step + 1, tuple(updated), state, metrics

            _, trained, _, metrics = tf.while_loop(
                lambda step, *_: step < batches * stack["local_epochs"],
                train_batch,
                (0, start, optimizer.initialize(specs), no_metrics()),
                parallel_iterations=1,
            )
            change = tuple(a - b for a, b in zip(start, trained))
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(c)) for c in change])
            weight = tf.cast(end - begin, tf.float32) if by_examples else tf.constant(1.0)

            def counted(value: Any) -> Any:
                return tf.where(finite, value, tf.zeros_like(value))

            return (
                client + 1,
                tuple(t + counted(weight * c) for t, c in zip(total, change)),
                total_weight + counted(weight),
                tf.nest.map_structure(lambda a, b: a + counted(b), sums, metrics),
            )

        _, total, total_weight, sums = tf.while_loop(
            lambda client, *_: client < tf.size(stack["sizes"]),
            train_client,
            (0, tuple(tf.zeros_like(w) for w in start), tf.constant(0.0), no_metrics()),
            parallel_iterations=1,
        )
        mean = tuple(tf.math.divide_no_nan(t, total_weight) for t in total)
        return mean, total_weight, sums

    return run(weights, stacks)
