"""Differential privacy of clients: clipping, and noise at the server."""

from __future__ import annotations

import collections
from typing import Annotated, Any, Optional

from pydantic import Field

from harness.runtime.imports import import_tff
from harness.training.aggregators.base import aggregators, flat, unflat

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# Of the server's state: what the noise of the next round is drawn from, set for each training.
NOISE_SEED = "noise_seed"


@aggregators("dp", unweighted=True, by_clients=True, private="")
def dp(
    clients: int,
    *,
    noise_multiplier: Annotated[float, Field(ge=0, allow_inf_nan=False)],
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5,
    clip: Optional[Positive] = None,
    initial_clip: Positive = 0.1,
    quantile: Annotated[float, Field(ge=0, le=1)] = 0.5,
    learning_rate: Positive = 0.2,
    count_stddev: Optional[Positive] = None,
) -> Any:
    """DP-FedAvg: changes clipped in L2 norm, summed, and Gaussian noise added to the sum.

    The sum is divided by the number of clients that a round is expected to have. Noise has
    `noise_multiplier` times the clipping norm as its standard deviation. The norm is `clip` where
    given. Otherwise it adapts, from `initial_clip`, to the `quantile` of the clients' norms, by a
    count of clipped clients that has noise too (`count_stddev`, a twentieth of the clients unless
    given); then a little more is added to the sum, so that both together cost what
    `noise_multiplier` says. The report gives epsilon at `delta`.

    As `tff.learning.dp_aggregator` without its zeroing, whose bound would be estimated without
    noise: `tff.aggregators.DifferentiallyPrivateFactory` on the queries of TensorFlow Privacy,
    with noise from the scenario's seed.

    Source: McMahan et al., Learning Differentially Private Recurrent Language Models, ICLR 2018,
    algorithm 1, arXiv:1710.06963; Andrew, Thakkar et al., Differentially Private Learning with
    Adaptive Clipping, NeurIPS 2021, algorithm 1, arXiv:1905.03871.
    """
    import tensorflow_privacy as tfp
    from tensorflow_federated.python.aggregators import differential_privacy

    tff: Any = import_tff()
    if clip is not None:
        query = _seeded_sum(clip, clip * noise_multiplier)
    else:
        for_sum, count_stddev = differential_privacy.adaptive_clip_noise_params(
            noise_multiplier, float(clients), count_stddev
        )
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


def _seeded_sum(clip: float, stddev: float) -> Any:
    """`tfp.GaussianSumQuery` whose noise is a function of a seed in its state."""
    import tensorflow as tf
    import tensorflow_privacy as tfp

    class SeededSum(tfp.GaussianSumQuery):
        _GlobalState = collections.namedtuple(
            "_GlobalState", ["l2_norm_clip", "stddev", NOISE_SEED]
        )

        def make_global_state(self, l2_norm_clip: Any, stddev: Any) -> Any:
            norm, deviation = (tf.cast(v, tf.float32) for v in (l2_norm_clip, stddev))
            return self._GlobalState(norm, deviation, tf.constant([0, 0]))

        def get_noised_result(self, sample_state: Any, global_state: Any) -> Any:
            import dp_accounting

            exact, seed = flat(sample_state), global_state.noise_seed
            noise = global_state.stddev * tf.random.stateless_normal(tf.shape(exact), seed)
            event = dp_accounting.GaussianDpEvent(global_state.stddev / global_state.l2_norm_clip)
            # The first number is the training's, the second counts its rounds.
            next_state = global_state._replace(noise_seed=seed + tf.constant([0, 1]))
            return unflat(exact + noise, sample_state), next_state, event

    return SeededSum(clip, stddev)


def _adaptive_sum(**settings: Any) -> Any:
    """`tfp.QuantileAdaptiveClipSumQuery` on sums whose noise is seeded."""
    import tensorflow as tf
    import tensorflow_privacy as tfp

    class AdaptiveSum(tfp.QuantileAdaptiveClipSumQuery):
        def __init__(self) -> None:
            super().__init__(**settings)
            plain = self._sum_query
            self._sum_query = _seeded_sum(plain._l2_norm_clip, plain._stddev)
            counted = self._quantile_estimator_query._below_estimate_query
            plain = counted._numerator
            counted._numerator = _seeded_sum(plain._l2_norm_clip, plain._stddev)

        def get_noised_result(self, sample_state: Any, global_state: Any) -> Any:
            result, state, event = super().get_noised_result(sample_state, global_state)
            seed = global_state.sum_state.noise_seed + tf.constant([0, 1])
            sum_state = state.sum_state._replace(noise_seed=seed)
            return result, state._replace(sum_state=sum_state), event

    return AdaptiveSum()
