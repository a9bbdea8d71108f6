"""Clients with a number of their own, which comes with each example of their data.

By it a client multiplies its update, or its weight in the mean. TFF gives a client's data to its
client work alone, and the aggregator does not know who sent what.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Callable, Optional

import numpy as np

from pytest_federated.clients.attacks.attack import Craft
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.engine.crafting import crafted_results

FACTOR = "factor"
HELD = "held"


def scaled(work: Any, craft: Optional[Craft] = None) -> Any:
    """A `tff.learning.templates.ClientWorkProcess` whose clients multiply their updates.

    Each example has its client's factor. With `craft`, the updates of clients whose factor is
    `CRAFTED` are replaced.
    """
    import tensorflow as tf

    templates = import_tff().learning.templates

    def multiply(factor: Any, result: Any) -> Any:
        update = tf.nest.map_structure(lambda part: factor * part, result.update)
        return templates.ClientResult(update, result.update_weight)

    return _by_client(work, FACTOR, multiply, craft)


def weighted_by_held(work: Any) -> Any:
    """A `tff.learning.templates.ClientWorkProcess` that weighs clients by the examples they hold.

    Each example has its client's number of them. The weights of `work` are uniform, and 0 for a
    client whose update is not finite.
    """
    templates = import_tff().learning.templates

    def weigh(held: Any, result: Any) -> Any:
        return templates.ClientResult(result.update, held * result.update_weight)

    return _by_client(work, HELD, weigh)


def _by_client(
    work: Any, column: str, change: Callable[[Any, Any], Any], craft: Optional[Craft] = None
) -> Any:
    """The client work `work` on data with one more column; `change` takes its value and a result.

    The value is 1 for a client without examples. With `craft` it is a factor.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    templates = tff.learning.templates
    state_type, weights_type, data_type = work.next.type_signature.parameter
    result_type = work.next.type_signature.result.result.member
    batch = tff.structure.to_elements(data_type.member.element)
    given_type = tff.SequenceType(
        tff.StructWithPythonType(
            [*batch, (column, tff.TensorType(np.float32, (None,)))], OrderedDict
        )
    )

    @tff.tensorflow.computation(given_type)
    def without_column(data: Any) -> Any:
        return data.map(lambda received: OrderedDict((key, received[key]) for key, _ in batch))

    @tff.tensorflow.computation(given_type)
    def value_of(data: Any) -> Any:
        return data.take(1).reduce(tf.constant(1.0), lambda _, received: received[column][0])

    @tff.tensorflow.computation(result_type, np.float32)
    def changed(result: Any, value: Any) -> Any:
        return change(value, result)

    @tff.federated_computation(state_type, weights_type, tff.FederatedType(given_type, tff.CLIENTS))
    def next_round(state: Any, weights: Any, data: Any) -> Any:
        output = work.next(state, weights, tff.federated_map(without_column, data))
        values = tff.federated_map(value_of, data)
        result = tff.federated_map(changed, (output.result, values))
        if craft is not None:
            result = crafted_results(craft, values, result)
        return tff.templates.MeasuredProcessOutput(output.state, result, output.measurements)

    return templates.ClientWorkProcess(work.initialize, next_round)
