"""What a round sends between the server and the clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_federated.core.schema import Section
from pytest_federated.training.algorithms.algorithm import AlgorithmInputs, Sizes, algorithms

if TYPE_CHECKING:
    import tensorflow_federated as tff


@dataclass(frozen=True)
class Traffic:
    """Bytes between the server and one client in one round; a few for metrics are left out.

    Attributes:
        down: that the server sends.
        up: that the client sends back, after compression.
        update: that it would send back without compression.

    """

    down: int
    up: int
    update: int


def traffic_of(
    algorithm: Section, inputs: AlgorithmInputs, weights: tff.learning.models.ModelWeights
) -> Traffic:
    """Returns what an algorithm sends for a model with such weights.

    The algorithm's trait ``traffic`` says what that is, where it is not the weights down and the
    changes of the trainable ones up. An aggregator that compresses says what is left of a change
    by a method `compressed_bytes` of its factory, of the trainable weights.
    """
    import tensorflow as tf

    trainable = [np.asarray(w) for w in weights.trainable]
    specs = tuple(tf.TensorSpec(w.shape, w.dtype) for w in trainable)
    sizes = Sizes(
        weights=_bytes((weights.trainable, weights.non_trainable)),
        trainable=_bytes(trainable),
        optimizer=_bytes(inputs.client_optimizer.initialize(specs)),
    )
    traffic = algorithms.entry(algorithm).spec.traffic
    down, update = traffic(sizes) if traffic else (sizes.weights, sizes.trainable)
    compressed = getattr(inputs.aggregator, "compressed_bytes", None)
    saved = sizes.trainable - compressed(trainable) if compressed else 0
    return Traffic(down, update - saved, update)


def _bytes(values: Any) -> int:
    import tensorflow as tf

    # As tensors: a Python float is sent as a float32.
    return sum(np.asarray(tf.convert_to_tensor(v)).nbytes for v in tf.nest.flatten(values))
