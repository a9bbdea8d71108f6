"""The geometric median."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from pytest_federated.training.aggregators.aggregator import aggregators, stacked

# Distances count as at least this, the smoothing of the authors' code.
_LEAST_DISTANCE = 1e-6


@aggregators("geometric_median", unweighted=True)
def geometric_median(
    clients: int,
    *,
    iterations: Annotated[int, Field(ge=1, description="Of Weiszfeld's algorithm.")] = 8,
) -> Any:
    """The point with the least sum of distances to all changes (RFA).

    Found by the smoothed Weiszfeld algorithm: from the mean on, each iteration takes the mean of
    the changes weighted by the inverse of their distance to the point before. Every client counts
    the same, as a weight that a client reports is one more thing that an attacker can choose; the
    paper weighs by examples. It withstands attacks by less than half of the clients. Composed of
    `tff.federated_aggregate`.

    Source: Pillutla et al., Robust Aggregation for Federated Learning, IEEE Transactions on Signal
    Processing 70, 2022, arXiv:1912.13445; the authors' code: krishnap25/geom_median,
    src/geom_median/torch/weiszfeld_array.py.
    """

    def median(changes: Any) -> Any:
        import tensorflow as tf

        point = tf.reduce_mean(changes, axis=0)
        for _ in range(iterations):
            distances = tf.norm(changes - point, axis=1, keepdims=True)
            weights = 1 / tf.maximum(distances, _LEAST_DISTANCE)
            point = tf.reduce_sum(weights * changes, axis=0) / tf.reduce_sum(weights)
        return point

    return stacked(median)
