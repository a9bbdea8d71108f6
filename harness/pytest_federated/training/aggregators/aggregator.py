"""What an aggregator is to pytest-federated, and aggregators that look at all changes at once."""

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
        packs: it can be given packed clients.
        unweighted: every client counts the same, whatever the algorithm's weighting.
        by_clients: it depends on how many clients a round is expected to have.
        private: None for one that is not private. Otherwise it has a noise_multiplier and a delta,
            which give epsilon; a text says with what approximation, if any. What it adds and
            divides by does not depend on who comes, and it does so where nobody does.
        by_participation: epsilon depends on how often one client takes part.

    """

    packs: bool = False
    unweighted: bool = False
    by_clients: bool = False
    private: Optional[str] = None
    by_participation: bool = False


class MakesAggregator(Protocol):
    """Makes what puts the clients' changes together."""

    def __call__(self, clients: int, /, *args: Any, **keys: Any) -> Any:
        """A factory of `tff.aggregators`, for `clients` a round; None for the weighted mean."""
        ...


aggregators = Registry(
    "aggregator", MakesAggregator, AggregatorSpec, plural="aggregators", package=__package__
)

# From changes, float32 (clients, parameters), to their aggregate, float32 (parameters,).
Combine = Callable[[Any], Any]


def build(settings: Section, clients: int) -> Optional[Any]:
    """The factory of `tff.aggregators` for a weighted mean's place; None for the plain mean.

    Raises:
        ModelError: the keys do not fit each other or the number of clients.
    """
    tff: Any = import_tff()
    try:
        factory = aggregators.entry(settings).call(settings, clients)
    except ValueError as error:
        raise ModelError(f"training.aggregator: {error}") from error
    if isinstance(factory, tff.aggregators.UnweightedAggregationFactory):
        weighted: Any = tff.aggregators.as_weighted_aggregator(factory)
        if compressed_bytes := getattr(factory, "compressed_bytes", None):
            weighted.compressed_bytes = compressed_bytes
        return weighted
    return factory


def stacked(combine: Combine) -> Any:
    """A `tff.aggregators.WeightedAggregationFactory` that combines all changes at once.

    The server holds the changes of the whole cohort, clients times parameters times 4 bytes.
    Weights are not read, but that a client without weight, one whose change is not finite, is
    left out; without any client the aggregate is zero. Packed clients are combined the same way.
    """
    import tensorflow as tf

    tff: Any = import_tff()

    class Stacked(tff.aggregators.WeightedAggregationFactory):
        def __init__(self) -> None:
            self.combine = combine

        def create(self, value_type: Any, weight_type: Any) -> Any:
            @tff.tensorflow.computation(value_type, weight_type)
            def row(value: Any, weight: Any) -> Any:
                return tf.boolean_mask(flat(value)[tf.newaxis], [weight > 0])

            rows_type = row.type_signature.result
            if rows_type.shape[1] is None:
                raise ModelError("the aggregator needs a model whose weights have fixed shapes")

            @tff.tensorflow.computation
            def no_rows() -> Any:
                return tf.zeros((0, rows_type.shape[1]), rows_type.dtype)

            @tff.tensorflow.computation(rows_type, rows_type)
            def together(some: Any, more: Any) -> Any:
                return tf.concat([some, more], axis=0)

            @tff.tensorflow.computation(rows_type)
            def combined(rows: Any) -> Any:
                template = tff.types.type_to_tf_tensor_specs(value_type)
                return unflat(combine_some(combine, rows), template)

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
                result = tff.federated_aggregate(rows, no_rows(), together, together, combined)
                nothing = tff.federated_value(OrderedDict(), tff.SERVER)
                return tff.templates.MeasuredProcessOutput(state, result, nothing)

            return tff.templates.AggregationProcess(initialize, next_round)

    return Stacked()


def combine_some(combine: Combine, rows: Any) -> Any:
    """The aggregate of the rows, which may be none: then it is zero."""
    import tensorflow as tf

    return tf.cond(
        tf.shape(rows)[0] > 0,
        lambda: tf.ensure_shape(combine(rows), rows.shape[1:]),
        lambda: tf.zeros(rows.shape[1:], rows.dtype),
    )


def flat(value: Any) -> Any:
    """All numbers of a structure of tensors, one after the other."""
    import tensorflow as tf

    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tf.nest.flatten(value)], axis=0)


def unflat(numbers: Any, template: Any) -> Any:
    """The structure of `template`, tensors or their specs, of what `flat` gave."""
    import tensorflow as tf

    tensors = tf.nest.flatten(template)
    sizes = [int(np.prod(tensor.shape)) for tensor in tensors]
    split = tf.split(numbers, sizes)
    shaped = [tf.reshape(own, tensor.shape) for own, tensor in zip(split, tensors)]
    return tf.nest.pack_sequence_as(template, shaped)
