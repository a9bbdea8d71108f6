"""The interface of aggregators, and aggregators that need all changes at once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Callable, Optional, Protocol

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.tff.imports import import_tff


@dataclass(frozen=True)
class AggregatorSpec(Spec):
    """The traits of an aggregator.

    Attributes:
        unweighted: every client counts the same, whatever the algorithm's weighting.
        by_clients: it depends on the expected number of clients in a round.
        private: None without differential privacy. With it, a text for the report: empty if epsilon
            is exact, else what is approximated. Such an aggregator has the keys `noise_multiplier`
            and `delta`. Its noise and its divisor do not depend on who takes part, and it adds
            noise in rounds without clients, too.
        by_participation: epsilon depends on how often a client takes part.

    """

    unweighted: bool = False
    by_clients: bool = False
    private: Optional[str] = None
    by_participation: bool = False


class MakesAggregator(Protocol):
    """Makes the factory that combines the clients' changes."""

    def __call__(self, clients: int, /, *args: Any, **keys: Any) -> Any:
        """Returns a `tff.aggregators` factory, or None for the weighted mean.

        `clients` is the expected number of clients in a round; 0 without the trait `by_clients`.
        """
        ...


aggregators = Registry(
    "aggregator",
    MakesAggregator,
    AggregatorSpec,
    plural="aggregators",
    package=__package__,
    error=ModelError,
)

# From changes, float32 (clients, parameters), to their aggregate, float32 (parameters,).
Combine = Callable[[Any], Any]


def build(settings: Section, clients: int) -> Optional[Any]:
    """Returns the `tff.aggregators` factory that takes the mean's place; None for the plain mean.

    Raises:
        ModelError: the keys do not fit together, or not with the number of clients.
    """
    tff: Any = import_tff()
    entry = aggregators.entry(settings)
    try:
        factory = entry.call(settings, clients)
    except ValueError as error:
        raise ModelError(f"training.aggregator: {error}") from error
    if factory is not None and not isinstance(factory, tff.aggregators.AggregationFactory):
        raise entry.gave(factory, "a factory of tff.aggregators, or None for the mean")
    if isinstance(factory, tff.aggregators.UnweightedAggregationFactory):
        weighted: Any = tff.aggregators.as_weighted_aggregator(factory)
        if compressed_bytes := getattr(factory, "compressed_bytes", None):
            weighted.compressed_bytes = compressed_bytes
        return weighted
    return factory


def stacked(combine: Combine) -> Any:
    """Returns a `tff.aggregators.WeightedAggregationFactory` that combines all changes at once.

    The server holds the changes of the whole cohort, clients times parameters times 4 bytes.
    Weights are ignored, except that a client without weight, whose change is not finite, is left
    out; without any client the aggregate is zero. Packed clients are combined the same way.
    """
    import tensorflow as tf

    tff: Any = import_tff()

    class Stacked(tff.aggregators.WeightedAggregationFactory):
        def __init__(self) -> None:
            self.combine_rows = combine

        def create(self, value_type: Any, weight_type: Any) -> Any:
            @tff.tensorflow.computation(value_type, weight_type)
            def row(value: Any, weight: Any) -> Any:
                return tf.boolean_mask(flat(value)[tf.newaxis], [weight > 0])

            rows_type = row.type_signature.result
            if rows_type.shape[1] is None:
                raise ModelError("the aggregator needs a model whose weights have fixed shapes")

            @tff.tensorflow.computation(rows_type)
            def combined(rows: Any) -> Any:
                template = tff.types.type_to_tf_tensor_specs(value_type)
                return unflat(combine_or_zero(combine, rows), template)

            @tff.federated_computation
            def initialize() -> Any:
                return tff.federated_value((), tff.SERVER)

            @tff.federated_computation(
                initialize.type_signature.result,
                tff.FederatedType(value_type, tff.CLIENTS),
                tff.FederatedType(weight_type, tff.CLIENTS),
            )
            def next_round(state: Any, value: Any, weight: Any) -> Any:
                rows = tff.federated_map(row, (value, weight))
                result = gathered(rows, combined)
                nothing = tff.federated_value(OrderedDict(), tff.SERVER)
                return tff.templates.MeasuredProcessOutput(state, result, nothing)

            return tff.templates.AggregationProcess(initialize, next_round)

    return Stacked()


def combine_of(factory: Any) -> Optional[Combine]:
    """Returns what a factory that is `stacked` combines all changes by; None for any other."""
    return getattr(factory, "combine_rows", None)


def gathered(rows: Any, then: Any) -> Any:
    """Puts the clients' rows, (n, parameters) each, one below the other at the server.

    In a federated computation; `then` is the TensorFlow computation that these rows are given to.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    rows_type = rows.type_signature.member

    @tff.tensorflow.computation
    def no_rows() -> Any:
        return tf.zeros((0, rows_type.shape[1]), rows_type.dtype)

    @tff.tensorflow.computation(rows_type, rows_type)
    def together(some: Any, more: Any) -> Any:
        return tf.concat([some, more], axis=0)

    return tff.federated_aggregate(rows, no_rows(), together, together, then)


def combine_or_zero(combine: Combine, rows: Any) -> Any:
    """Returns the aggregate of the rows; zero if there are none."""
    import tensorflow as tf

    return tf.cond(
        tf.shape(rows)[0] > 0,
        lambda: tf.ensure_shape(combine(rows), rows.shape[1:]),
        lambda: tf.zeros(rows.shape[1:], rows.dtype),
    )


def flat(value: Any) -> Any:
    """Returns all numbers of a structure of tensors as one vector."""
    import tensorflow as tf

    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tf.nest.flatten(value)], axis=0)


def unflat(numbers: Any, template: Any) -> Any:
    """Returns such a vector in the structure of `template`, tensors or their specs."""
    import tensorflow as tf

    tensors = tf.nest.flatten(template)
    sizes = [int(np.prod(tensor.shape)) for tensor in tensors]
    split = tf.split(numbers, sizes)
    shaped = [tf.reshape(piece, tensor.shape) for piece, tensor in zip(split, tensors)]
    return tf.nest.pack_sequence_as(template, shaped)
