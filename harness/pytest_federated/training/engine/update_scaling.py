"""Clients that multiply their update by a factor, which comes with each example of their data.

TFF gives a client's data to its client work alone, and the aggregator does not know who sent what.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from pytest_federated.tff.imports import import_tff

FACTOR = "factor"


def scaled(work: Any) -> Any:
    """A `tff.learning.templates.ClientWorkProcess` on data of which each example has a factor."""
    import tensorflow as tf

    tff: Any = import_tff()
    templates = tff.learning.templates
    state_type, weights_type, data_type = work.next.type_signature.parameter
    result_type = work.next.type_signature.result.result.member
    batch = tff.structure.to_elements(data_type.member.element)
    given_type = tff.SequenceType(
        tff.StructWithPythonType(
            [*batch, (FACTOR, tff.TensorType(np.float32, (None,)))], OrderedDict
        )
    )

    @tff.tensorflow.computation(given_type)
    def without_factor(data: Any) -> Any:
        return data.map(lambda received: OrderedDict((key, received[key]) for key, _ in batch))

    @tff.tensorflow.computation(result_type, given_type)
    def multiplied(result: Any, data: Any) -> Any:
        factor = data.take(1).reduce(tf.constant(1.0), lambda _, received: received[FACTOR][0])
        update = tf.nest.map_structure(lambda part: factor * part, result.update)
        return templates.ClientResult(update, result.update_weight)

    @tff.federated_computation(state_type, weights_type, tff.FederatedType(given_type, tff.CLIENTS))
    def next_round(state: Any, weights: Any, data: Any) -> Any:
        output = work.next(state, weights, tff.federated_map(without_factor, data))
        result = tff.federated_map(multiplied, (output.result, data))
        return tff.templates.MeasuredProcessOutput(output.state, result, output.measurements)

    return templates.ClientWorkProcess(work.initialize, next_round)
