"""Attackers that know the honest clients' changes, and send what they craft from them.

In packed execution the server has all changes of the round, and replaces the attackers' before it
aggregates them. In standard execution the honest clients' changes are gathered, and what is crafted
from them is broadcast, before the aggregator gets any: a round is no longer one aggregation, and
several remote workers cannot divide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_federated.clients.attacks.attack import Craft
from pytest_federated.clients.cohort import CRAFTED
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import flat, gathered, unflat


@dataclass(frozen=True)
class Known:
    """What attackers know of a round, see `HonestUpdates`."""

    rows: Any
    attackers: Any

    @property
    def mean(self) -> Any:
        import tensorflow as tf

        return tf.reduce_mean(self.rows, axis=0)

    @property
    def deviation(self) -> Any:
        import tensorflow as tf

        return tf.math.reduce_std(self.rows, axis=0)

    @property
    def z_max(self) -> Any:
        import tensorflow as tf

        clients = tf.shape(self.rows)[0] + self.attackers
        m = tf.minimum(self.attackers, (clients - 1) // 2)
        needed = clients // 2 + 1 - m
        share = (clients - m - needed) / (clients - m)
        return tf.math.ndtri(tf.cast(share, tf.float32))


def with_crafted(craft: Craft, rows: Any, weights: Any, factors: Any) -> Any:
    """Returns the changes of a round with those of its attackers replaced.

    A change without weight, which is not finite, is neither known to the attackers nor replaced.

    Args:
        craft: what the attackers send.
        rows: all changes, float32 (clients, parameters).
        weights: float32 (clients,).
        factors: float32 (clients,), `CRAFTED` for attackers.
    """
    import tensorflow as tf

    is_crafted, counts = tf.equal(factors, CRAFTED), weights > 0
    attacks = is_crafted & counts
    honest = tf.boolean_mask(rows, ~is_crafted & counts)
    change = _change(craft, honest, tf.math.count_nonzero(attacks, dtype=tf.int32))
    return tf.where(attacks[:, tf.newaxis], change, rows)


def crafted_results(craft: Craft, factors: Any, results: Any) -> Any:
    """Returns the `tff.learning.templates.ClientResult`s with those of attackers replaced.

    In a federated computation, of factors and results at the clients. A result without weight,
    whose update is not finite, is neither known to the attackers nor replaced.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    result_type = results.type_signature.member

    @tff.tensorflow.computation(np.float32, result_type)
    def honest_row(factor: Any, result: Any) -> Any:
        is_honest = tf.not_equal(factor, CRAFTED) & (result.update_weight > 0)
        return tf.boolean_mask(flat(result.update)[tf.newaxis], [is_honest])

    @tff.tensorflow.computation(np.float32, result_type)
    def attacks(factor: Any, result: Any) -> Any:
        return tf.cast(tf.equal(factor, CRAFTED) & (result.update_weight > 0), tf.int32)

    @tff.tensorflow.computation(honest_row.type_signature.result)
    def as_they_are(rows: Any) -> Any:
        return rows

    @tff.tensorflow.computation(honest_row.type_signature.result, np.int32)
    def crafted(honest: Any, attackers: Any) -> Any:
        return _change(craft, honest, attackers)

    @tff.tensorflow.computation(np.float32, result_type, crafted.type_signature.result)
    def sent(factor: Any, result: Any, change: Any) -> Any:
        is_replaced = tf.equal(factor, CRAFTED) & (result.update_weight > 0)
        update = tf.nest.map_structure(
            lambda ours, own: tf.where(is_replaced, ours, own),
            unflat(change, result.update),
            result.update,
        )
        return tff.learning.templates.ClientResult(update, result.update_weight)

    honest = gathered(tff.federated_map(honest_row, (factors, results)), as_they_are)
    attackers = tff.federated_sum(tff.federated_map(attacks, (factors, results)))
    change = tff.federated_broadcast(tff.federated_map(crafted, (honest, attackers)))
    return tff.federated_map(sent, (factors, results, change))


def _change(craft: Craft, honest: Any, attackers: Any) -> Any:
    """Returns what the attackers send: nothing where there is no honest client to know of."""
    import tensorflow as tf

    return tf.cond(
        tf.shape(honest)[0] > 0,
        lambda: tf.ensure_shape(craft(Known(honest, attackers)), honest.shape[1:]),
        lambda: tf.zeros(honest.shape[1:]),
    )
