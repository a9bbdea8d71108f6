"""Stacks: examples of many clients one after the other, which are trained in turn in a graph."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, Callable, NamedTuple, Optional, Protocol

import numpy as np

from pytest_federated.clients.cohort import LocalWork
from pytest_federated.data.datasets.dataset import Examples, inputs_of, levels_of
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import flat

# Not the number of cores: the order of additions, and with it the last bit of the result, must
# not depend on the machine. Idle placements cost next to nothing.
_PLACEMENTS = 8


def arguments(
    cohort: Sequence[Examples],
    work: LocalWork,
    steps: Optional[np.ndarray] = None,
    factors: Optional[np.ndarray] = None,
    keys: Optional[np.ndarray] = None,
    dealt: Optional[Sequence[Sequence[int]]] = None,
) -> list[dict[str, np.ndarray]]:
    """Deals the clients to placements by number of batches, and puts each placement's in a row.

    Args:
        cohort: the examples of each client.
        work: batch size and local epochs.
        steps: int (clients,), local steps of each client; all epochs when None.
        factors: float32 (clients,), the factor of each client's change; 1 when None.
        keys: int32 (clients,), from which each client's layers draw random numbers; 0 when None.
        dealt: the positions in the cohort of each placement's clients; `stacks_of` when None.

    Returns:
        For each placement the examples of its clients, `x` and `y`, where all have bytes for
        features as these bytes; `plan`, int32
        (1 + 4 * clients,): local epochs, the clients' batch sizes, their numbers of examples, their
        local steps and their keys; and `factors`, float32 (clients,).
    """
    if steps is None:
        steps = work.steps_of(np.array([len(c) for c in cohort]))
    if factors is None:
        factors = np.ones(len(cohort), np.float32)
    if keys is None:
        keys = np.zeros(len(cohort), np.int32)
    batches = work.batch_sizes(np.array([len(c) for c in cohort]))
    levels = [levels_of(own.x) for own in cohort]
    are_bytes = all(one is not None for one in levels)
    features = levels if are_bytes else [own.x for own in cohort]
    return [
        OrderedDict(
            x=inputs_of(np.concatenate([np.asarray(features[c]) for c in stack])),
            y=np.concatenate([cohort[c].y for c in stack]),
            plan=np.array(
                [
                    *(work.epochs, *batches[stack], *(len(cohort[c]) for c in stack)),
                    *(*steps[stack], *keys[stack]),
                ],
                np.int32,
            ),
            factors=factors[stack],
        )
        for stack in map(list, stacks_of(cohort, work) if dealt is None else dealt)
    ]


def stacks_of(cohort: Sequence[Examples], work: LocalWork) -> list[list[int]]:
    """Returns the positions in the cohort of the clients that each placement holds."""
    return deal([-(-len(c) // work.batch_size_of(len(c))) for c in cohort], _PLACEMENTS)


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


def stack_type(model: Any) -> Any:
    """Returns the TFF type of a stack, as of `arguments`, for a functional model."""
    tff: Any = import_tff()
    return tff.StructWithPythonType(
        [(name, _type_of(spec)) for name, spec in model.input_spec.items()]
        + [
            ("plan", tff.TensorType(np.int32, (None,))),
            ("factors", tff.TensorType(np.float32, (None,))),
        ],
        OrderedDict,
    )


def _type_of(spec: Any) -> Any:
    """Returns the TFF type of what has a `tf.TensorSpec`, or an ordered dict of them."""
    tff: Any = import_tff()
    if isinstance(spec, dict):
        of_inputs = [(name, _type_of(one)) for name, one in spec.items()]
        return tff.StructWithPythonType(of_inputs, OrderedDict)
    return tff.TensorType(spec.dtype.as_numpy_dtype, spec.shape)


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


class PackedClient(NamedTuple):
    """A client of a stack, in the graph that trains it.

    Attributes:
        stack: as of `arguments`.
        begin: position of its first example.
        end: position after its last one.
        batch_size: examples of a batch; int32, as all of these.
        batches: how many batches it has.
        steps: local steps.
        key: from which its layers draw random numbers.
        first: position of the first of these batches among all that its examples make.
        stride: how far one is from the next there.
        steps_before: number of steps that it did before, as its layers count them; None for 0.

    """

    stack: Any
    begin: Any
    end: Any
    batch_size: Any
    batches: Any
    steps: Any
    key: Any
    first: int = 0
    stride: int = 1
    steps_before: Any = None

    @property
    def held(self) -> Any:
        """How many examples it holds, float32."""
        import tensorflow as tf

        return tf.cast(self.end - self.begin, tf.float32)

    def passes(self, count: int) -> PackedClient:
        """Returns the client with so many passes over its batches for its steps."""
        return self._replace(steps=count * self.batches)

    def every_second(self, first: int) -> PackedClient:
        """Returns the client with every second of its batches, from `first`, 0 or 1, on."""
        return self._replace(batches=(self.batches + 1 - first) // 2, first=first, stride=2)

    def batch(self, step: Any, draws: bool) -> tuple[Any, Any, Any]:
        """Returns the batch of a step: what a model takes, the labels, how many examples.

        Args:
            step: int32, from 0.
            draws: whether the model takes the key of the step besides its features.
        """
        import tensorflow as tf

        place = step % self.batches
        if self.stride != 1:
            place = self.first + self.stride * place
        first = self.begin + place * self.batch_size
        last = tf.minimum(first + self.batch_size, self.end)
        x = tf.nest.map_structure(lambda values: values[first:last], self.stack["x"])
        y = self.stack["y"][first:last]
        if draws:
            number = step if self.steps_before is None else self.steps_before + step
            x = x, tf.stack([self.key, number])
        return x, y, last - first


def loop(condition: Callable[..., Any], body: Callable[..., Any], variables: Any) -> Any:
    """Returns the variables after all passes of a `tf.while_loop`, one after the other.

    Traced outside of a `tf.function`, it is a loop of TensorFlow 1. The newer ones hand on, from
    pass to pass, also what the body only reads, and count the passes: a fifth of the operations in
    a step of a small model. Loops within the body are new ones.
    """
    import tensorflow as tf

    def traced_body(*values: Any) -> Any:
        with _new_loops(True):
            return body(*values)

    with _new_loops(False):
        return tf.while_loop(condition, traced_body, variables, parallel_iterations=1)


@contextlib.contextmanager
def _new_loops(are_new: bool) -> Iterator[None]:
    """Has the loops that are traced in the block be new ones, or those of TensorFlow 1."""
    import tensorflow as tf

    switches = tf.compat.v1.disable_control_flow_v2, tf.compat.v1.enable_control_flow_v2
    were_new = tf.compat.v1.control_flow_v2_enabled()
    switches[are_new]()
    try:
        yield
    finally:
        switches[were_new]()


class Advance(Protocol):
    """Returns the state and the weights after a step."""

    def __call__(
        self, state: Any, weights: Sequence[Any], gradients: Sequence[Any], examples: Any, /
    ) -> tuple[Any, Sequence[Any]]: ...


def train_steps(
    model: Any,
    client: PackedClient,
    weights: Any,
    state: Any,
    advance: Advance,
    trained: Optional[Sequence[int]] = None,
    subtract_start: bool = False,
) -> tuple[Sequence[Any], Any, Any]:
    """Does a client's local steps, in a graph.

    Args:
        model: a `tff.learning.models.FunctionalModel`.
        client: whose steps.
        weights: `tff.learning.models.ModelWeights` to begin with.
        state: what `advance` begins with, of an optimizer.
        advance: does a step.
        trained: positions of the trainable weights that the steps change; all when None.
        subtract_start: whether the gradient of the same batch at `weights` is subtracted from each
            gradient.

    Returns:
        These weights after the steps, the state, and the metrics, not yet finalized.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    everything, fixed = tuple(weights.trainable), tuple(weights.non_trainable)
    chosen = range(len(everything)) if trained is None else trained
    start = tuple(everything[i] for i in chosen)
    draws = getattr(model, "draws", False)  # as KerasAdapter has it

    def descent(current: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(current)
            by_position = {**dict(enumerate(everything)), **dict(zip(chosen, current))}
            whole = tuple(by_position[i] for i in range(len(everything)))
            predictions = model.predict_on_batch((whole, fixed), x, training=True)
            loss = model.loss(output=predictions, label=y)
        return tape.gradient(loss, current), loss, predictions

    def train_batch(step: Any, current: Any, state: Any, metrics: Any) -> Any:
        x, y, examples = client.batch(step, draws)
        gradients, loss, predictions = descent(current, x, y)
        if subtract_start:
            gradients = tuple(g - f for g, f in zip(gradients, descent(start, x, y)[0]))
        state, current = advance(state, current, gradients, examples)
        output = tff.learning.models.BatchOutput(loss, predictions, examples)
        metrics = model.update_metrics_state(metrics, labels=y, batch_output=output)
        return step + 1, tuple(current), state, metrics

    _, after, state, metrics = loop(
        lambda step, *_: step < client.steps,
        train_batch,
        (0, start, state, model.initialize_metrics_state()),
    )
    return after, state, metrics


def total_loss(model: Any, client: PackedClient, weights: Any) -> tuple[Any, Any]:
    """Returns the sum of the loss over the examples of a client's steps, and their number."""
    import tensorflow as tf

    groups = tuple(weights.trainable), tuple(weights.non_trainable)

    def loss(x: Any, y: Any) -> tuple[Any]:
        predictions = model.predict_on_batch(groups, x, training=False)
        return (model.loss(output=predictions, label=y),)

    (total,), count = _total(model, client, loss, (tf.constant(0.0),))
    return total, count


def total_gradient(model: Any, client: PackedClient, weights: Any) -> tuple[Any, Any]:
    """Returns the sum of the gradient over the examples of a client's steps, and their number."""
    import tensorflow as tf

    trainable, fixed = tuple(weights.trainable), tuple(weights.non_trainable)

    def gradient(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            predictions = model.predict_on_batch((trainable, fixed), x, training=True)
            loss = model.loss(output=predictions, label=y)
        return tape.gradient(loss, trainable)

    return _total(model, client, gradient, tuple(tf.zeros_like(w) for w in trainable))


def _total(
    model: Any, client: PackedClient, of_batch: Callable[[Any, Any], Any], zeros: Any
) -> tuple[Any, Any]:
    """Returns the sums over examples of means over batches, and the number of examples, float32."""
    import tensorflow as tf

    draws = getattr(model, "draws", False)

    def add(step: Any, total: Any, count: Any) -> Any:
        x, y, examples = client.batch(step, draws)
        weight = tf.cast(examples, tf.float32)
        total = tuple(t + weight * mean for t, mean in zip(total, of_batch(x, y)))
        return step + 1, total, count + weight

    _, total, count = loop(
        lambda step, *_: step < client.steps,
        add,
        (0, zeros, tf.constant(0.0)),
    )
    return total, count


def _clients_of(stack: Any) -> tuple[Any, Callable[[Any], PackedClient]]:
    """Returns the sizes of a stack's clients, int32 (clients,), and what gives a client by place.

    In the graph that trains them.
    """
    import tensorflow as tf

    batch_sizes, sizes, steps, keys = tf.split(stack["plan"][1:], 4)
    batches = (sizes + batch_sizes - 1) // batch_sizes
    ends = tf.cumsum(sizes)
    begins = ends - sizes

    def client_at(at: Any) -> PackedClient:
        return PackedClient(
            stack, begins[at], ends[at], batch_sizes[at], batches[at], steps[at], keys[at]
        )

    return sizes, client_at


def of_each(
    stack: Any, of_client: Callable[[PackedClient], Sequence[Any]], like: Sequence[Any]
) -> list[Any]:
    """Returns what `of_client` gives for each client of a stack, along a first axis, in a graph.

    Args:
        stack: as of `arguments`.
        of_client: gives tensors of a client.
        like: tensors of their shapes and types.
    """
    import tensorflow as tf

    sizes, client_at = _clients_of(stack)
    count = tf.size(sizes)

    def next_client(at: Any, results: Any) -> Any:
        values = of_client(client_at(at))
        return at + 1, tuple(one.write(at, value) for one, value in zip(results, values))

    none = tuple(tf.TensorArray(one.dtype, count, element_shape=one.shape) for one in like)
    _, results = loop(lambda at, *_: at < count, next_client, (0, none))
    return [one.stack() for one in results]


class TrainsClient(Protocol):
    """Trains a client, given what it keeps."""

    def __call__(self, client: PackedClient, kept: Sequence[Any], /) -> Sent: ...


def train_stack(
    model: Any,
    stack: Any,
    train_client: TrainsClient,
    shared: Sequence[Any],
    keeps_rows: bool,
    kept: Sequence[Any] = (),
    no_sums: Sequence[Any] = (),
) -> tuple[Any, Any, Any, Any, Any]:
    """Trains the clients of one stack in turn, in one graph.

    As in standard execution, a client whose change is not finite has no weight, no sums and no
    metrics, and keeps what it had.

    Args:
        model: a `tff.learning.models.FunctionalModel`.
        stack: as of `arguments`.
        train_client: trains one.
        shared: tensors of the shapes of a client's change.
        keeps_rows: whether the changes are needed one by one.
        kept: what each client keeps, along the first axis of each tensor.
        no_sums: zeros of the shapes of what a client sends the sums of.

    Returns:
        The weighted sum of the clients' changes (start less end, as TFF has it) or, with
        `keeps_rows`, each change, float32 (clients, parameters), zeros where it is not finite, with
        the clients' weights and factors, float32 (clients,); the sum of their weights (float32);
        their metrics summed over examples; the sums; and what they keep.
    """
    import tensorflow as tf

    sizes, client_at = _clients_of(stack)

    def train_next(
        at: Any, total: Any, total_weight: Any, metrics: Any, sums: Any, all_kept: Any
    ) -> Any:
        client = client_at(at)
        before = [values[at] for values in kept]
        sent = train_client(client, before)
        is_finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(c)) for c in sent.change])
        factor = stack["factors"][at]

        def if_finite(value: Any) -> Any:
            return tf.where(is_finite, value, tf.zeros_like(value))

        def plus(some: Any, more: Any) -> Any:
            return some + if_finite(more)

        if keeps_rows:
            rows, row_weights = total
            total = (
                rows.write(at, if_finite(factor * flat(sent.change))),
                row_weights.write(at, if_finite(sent.weight)),
            )
        else:
            # In one operation: a choice between two tensors of a weight's size takes longer.
            scale = if_finite(sent.weight * factor)
            total = tuple(t + tf.math.multiply_no_nan(c, scale) for t, c in zip(total, sent.change))
        return (
            at + 1,
            total,
            plus(total_weight, sent.weight),
            tf.nest.map_structure(plus, metrics, sent.metrics),
            tuple(map(plus, sums, sent.sums)),
            tuple(
                values.write(at, tf.where(is_finite, new, old))
                for values, new, old in zip(all_kept, sent.kept, before)
            ),
        )

    no_change: Any = tuple(tf.zeros_like(w) for w in shared)
    count = tf.size(sizes)
    if keeps_rows:
        no_change = tuple(tf.TensorArray(tf.float32, count) for _ in range(2))
    no_kept = tuple(tf.TensorArray(k.dtype, count, element_shape=k.shape[1:]) for k in kept)
    _, total, total_weight, metrics, sums, all_kept = loop(
        lambda at, *_: at < count,
        train_next,
        (
            *(0, no_change, tf.constant(0.0), model.initialize_metrics_state()),
            *(tuple(no_sums), no_kept),
        ),
    )
    if keeps_rows:
        rows, row_weights = (one.stack() for one in total)
        parameters = sum(int(np.prod(w.shape)) for w in shared)
        total = tf.ensure_shape(rows, (None, parameters)), row_weights, stack["factors"]
    return total, total_weight, metrics, list(sums), [values.stack() for values in all_kept]
