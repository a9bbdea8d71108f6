"""Differential privacy of clients who add the noise themselves, below secure aggregation."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional

import numpy as np
from pydantic import Field

from pytest_federated.tff import internals
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import aggregators, flat, unflat
from pytest_federated.training.aggregators.clipping import zeroing_bound
from pytest_federated.training.aggregators.differential_privacy import (
    NOISE_SEED,
    Delta,
    NoiseMultiplier,
    Positive,
    Quantile,
)

# TFF's bound on how often a coordinate of the sum wraps around the modulus.
_WRAP_PROBABILITY = 1e-4


@aggregators(
    "distributed_dp",
    unweighted=True,
    by_clients=True,
    private="with Gaussian noise in place of the clients' Skellam noise",
)
def distributed_dp(
    clients: int,
    *,
    noise_multiplier: NoiseMultiplier,
    delta: Delta = 1e-5,
    bits: Annotated[int, Field(ge=1, le=22, description="Bits of each number in the sum.")] = 20,
    rotation_type: Annotated[
        Literal["hd", "dft"], Field(description="Hadamard or discrete Fourier transform.")
    ] = "hd",
    zeroing: Annotated[bool, Field(description="As in `robust`; leaves no epsilon.")] = False,
    clip: Optional[Positive] = None,
    initial_clip: Positive = 0.1,
    quantile: Quantile = 0.5,
    learning_rate: Positive = 0.2,
    count_stddev: Optional[Positive] = None,
) -> Any:
    """Distributed DP: clients add integer noise to their changes; the server sees only the sum.

    A change is rotated at random, clipped in L2 norm, scaled and rounded at random to integers.
    Each client adds Skellam noise to it; secure aggregation gives the sum modulo 2^bits, which is
    scaled and rotated back, and divided by the expected number of clients of a round. The shares
    add up to the same noise however many clients take part; its standard deviation is
    `noise_multiplier` times the clipping norm. Without clients, the server adds it. `clip`,
    `initial_clip`, `quantile`, `learning_rate` and `count_stddev` are those of `dp`.

    As `tff.learning.ddp_secure_aggregator`, which seeds everything random from the clock; here it
    comes from the scenario's seed. There, fewer clients add less noise, and the sum is divided by
    their number, for which no epsilon is known. The noise of all clients is drawn at once, as a sum
    of Skellam variables is also a Skellam variable; the cryptography is simulated. The report's
    epsilon is approximated from below: it is that of Gaussian noise of the same deviation, which
    Skellam noise approaches as `bits` grow, without what rounding adds to the norm.

    Source: Agarwal, Kairouz, Liu, The Skellam Mechanism for Differentially Private Federated
    Learning, NeurIPS 2021, algorithm 1, arXiv:2110.04995; scale: Kairouz, Liu, Steinke, The
    Distributed Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation, ICML
    2021, section 4, arXiv:2102.06387; the same noise where clients drop out: Jiang, Wang, Chen,
    Dordis: Efficient Federated Learning with Dropout-Resilient Differential Privacy, EuroSys 2024,
    arXiv:2209.12528.
    """
    tff: Any = import_tff()
    for_sum, adapts = noise_multiplier, None
    if clip is None:
        for_sum, for_count = internals.adaptive_clip_noise_params(
            noise_multiplier, clients, count_stddev
        )
        adapts = (quantile, learning_rate, for_count)
    factory = _skellam_mean(clients, for_sum, bits, rotation_type, clip or initial_clip, adapts)
    if zeroing:
        counted = tff.aggregators.SecureSumFactory(1, 0)
        factory = tff.aggregators.zeroing_factory(
            zeroing_bound(secure_estimation=True), factory, zeroed_count_sum_factory=counted
        )

    def compressed_bytes(weights: Sequence[np.ndarray]) -> int:
        return math.ceil(_padded(sum(w.size for w in weights), rotation_type) * bits / 8)

    factory.compressed_bytes = compressed_bytes
    return factory


def _padded(size: int, rotation_type: str) -> int:
    """Returns the length to which a rotation pads so many numbers."""
    return 2 ** math.ceil(math.log2(max(size, 1))) if rotation_type == "hd" else size + size % 2


def _skellam_mean(
    clients: int,
    noise_multiplier: float,
    bits: int,
    rotation_type: str,
    norm: float,
    adapts: Optional[tuple[float, float, float]],
) -> Any:
    """Returns a `tff.aggregators.UnweightedAggregationFactory`.

    Args:
        clients: expected number of clients of a round.
        noise_multiplier: deviation of the noise of so many clients over the clipping norm.
        bits: those of the modulus.
        rotation_type: hd or dft.
        norm: clipping norm of the first round.
        adapts: if the norm adapts, the quantile, the learning rate, and the deviation of the noise
            on the number of clients that were not clipped.

    Raises:
        ValueError: there are too few bits for so many clients.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    deviations = internals.num_stddevs(_WRAP_PROBABILITY)
    half = 2 ** (bits - 1)
    if 4**bits <= clients * deviations**2:
        raise ValueError(f"bits: got {bits}, too few for a sum over {clients} clients")

    class SkellamMean(tff.aggregators.UnweightedAggregationFactory):
        def create(self, value_type: Any) -> Any:
            template = tff.types.type_to_tf_tensor_specs(value_type)
            size = sum(int(np.prod(spec.shape)) for spec in tf.nest.flatten(template))
            padded = _padded(size, rotation_type)

            def scaling(norm: Any) -> tuple[Any, Any]:
                """Returns the factor before rounding, and the sum's noise's deviation after it."""
                local = norm * (noise_multiplier / math.sqrt(clients))
                factor = internals.scale_factor(local, norm, bits, clients, padded, deviations)
                return factor, norm * noise_multiplier * factor

            @tff.tensorflow.computation
            def first_state() -> Any:
                drawn = ("rotation", "rounding", "noise", "count")
                seeds = OrderedDict((name, tf.constant([0, 0])) for name in drawn)
                return OrderedDict([("norm", tf.constant(norm)), (NOISE_SEED, seeds)])

            state_type = first_state.type_signature.result

            @tff.tensorflow.computation(value_type, state_type)
            def encode(value: Any, state: Any) -> Any:
                seeds, bound = state[NOISE_SEED], state["norm"]
                row = tf.pad(flat(value), [[0, padded - size]])
                row = _rotated(row, rotation_type, seeds["rotation"])
                row_norm = tf.norm(row)
                row *= tf.minimum(1.0, tf.math.divide_no_nan(bound, row_norm)) * scaling(bound)[0]
                dither = tf.random.stateless_uniform([padded], _client_seed(seeds["rounding"], row))
                rounded = tf.math.floormod(tf.cast(tf.floor(row + dither), tf.int32), 2 * half)
                return rounded, tf.cast(row_norm <= bound, tf.int32), tf.constant(1)

            @tff.tensorflow.computation(encode.type_signature.result, state_type)
            def decode(sums: Any, state: Any) -> Any:
                (total, below, count), seeds, bound = sums, state[NOISE_SEED], state["norm"]
                factor, deviation = scaling(bound)
                variance = tf.square(tf.cast(deviation, tf.float64))
                noisy = tf.cast(total, tf.int64) + _skellam(padded, variance, seeds["noise"])
                centered = tf.math.floormod(noisy + half, 2 * half) - half
                mean = tf.cast(centered, tf.float32) / factor / clients
                mean = _rotated(mean, rotation_type, seeds["rotation"], back=True)
                if adapts:
                    target, rate, deviation = adapts
                    noise = deviation * tf.random.stateless_normal([], seeds["count"])
                    inside = tf.cast(below, tf.float32) - 0.5 * tf.cast(count, tf.float32)
                    share = tf.clip_by_value((inside + noise) / clients + 0.5, 0.0, 1.0)
                    bound *= tf.exp(-rate * (share - target))
                # The first number belongs to the training, the second counts its rounds.
                seeds = tf.nest.map_structure(lambda seed: seed + tf.constant([0, 1]), seeds)
                state = OrderedDict([("norm", bound), (NOISE_SEED, seeds)])
                return unflat(mean[:size], template), state

            @tff.federated_computation
            def initialize() -> Any:
                return tff.federated_eval(first_state, tff.SERVER)

            @tff.federated_computation(
                tff.FederatedType(state_type, tff.SERVER),
                tff.FederatedType(value_type, tff.CLIENTS),
            )
            def next_round(state: Any, value: Any) -> Any:
                encoded = tff.federated_map(encode, (value, tff.federated_broadcast(state)))
                sums = tff.federated_secure_sum_bitwidth(encoded, (bits, 1, 1))
                mean, state = tff.federated_map(decode, (sums, state))
                nothing = tff.federated_value(OrderedDict(), tff.SERVER)
                return tff.templates.MeasuredProcessOutput(state, mean, nothing)

            return tff.templates.AggregationProcess(initialize, next_round)

    return SkellamMean()


def _rotated(row: Any, rotation_type: str, seed: Any, back: bool = False) -> Any:
    """Returns a row of float32 after the rotation of a seed; with `back`, before it."""
    import tensorflow as tf

    if rotation_type == "hd":
        signs = internals.random_signs(tf.shape(row), row.dtype, seed)
        transformed = internals.walsh_hadamard_transform(
            tf.expand_dims(row if back else row * signs, 0)
        )[0]
        return transformed * signs if back else transformed
    pairs = tf.reshape(row, [2, -1])
    numbers = tf.complex(pairs[0], pairs[1])
    turns = internals.random_phases(tf.shape(numbers), seed, inverse=back)
    length = tf.sqrt(tf.cast(tf.size(numbers), tf.float32))
    if back:
        numbers = tf.signal.ifft(numbers * tf.cast(length, tf.complex64)) * turns
    else:
        numbers = tf.signal.fft(numbers * turns) / tf.cast(length, tf.complex64)
    return tf.concat([tf.math.real(numbers), tf.math.imag(numbers)], axis=0)


def _client_seed(seed: Any, row: Any) -> Any:
    """Returns a client's seed, int64 (2,), from its change, as TFF does not number clients."""
    import tensorflow as tf

    fingerprint = tf.raw_ops.Fingerprint(data=row[tf.newaxis], method="farmhash64")
    client, shared = tf.bitcast(fingerprint[0], tf.int64), tf.cast(seed, tf.int64)
    high = tf.bitwise.left_shift(shared[1], tf.constant(32, tf.int64))
    return tf.stack([client, shared[0] + high])


def _skellam(size: int, variance: Any, seed: Any) -> Any:
    """Returns int64 (size,): differences of two Poisson variables, of this variance, float64."""
    import tensorflow as tf

    pairs = tf.random.stateless_poisson([size, 2], seed, variance / 2, tf.int64)
    return tf.where(variance > 0, pairs[:, 0] - pairs[:, 1], tf.zeros([size], tf.int64))
