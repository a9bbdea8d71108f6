"""Krum and Multi-Krum: the changes that are closest to others."""

from __future__ import annotations

from typing import Annotated, Any, Optional

from pydantic import Field

from pytest_federated.training.aggregators.aggregator import aggregators, stacked

Attackers = Annotated[
    int, Field(ge=0, description="The paper's f: how many of a round may attack.")
]


@aggregators("krum", unweighted=True, by_clients=True, example={"attackers": 2})
def krum(clients: int, *, attackers: Attackers) -> Any:
    """The one change whose nearest others are closest to it.

    Of n clients with f attackers, a change's score is the sum of its squared distances to the n - f
    - 2 nearest others; the change with the lowest score is the aggregate. It withstands f attackers
    of more than 2 f + 2 clients. Composed of `tff.federated_aggregate`.

    Source: Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient
    Descent, NeurIPS 2017, section 4, arXiv:1703.02757.

    Raises:
        ValueError: there are too few clients for so many attackers.
    """
    _require_honest_majority(clients, attackers)
    return stacked(lambda changes: _nearest(changes, attackers, 1)[0])


@aggregators("multi_krum", unweighted=True, by_clients=True, example={"attackers": 2})
def multi_krum(
    clients: int,
    *,
    attackers: Attackers,
    selected: Annotated[
        Optional[int],
        Field(ge=1, description="The paper's m; all but the attackers by default."),
    ] = None,
) -> Any:
    """The mean of the `selected` changes with the lowest scores of `krum`.

    Composed of `tff.federated_aggregate`.

    Source: Blanchard et al., NeurIPS 2017, section 5 ("Multi-Krum"), arXiv:1703.02757.

    Raises:
        ValueError: there are too few clients for so many attackers, or to select so many.
    """
    import tensorflow as tf

    _require_honest_majority(clients, attackers)
    if selected is not None and selected > clients:
        raise ValueError(f"selected: got {selected}; a round has {clients} clients")

    def mean_of_nearest(changes: Any) -> Any:
        count = selected or tf.maximum(tf.shape(changes)[0] - attackers, 1)
        return tf.reduce_mean(_nearest(changes, attackers, count), axis=0)

    return stacked(mean_of_nearest)


def _require_honest_majority(clients: int, attackers: int) -> None:
    if clients <= 2 * attackers + 2:
        raise ValueError(
            f"attackers: got {attackers}, for which a round needs at least {2 * attackers + 3} "
            f"clients; it has {clients}"
        )


def _nearest(changes: Any, attackers: int, count: Any) -> Any:
    """Returns the `count` changes with the lowest scores, or all if there are fewer.

    Of equal scores, as of two changes that are each other's only neighbor, the smaller change comes
    first, in whichever order the clients are.
    """
    import tensorflow as tf

    n = tf.shape(changes)[0]
    # Row by row, as the differences of all pairs at once would be n times as large.
    distances = tf.map_fn(
        lambda change: tf.reduce_sum(tf.square(changes - change), axis=1), changes
    )
    # The first of each sorted row is the change itself; a round with dropouts may leave fewer.
    neighbors = tf.maximum(n - attackers - 2, 1)
    scores = tf.reduce_sum(tf.sort(distances, axis=1)[:, 1 : 1 + neighbors], axis=1)
    by_size = tf.argsort(tf.reduce_sum(tf.square(changes), axis=1), stable=True)
    by_score = tf.gather(by_size, tf.argsort(tf.gather(scores, by_size), stable=True))
    return tf.gather(changes, by_score[: tf.minimum(count, n)])
