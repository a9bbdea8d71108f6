"""FedAvg of the CNN in one tf.function, without TFF: the limit for TensorFlow's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from workloads import BATCH, RATE, Federation, Weights


def logits(w: Any, x: Any) -> Any:
    """Returns the logits of TFF's EMNIST CNN: two convolutions, pooling, two dense layers."""
    x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w[0], 1, "VALID"), w[1]))
    x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w[2], 1, "VALID"), w[3]))
    x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    x = tf.reshape(x, [tf.shape(x)[0], -1])
    return tf.matmul(tf.nn.relu(tf.matmul(x, w[4]) + w[5]), w[6]) + w[7]


def step(w: Any, x: Any, y: Any) -> Any:
    """Returns the weights after one batch."""
    with tf.GradientTape() as tape:
        tape.watch(w)
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits(w, x))
        )
    return tuple(v - RATE * g for v, g in zip(w, tape.gradient(loss, w)))


def trained(w: Any, x: Any, y: Any, local_epochs: int) -> Any:
    """Returns a client's weights after its local epochs, inside a graph."""
    batches = (tf.shape(y)[0] + BATCH - 1) // BATCH

    def body(i: Any, current: Any) -> Any:
        begin = (i % batches) * BATCH
        end = tf.minimum(begin + BATCH, tf.shape(y)[0])
        return i + 1, step(current, x[begin:end], y[begin:end])

    loop = tf.while_loop(lambda i, _: i < batches * local_epochs, body, (0, w))
    return loop[1]


@tf.function(reduce_retracing=True)
def round_of(w: Any, x: Any, y: Any, ends: Any, local_epochs: int) -> Any:
    """Returns the server's weights after a round; client k's examples end at `ends[k + 1]`.

    Several clients train at the same time: a batch of 20 leaves a second core idle.
    """

    def client(k: Any) -> Any:
        begin, end = ends[k], ends[k + 1]
        after = trained(w, x[begin:end], y[begin:end], local_epochs)
        return tuple(tf.cast(end - begin, tf.float32) * v for v in after)

    def body(k: Any, total: Any) -> Any:
        return k + 1, tuple(t + v for t, v in zip(total, client(k)))

    zeros = tuple(tf.zeros_like(v) for v in w)
    count = tf.shape(ends)[0] - 1
    loop = tf.while_loop(lambda k, _: k < count, body, (0, zeros), parallel_iterations=PARALLEL)
    return tuple(t / tf.cast(ends[-1], tf.float32) for t in loop[1])


PARALLEL = 10


def rounds(federation: Federation) -> Iterator[Weights]:
    # As TFF's worker: with more, the gradients of convolutions are added up in another order.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    server: Any = tuple(tf.constant(w) for w in federation.start)
    number = 0
    while True:
        number += 1
        held = [federation.examples(client, number) for client in federation.cohort(number)]
        ends = np.cumsum([0] + [len(y) for _, y in held]).astype(np.int32)
        x, y = (np.concatenate(part) for part in zip(*held))
        server = round_of(server, x, y, ends, federation.work.local_epochs)
        yield [w.numpy() for w in server]


def train(weights: Weights, x: np.ndarray, y: np.ndarray, local_epochs: int) -> Weights:
    """Returns a client's weights after its local epochs."""
    return [w.numpy() for w in _client(tuple(weights), x, y, local_epochs)]


_client = tf.function(trained, reduce_retracing=True)


def accuracy(w: Weights, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(logits(w, x).numpy().argmax(axis=1) == y))
