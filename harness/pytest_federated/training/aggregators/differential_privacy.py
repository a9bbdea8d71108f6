"""Differential privacy of clients: clipping, and noise at the server."""

from __future__ import annotations

import collections
from typing import Annotated, Any, Callable, Optional

from pydantic import Field

from pytest_federated.tff.imports import import_tff
from pytest_federated.tff.internals import adaptive_clip_noise_params, replace_sums
from pytest_federated.training.aggregators.aggregator import aggregators, flat, unflat

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NoiseMultiplier = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Delta = Annotated[float, Field(gt=0, lt=1)]
Quantile = Annotated[float, Field(ge=0, le=1)]
# Name of the seed of the next round's noise in the server's state; set for each training.
NOISE_SEED = "noise_seed"
# Levels of the tree over the rounds: enough for half a million rounds.
_LEVELS = 20
# One class for all sums, as TensorFlow keeps every class that it has seen.
_SumState = collections.namedtuple("_SumState", ["l2_norm_clip", "stddev", NOISE_SEED])


@aggregators("dp", unweighted=True, by_clients=True, private="")
def dp(
    clients: int,
    *,
    noise_multiplier: NoiseMultiplier,
    delta: Delta = 1e-5,
    clip: Optional[Positive] = None,
    initial_clip: Positive = 0.1,
    quantile: Quantile = 0.5,
    learning_rate: Positive = 0.2,
    count_stddev: Optional[Positive] = None,
) -> Any:
    """DP-FedAvg: clips changes in L2 norm, sums them, and adds Gaussian noise to the sum.

    The sum is divided by the expected number of clients of a round. The standard deviation of the
    noise is `noise_multiplier` times the clipping norm, also in rounds without clients. The norm is
    `clip` if that is set. Otherwise it adapts, from `initial_clip`, to the `quantile` of the
    clients' norms, by a count of clipped clients that has noise, too (`count_stddev`, by default a
    twentieth of the clients); the sum then gets a little more noise, so that both together cost
    what `noise_multiplier` says. The report gives epsilon at `delta`.

    As `tff.learning.dp_aggregator` without its zeroing, whose bound would be estimated without
    noise: `tff.aggregators.DifferentiallyPrivateFactory` on the queries of TensorFlow Privacy,
    with noise from the scenario's seed.

    Source: McMahan et al., Learning Differentially Private Recurrent Language Models, ICLR 2018,
    algorithm 1, arXiv:1710.06963; Andrew, Thakkar et al., Differentially Private Learning with
    Adaptive Clipping, NeurIPS 2021, algorithm 1, arXiv:1905.03871.
    """
    import tensorflow_privacy as tfp

    tff: Any = import_tff()
    if clip is not None:
        query = _seeded_sum(clip, clip * noise_multiplier)
    else:
        for_sum, count_stddev = adaptive_clip_noise_params(noise_multiplier, clients, count_stddev)
        query = _adaptive_sum(
            initial_l2_norm_clip=initial_clip,
            noise_multiplier=for_sum,
            target_unclipped_quantile=quantile,
            learning_rate=learning_rate,
            clipped_count_stddev=count_stddev,
            expected_num_records=clients,
        )
    mean = tfp.NormalizedQuery(query, denominator=float(clients))
    return tff.aggregators.DifferentiallyPrivateFactory(mean)


@aggregators("dp_ftrl", unweighted=True, by_clients=True, private="", by_participation=True)
def dp_ftrl(
    clients: int,
    *,
    noise_multiplier: NoiseMultiplier,
    clip: Positive,
    delta: Delta = 1e-5,
) -> Any:
    """DP-FTRL: like `dp`, with noise that later rounds partly take back, and no need to sample.

    The sum of the rounds so far has the noise of the nodes of a binary tree that cover it, as many
    as the number of rounds has ones in binary; the standard deviation of each is `noise_multiplier`
    times `clip`. So privacy does not depend on keeping secret who takes part, but each
    participation of a client costs more. The algorithm is DP-FTRL if the server optimizer is sgd,
    with momentum or without.

    As `tff.aggregators.DifferentiallyPrivateFactory.tree_aggregation` with `use_efficient=False`,
    on the queries of TensorFlow Privacy, with noise from the scenario's seed and one tree.

    Source: Kairouz, McMahan et al., Practical and Private (Deep) Learning without Sampling or
    Shuffling, ICML 2021, algorithm 1, arXiv:2103.00039.
    """
    import tensorflow_privacy as tfp

    tff: Any = import_tff()
    query = _seeded_sum(clip, clip * noise_multiplier, _tree_increment)
    mean = tfp.NormalizedQuery(query, denominator=float(clients))
    return tff.aggregators.DifferentiallyPrivateFactory(mean)


# (shape, seed) -> noise of standard deviation 1; the seed is int32 (2,), whose second number counts
# the rounds.
Draw = Callable[[Any, Any], Any]


def _round_noise(shape: Any, seed: Any) -> Any:
    """Returns noise that is independent of other rounds'."""
    import tensorflow as tf

    return tf.random.stateless_normal(shape, seed)


def _tree_increment(shape: Any, seed: Any) -> Any:
    """Returns this round's increment of tree noise."""
    import tensorflow as tf

    def of_sum(rounds: Any) -> Any:
        """Returns the noise of the nodes that together cover so many rounds, newly drawn."""
        total = tf.zeros(shape)
        for level in range(_LEVELS):
            node = tf.bitwise.right_shift(rounds, level)
            node_seed = tf.stack([seed[0], node + (level << (31 - _LEVELS.bit_length()))])
            total += tf.cond(
                node % 2 > 0,
                lambda node_seed=node_seed: tf.random.stateless_normal(shape, node_seed),
                lambda: tf.zeros(shape),
            )
        return total

    return of_sum(seed[1] + 1) - of_sum(seed[1])


def _seeded_sum(clip: float, stddev: float, draw: Draw = _round_noise) -> Any:
    """Returns a `tfp.GaussianSumQuery` whose noise is a function of a seed in its state."""
    import tensorflow as tf
    import tensorflow_privacy as tfp

    class SeededSum(tfp.GaussianSumQuery):
        _GlobalState = _SumState

        def make_global_state(self, l2_norm_clip: Any, stddev: Any) -> Any:
            norm, deviation = (tf.cast(v, tf.float32) for v in (l2_norm_clip, stddev))
            return self._GlobalState(norm, deviation, tf.constant([0, 0]))

        def get_noised_result(self, sample_state: Any, global_state: Any) -> Any:
            import dp_accounting

            exact, seed = flat(sample_state), global_state.noise_seed
            noise = global_state.stddev * draw(tf.shape(exact), seed)
            event = dp_accounting.GaussianDpEvent(global_state.stddev / global_state.l2_norm_clip)
            # The first number belongs to the training, the second counts its rounds.
            next_state = global_state._replace(noise_seed=seed + tf.constant([0, 1]))
            return unflat(exact + noise, sample_state), next_state, event

    return SeededSum(clip, stddev)


def _adaptive_sum(**settings: Any) -> Any:
    """Returns a `tfp.QuantileAdaptiveClipSumQuery` on sums whose noise is seeded."""
    import tensorflow as tf
    import tensorflow_privacy as tfp

    class AdaptiveSum(tfp.QuantileAdaptiveClipSumQuery):
        def __init__(self) -> None:
            super().__init__(**settings)
            replace_sums(self, _seeded_sum)

        def get_noised_result(self, sample_state: Any, global_state: Any) -> Any:
            result, state, event = super().get_noised_result(sample_state, global_state)
            seed = global_state.sum_state.noise_seed + tf.constant([0, 1])
            sum_state = state.sum_state._replace(noise_seed=seed)
            return result, state._replace(sum_state=sum_state), event

    return AdaptiveSum()
