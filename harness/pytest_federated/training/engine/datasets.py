"""Clients' examples as `tf.data.Dataset`s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf


def not_rewritten(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the data set, with the same elements, read without rewriting its graph before.

    tf.data would optimize the graph of each client in each round, which takes longer than to read
    the few examples of a client.
    """
    import tensorflow as tf

    options: Any = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False  # also done by rewriting
    return dataset.with_options(options)
