"""Byzantine-robust aggregation, coordinate by coordinate."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from pytest_federated.core.shares import least
from pytest_federated.training.aggregators.aggregator import aggregators, stacked

_ROUNDING = 1e-9  # added before rounding down, as 0.29 * 100 is 28.999999999999996


@aggregators("median", unweighted=True)
def median(clients: int) -> Any:
    """The median of each coordinate; with an even number of clients, the mean of the middle two.

    It withstands attacks by less than half of the clients. Composed of `tff.federated_aggregate`.

    Source: Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates,
    ICML 2018, definition 1, arXiv:1803.01498.
    """

    def middle(changes: Any) -> Any:
        import tensorflow as tf

        ordered = tf.sort(changes, axis=0)
        n = tf.shape(changes)[0]
        return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2

    return stacked(middle)


@aggregators("trimmed_mean", unweighted=True, by_clients=True)
def trimmed_mean(
    clients: int,
    *,
    trim: Annotated[float, Field(ge=0, lt=0.5, description="Share left out at each end.")],
) -> Any:
    """The mean of each coordinate without the `trim` smallest and the `trim` largest share.

    Of n clients the floor of trim * n are left out at each end; it withstands as many
    attackers.
    Composed of `tff.federated_aggregate`.

    Source: Yin et al., ICML 2018, definition 2, arXiv:1803.01498.

    Raises:
        ValueError: of so few clients, none is left out.
    """
    if trim and trim * clients + _ROUNDING < 1:
        raise ValueError(
            f"trim: got {trim:g}; of the {clients} clients of a round that is none, so it would be "
            f"the mean of all; allowed: at least {least(1 / clients)}, or 0 for none"
        )

    def inner(changes: Any) -> Any:
        import tensorflow as tf

        n = tf.shape(changes)[0]
        out = tf.cast(tf.floor(trim * tf.cast(n, tf.float64) + _ROUNDING), tf.int32)
        return tf.reduce_mean(tf.sort(changes, axis=0)[out : n - out], axis=0)

    return stacked(inner)
