"""Learning processes on packed clients: one broadcast, one map over the stacks, one sum, one step.

The calls of each of TFF's templates in its worker would take longer than the training of a small
round. An aggregator of TFF's needs each client's change on a placement of its own, while training
has many clients on one: a round is two calls then, and the changes come back as rows in between.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pytest_federated.clients.attacks.attack import Craft
from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import (
    Combine,
    combine_of,
    combine_or_zero,
    flat,
    unflat,
)
from pytest_federated.training.engine.crafting import with_crafted
from pytest_federated.training.engine.stacks import stack_type, stacks_of

if TYPE_CHECKING:
    import tensorflow_federated as tff


@dataclass(frozen=True)
class Process:
    """Stands in for `tff.learning.templates.LearningProcess`, which takes `tf.data.Dataset`s only.

    Of packed clients a placement has tensors: a data set would be written as a graph and read again
    for each placement in each round.

    Attributes:
        initialize: () -> the server's state.
        next: (state, what each placement is given) -> state, metrics, and what clients keep, if
            they do. With `aggregate` it gives, in place of the state, each client's change as a
            row, the clients' weights, and the sums of what they send besides.
        aggregate: (state, these sums, each client's change, its weight) -> state; None where a
            round is one call.

    """

    initialize: tff.Computation
    next: tff.Computation
    aggregate: Optional[tff.Computation] = None

    @property
    def computations(self) -> tuple[tff.Computation, ...]:
        """Those of a round."""
        return (self.next,) if self.aggregate is None else (self.next, self.aggregate)

    def round(
        self, state: Any, cohort: Cohort, work: LocalWork, *given: Sequence[Any]
    ) -> tuple[Any, Mapping[str, Any], Sequence[Any]]:
        """Returns the state after a round, its metrics, and what each placement's clients keep.

        Args:
            state: before the round.
            cohort: who takes part.
            work: what each does.
            given: what each placement is given, as the parameters of `next`.
        """
        after, metrics, *kept = self.next(state, *given)
        if self.aggregate is not None:
            rows, weights, sums = after
            # In the order in which TFF's own client work would give them.
            order = np.argsort([at for stack in stacks_of(cohort.rows, work) for at in stack])
            given_type: Any = self.aggregate.type_signature.parameter
            shapes = [one.shape for one in given_type[2].member]
            changes = [split(rows[at], shapes) for at in order]
            after = self.aggregate(state, sums, changes, [weights[at] for at in order])
        return after, metrics, kept[0] if kept else ()

    def get_model_weights(self, state: Any) -> tff.learning.models.ModelWeights:
        """Returns the model's weights in a state; no TFF computation, as the state is local."""
        return state.global_model_weights

    def set_model_weights(self, state: Any, weights: tff.learning.models.ModelWeights) -> Any:
        """Returns the state with these weights, tuples of arrays."""
        return state._replace(global_model_weights=weights)


def split(row: np.ndarray, shapes: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Returns views of a row in these shapes, one after the other."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(row, ends[:-1]), shapes)]


def packed_process(
    model: tff.learning.models.FunctionalModel,
    initial_state: tff.Computation,
    training: Callable[[Any, bool], tff.Computation],
    step: Callable[[Any, Sequence[Any], Sequence[Any]], Any],
    kept_type: Any = None,
    no_sums: Callable[[], Sequence[Any]] = tuple,
    aggregator: Any = None,
    craft: Optional[Craft] = None,
) -> Process:
    """Builds a process on packed clients.

    Args:
        model: what is trained.
        initial_state: () -> a `tff.learning.templates.LearningAlgorithmState` without that of an
            aggregator.
        training: (type of the weights and the client work's state, which the server sends, whether
            rows are needed) -> the computation (these, what clients keep if they do, a stack) ->
            (changes, weight, (metrics, sums)), as of `stacks.train_stack`, without rows `joined`;
            and what clients keep now.
        step: (state, aggregated change, sums) -> state, in a `tff.tensorflow.computation`.
        kept_type: the type of what the clients of a placement keep, which `next` then takes and
            gives, too.
        no_sums: makes the sums without clients.
        aggregator: a factory of `tff.aggregators`; None is the weighted mean.
        craft: what attackers send in place of their changes, which is put into their rows at the
            server, which has all of them.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    templates = tff.learning.templates
    combine = combine_of(aggregator)
    keeps_rows = aggregator is not None or craft is not None
    initial_type: Any = initial_state.type_signature.result
    value_type = tff.types.to_type(list(initial_type.global_model_weights.trainable))
    weight_type = tff.TensorType(np.float32)
    by_tff = None
    if aggregator is not None and combine is None:
        by_tff = aggregator.create(value_type, weight_type)

    @tff.federated_computation
    def initialize() -> Any:
        state = tff.federated_eval(initial_state, tff.SERVER)
        if by_tff is None:
            return state
        return tff.federated_zip(
            templates.LearningAlgorithmState(
                state.global_model_weights,
                state.distributor,
                state.client_work,
                by_tff.initialize(),
                state.finalizer,
            )
        )

    state_type = initialize.type_signature.result.member

    @tff.tensorflow.computation(state_type)
    def sent(state: Any) -> Any:
        return state.global_model_weights, state.client_work

    train = training(sent.type_signature.result, keeps_rows)
    result_type: Any = train.type_signature.result
    trained_type = result_type[0]

    def no_rest() -> Any:
        return model.initialize_metrics_state(), list(no_sums())

    def measured(metrics: Any) -> Any:
        return OrderedDict(train=model.finalize_metrics(metrics))

    def step_of_server(state: Any, trained: Any) -> Any:
        like = tuple(state.global_model_weights.trainable)
        if not keeps_rows:
            trained = separated(trained, (like, tf.constant(0.0), no_rest()))
        total, total_weight, (metrics, sums) = trained
        change = aggregated(combine, total, total_weight, like, craft)
        return step(state, list(change), list(sums)), measured(metrics)

    def rows_of_all(_: Any, trained: Any) -> Any:
        (rows, weights, factors), _, (metrics, sums) = trained
        if craft is not None:
            rows = with_crafted(craft, rows, weights, factors)
        return (rows, weights, sums), measured(metrics)

    at_server = tff.tensorflow.computation(
        step_of_server if by_tff is None else rows_of_all, state_type, trained_type
    )

    def round_of(state: Any, *given: Any) -> Any:
        received = tff.federated_broadcast(tff.federated_map(sent, state))
        trained, kept = tff.federated_map(train, (received, *given))
        sums = summed(keeps_rows, trained, no_rest)
        after, metrics = tff.federated_map(at_server, (state, sums))
        return results(after, metrics, kept)

    types = [tff.FederatedType(state_type, tff.SERVER)]
    given = [stack_type(model)] if kept_type is None else [kept_type, stack_type(model)]
    types += [tff.FederatedType(one, tff.CLIENTS) for one in given]
    if kept_type is None:

        @tff.federated_computation(*types)
        def next_round(state: Any, data: Any) -> Any:
            return round_of(state, data)

    else:

        @tff.federated_computation(*types)
        def next_round(state: Any, kept: Any, data: Any) -> Any:
            return round_of(state, kept, data)

    if by_tff is None:
        return Process(initialize, next_round)
    sums_type = trained_type[2][1]

    @tff.tensorflow.computation(
        state_type, by_tff.initialize.type_signature.result.member, value_type, sums_type
    )
    def step_after(state: Any, of_aggregator: Any, change: Any, sums: Any) -> Any:
        return step(state._replace(aggregator=of_aggregator), list(change), list(sums))

    @tff.federated_computation(
        tff.FederatedType(state_type, tff.SERVER),
        tff.FederatedType(sums_type, tff.SERVER),
        tff.FederatedType(value_type, tff.CLIENTS),
        # The last has to be at the clients: where TFF divides an argument among workers, it counts
        # by the last part, and would give each the same clients (TFF 0.87).
        tff.FederatedType(weight_type, tff.CLIENTS),
    )
    def aggregate(state: Any, sums: Any, changes: Any, weights: Any) -> Any:
        done = by_tff.next(state.aggregator, changes, weights)
        return tff.federated_map(step_after, (state, done.state, done.result, sums))

    return Process(initialize, next_round, aggregate)


def results(after: Any, metrics: Any, kept: Any) -> tuple[Any, ...]:
    """Returns what a round gives; without what clients keep where that is nothing.

    TFF can divide among workers only what leaves nothing with the clients.
    """
    return (after, metrics, kept) if len(kept.type_signature.member) else (after, metrics)


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


def aggregated(
    combine: Optional[Combine], total: Any, total_weight: Any, like: Any, craft: Optional[Craft]
) -> Any:
    """Returns the mean of all changes, or what `combine` makes of their rows, as `like`.

    With `craft` the attackers' changes are replaced first. `combine` is not given those of clients
    without weight.
    """
    import tensorflow as tf

    if combine is None and craft is None:
        return tuple(tf.math.divide_no_nan(t, total_weight) for t in total)
    rows, row_weights, factors = total
    if craft is not None:
        rows = with_crafted(craft, rows, row_weights, factors)
    if combine is None:
        mean = tf.linalg.matvec(rows, row_weights, transpose_a=True)
        mean = tf.math.divide_no_nan(mean, total_weight)
    else:
        mean = combine_or_zero(combine, tf.boolean_mask(rows, row_weights > 0))
    return unflat(mean, like)
