"""Each aggregator follows its definition, compared with NumPy."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pytest_federated.core.errors import ModelError
from pytest_federated.tff.internals import random_signs
from pytest_federated.training.aggregators.aggregator import aggregators, build
from scipy import linalg

# Two tensors, so that the norm of a client's whole change differs from those of its tensors.
SHAPES = ((2, 3), (4,))


def changes(clients: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Returns random changes, float32 (clients, 10)."""
    drawn = np.random.default_rng(seed).normal(0, scale, (clients, 10))
    return drawn.astype(np.float32)


def tensors(row: np.ndarray) -> Any:
    return OrderedDict(a=row[:6].reshape(2, 3), b=row[6:])


def numbers(value: Any) -> np.ndarray:
    return np.concatenate([np.asarray(value[k]).ravel() for k in "ab"])


def value_type(tff: Any) -> Any:
    return tff.StructWithPythonType(
        [(k, tff.TensorType(np.float32, s)) for k, s in zip("ab", SHAPES)], OrderedDict
    )


KRUM = {"kind": "krum", "attackers": 2}
MULTI = {"kind": "multi_krum", "attackers": 2}


class Run:
    """An aggregation process on values of two tensors, round by round."""

    def __init__(self, tff: Any, chosen: Any, clients: int) -> None:
        factory = build(aggregators.parse(chosen), clients) or tff.aggregators.MeanFactory()
        self._process = factory.create(value_type(tff), tff.TensorType(np.float32))
        self.state = self._process.initialize()

    def __call__(self, rows: np.ndarray, weights: Sequence[float]) -> np.ndarray:
        values = [tensors(row) for row in rows]
        done = self._process.next(self.state, values, [np.float32(w) for w in weights])
        self.state = done.state
        return numbers(done.result)


def weighted_mean(rows: np.ndarray, weights: Any) -> np.ndarray:
    return np.average(rows.astype(np.float64), axis=0, weights=weights)


WEIGHTS = [3.0, 1.0, 5.0, 2.0, 4.0]


def assert_same(measured: np.ndarray, expected: np.ndarray, atol: float = 1e-6) -> None:
    np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=atol)


@pytest.mark.usefixtures("running")
def test_mean_weighs_changes(tff: Any) -> None:
    rows = changes(5)
    assert_same(Run(tff, "mean", 5)(rows, WEIGHTS), weighted_mean(rows, WEIGHTS))


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("clients", [5, 6])
def test_median_takes_the_median_of_each_coordinate(tff: Any, clients: int) -> None:
    rows, weights = changes(clients), [3.0, 1.0, 5.0, 2.0, 4.0, 9.0][:clients]
    run = Run(tff, "median", clients)
    assert_same(run(rows, weights), np.median(rows, axis=0))
    # A client with weight 0, whose change was not finite, does not count.
    assert_same(run(rows, [0.0, *weights[1:]]), np.median(rows[1:], axis=0))
    np.testing.assert_array_equal(run(rows, [0.0] * clients), np.zeros(10))


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("clients", "trim", "out"),
    [(10, 0.3, 3), (9, 0.25, 2), (3, 0.0, 0), (10, 0.1, 1), (100, 0.29, 29)],
)
def test_trimmed_mean_drops_the_extremes(tff: Any, clients: int, trim: float, out: int) -> None:
    rows = changes(clients)
    measured = Run(tff, {"kind": "trimmed_mean", "trim": trim}, clients)(rows, [1.0] * clients)
    ordered = np.sort(rows.astype(np.float64), axis=0)
    assert_same(measured, ordered[out : clients - out].mean(axis=0))


def clipped(rows: np.ndarray, norm: float) -> np.ndarray:
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return rows * np.minimum(1, norm / np.maximum(norms, 1e-30))


@pytest.mark.usefixtures("running")
def test_clipping_limits_the_norm(tff: Any) -> None:
    rows = changes(5)
    run = Run(tff, {"kind": "clipping", "norm": 2.5}, 5)
    expected = weighted_mean(clipped(rows, 2.5), WEIGHTS)
    assert_same(run(rows, WEIGHTS), expected)
    assert np.abs(expected - weighted_mean(rows, WEIGHTS)).max() > 0.01


@pytest.mark.usefixtures("running")
def test_clipping_may_adapt_its_norm(tff: Any) -> None:
    """Andrew et al., algorithm 1: C <- C exp(-rate * (share not above C - quantile))."""
    run = Run(tff, {"kind": "clipping", "initial": 3.0, "quantile": 0.3, "learning_rate": 0.4}, 5)
    norm = 3.0
    for seed in range(3):
        rows = changes(5, seed)
        assert_same(run(rows, WEIGHTS), weighted_mean(clipped(rows, norm), WEIGHTS))
        below = np.mean(np.linalg.norm(rows, axis=1) <= norm)
        norm *= math.exp(-0.4 * (below - 0.3))


@pytest.mark.usefixtures("running")
def test_zeroing_drops_large_changes(tff: Any) -> None:
    rows = changes(5)
    largest = np.abs(rows).max(axis=1)
    bound = float(np.sort(largest)[2:4].mean())
    kept = np.where(largest[:, None] > bound, 0, rows)
    run = Run(tff, {"kind": "zeroing", "norm": bound}, 5)
    assert_same(run(rows, WEIGHTS), weighted_mean(kept, WEIGHTS))
    assert (kept == 0).all(axis=1).sum() == 2


@pytest.mark.usefixtures("running")
def test_robust_zeroes_and_then_clips(tff: Any) -> None:
    """With TFF's constants: zeroing above 2 * 10 + 1, clipping at 1, both in the first round."""
    run = Run(tff, "robust", 5)
    zero_at, clip_at = 10.0, 1.0
    for seed in range(2):
        rows = changes(5, seed)
        rows[2] *= 100
        largest = np.abs(rows).max(axis=1)
        kept = np.where(largest[:, None] > 2 * zero_at + 1, 0, rows)
        assert_same(run(rows, WEIGHTS), weighted_mean(clipped(kept, clip_at), WEIGHTS))
        zero_at *= math.exp(-math.log(10) * (np.mean(largest <= zero_at) - 0.98))
        # Clipping follows zeroing.
        norms = np.linalg.norm(kept.astype(np.float64), axis=1)
        clip_at *= math.exp(-0.2 * (np.mean(norms <= clip_at) - 0.8))


@pytest.mark.usefixtures("running")
def test_compression_quantizes_large_tensors(tff: Any) -> None:
    """Weighted changes of tensors above the threshold get one of 2^bits levels per client."""
    rows = changes(5)
    run = Run(tff, {"kind": "compression", "bits": 3, "threshold": 4}, 5)
    weighted = rows[:, :6] * np.array(WEIGHTS, np.float32)[:, None]
    low, high = weighted.min(axis=1, keepdims=True), weighted.max(axis=1, keepdims=True)
    step = (high - low) / 7
    levels = low + np.round((weighted - low) / step) * step
    expected = weighted_mean(rows, WEIGHTS)
    whole = expected[6:]
    expected[:6] = levels.astype(np.float64).sum(axis=0) / sum(WEIGHTS)
    measured = run(rows, WEIGHTS)
    assert_same(measured, expected)
    assert_same(measured[6:], whole)
    np.testing.assert_array_equal(measured, run(rows, WEIGHTS))


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize(("bits", "numbers"), [(4, 2048), (8, 320), (3, 29), (16, 28)])
def test_compressed_bytes_are_those_that_tff_sends(bits: int, numbers: int) -> None:
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.internal import tensor_encoding as encoding

    factory = build(aggregators.parse({"kind": "compression", "bits": bits, "threshold": 20}), 5)
    assert factory is not None
    value = np.linspace(-1, 1, numbers).astype(np.float32)
    encoder = encoding.encoders.as_simple_encoder(
        encoding.encoders.uniform_quantization(bits), tf.TensorSpec(value.shape)
    )
    sent, _ = encoder.encode(tf.constant(value), encoder.initial_state())
    size = sum(np.asarray(part).nbytes for part in tf.nest.flatten(sent))
    whole = np.zeros(20, np.float32)
    assert factory.compressed_bytes([value, whole]) == size + 80


@pytest.mark.usefixtures("running")
def test_secure_sums_use_fixed_point_numbers(tff: Any) -> None:
    """With a first bound of 50 * 2 and 32 bits, the mean is exact to within one step."""
    rows = changes(5)
    run = Run(tff, {"kind": "secure", "zeroing": False, "clipping": False}, 5)
    assert_same(run(rows, WEIGHTS), weighted_mean(rows, WEIGHTS), atol=1e-5)


def seeded(state: Any, seed: int) -> Any:
    from pytest_federated.core.seeds import Stream, generator
    from pytest_federated.training.engine.build import _with_noise_seeds

    return _with_noise_seeds(state, generator(seed, Stream.AGGREGATION))


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("arriving", [5, 0])
def test_dp_clips_and_adds_noise(tff: Any, arriving: int) -> None:
    """The sum of clipped changes plus N(0, (z C)^2), divided by the expected clients."""
    import tensorflow as tf

    rows = changes(arriving)
    run = Run(tff, {"kind": "dp", "noise_multiplier": 0.7, "clip": 2.5}, 8)
    run.state = start = seeded(run.state, 4)
    noise_seed = int(start.query_state.numerator_state.noise_seed[0])
    assert noise_seed
    for number in range(2):
        noise = tf.random.stateless_normal((10,), (noise_seed, number)).numpy()
        expected = (clipped(rows, 2.5).sum(axis=0) + 0.7 * 2.5 * noise) / 8
        assert_same(run(rows, WEIGHTS[:arriving]), expected)  # whatever the weights
    run.state = start
    again = run(rows, WEIGHTS[:arriving])
    run.state = seeded(run.state, 5)
    assert np.abs(again - run(rows, WEIGHTS[:arriving])).max() > 0.01


@pytest.mark.usefixtures("running")
def test_dp_may_adapt_its_norm(tff: Any) -> None:
    """Follows Andrew et al., algorithm 1; noise on the count increases the noise on the sum.

    Twenty clients are expected, however many take part: with b of n not clipped, the share
    differs from one half by (b - n / 2) / 20.
    """
    import tensorflow as tf

    run = Run(tff, {"kind": "dp", "noise_multiplier": 0.5, "initial_clip": 2.0}, 20)
    run.state = seeded(run.state, 4)
    state = run.state.query_state.numerator_state
    sum_seed, count_seed = (
        int(one.noise_seed[0])
        for one in (
            state.sum_state,
            state.quantile_estimator_state.below_estimate_state.numerator_state,
        )
    )
    assert sum_seed != count_seed
    norm, count_stddev = 2.0, 20 / 20
    z = (0.5**-2 - (2 * count_stddev) ** -2) ** -0.5
    for number, arriving in enumerate([20, 0, 7, 20]):
        rows = changes(arriving, number)
        noise = tf.random.stateless_normal((10,), (sum_seed, number)).numpy()
        expected = (clipped(rows, norm).sum(axis=0) + z * norm * noise) / 20
        assert_same(run(rows, [1.0] * arriving), expected, atol=1e-5)
        (count_noise,) = tf.random.stateless_normal((1,), (count_seed, number)).numpy()
        inside = np.sum(np.linalg.norm(rows, axis=1) <= norm) - arriving / 2
        share = np.clip((inside + count_stddev * count_noise) / 20 + 0.5, 0, 1)
        norm *= math.exp(-0.2 * (share - 0.5))


@pytest.mark.usefixtures("running")
def test_dp_ftrl_takes_earlier_noise_back(tff: Any) -> None:
    """Follows Kairouz, McMahan et al., algorithm 1: one node for each binary one in t.

    Node i of a level covers 2^level rounds; the nodes that together cover the first t rounds have
    odd numbers.
    """
    import tensorflow as tf

    run = Run(tff, {"kind": "dp_ftrl", "noise_multiplier": 0.7, "clip": 2.5}, 8)
    run.state = start = seeded(run.state, 4)
    seed = int(start.query_state.numerator_state.noise_seed[0])

    def node(level: int, number: int) -> np.ndarray:
        return tf.random.stateless_normal((10,), (seed, number + (level << 26))).numpy()

    covering = [
        [(0, 1)],
        [(1, 1)],
        [(1, 1), (0, 3)],
        [(2, 1)],
        [(2, 1), (0, 5)],
    ]
    exact, total = np.zeros(10), np.zeros(10)
    for number, nodes in enumerate(covering):
        rows = changes(5 if number != 3 else 0, number)  # nobody takes part in the fourth round
        exact += clipped(rows, 2.5).sum(axis=0)
        total += run(rows, WEIGHTS[: len(rows)])
        noise = 0.7 * 2.5 * sum(node(*one) for one in nodes)
        assert_same(total, (exact + noise) / 8, atol=1e-5)
    run.state = start
    first = run(changes(5), WEIGHTS)
    run.state = seeded(start, 5)
    assert np.abs(run(changes(5), WEIGHTS) - first).max() > 0.01


def skellam(size: int, variance: Any, seed: Any) -> np.ndarray:
    import tensorflow as tf

    both = tf.random.stateless_poisson([size, 2], seed, variance / 2, tf.int64).numpy()
    return both[:, 0] - both[:, 1]


def scale_of(local: float, norm: float, bits: int, clients: int, size: int) -> float:
    """Returns the scale at which k deviations of a sum fit into 2^bits.

    Source: Kairouz, Liu and Steinke, section 4.2.
    """
    k = statistics.NormalDist().inv_cdf(1 - 1e-4 / 2)
    spread = 2 * k * math.sqrt((norm * clients) ** 2 / size + clients * local**2)
    return min(math.sqrt(4**bits - clients * k**2) / spread, 1e6)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("arriving", [6, 4, 0])
def test_distributed_dp_adds_noise_to_integers(tff: Any, arriving: int) -> None:
    """Follows Agarwal et al., algorithm 1: ten numbers padded to sixteen, integers modulo 2^bits.

    Six clients are expected: noise and divisor are theirs, however many take part. The two sides
    differ only by the rounding of each client, by less than one step of the scale.
    """
    rows, expected, norm, z, bits = changes(arriving), 6, 2.5, 0.7, 16
    chosen = {"kind": "distributed_dp", "noise_multiplier": z, "clip": norm, "bits": bits}
    run = Run(tff, chosen, expected)
    run.state = start = seeded(run.state, 4)
    seeds = {name: int(pair[0]) for name, pair in start["noise_seed"].items()}
    assert len(set(seeds.values())) == 4
    local = z * norm / math.sqrt(expected)
    scale = scale_of(local, norm, bits, expected, 16)
    walsh = linalg.hadamard(16) / 4
    for number in range(2):
        noise = skellam(16, expected * (local * scale) ** 2, (seeds["noise"], number))
        signs = random_signs((16,), np.float32, (seeds["rotation"], number)).numpy()
        rotated = np.pad(clipped(rows, norm), [(0, 0), (0, 6)]) * signs @ walsh
        whole = (rotated * scale).sum(axis=0) + noise
        wrapped = np.mod(whole + 2 ** (bits - 1), 2**bits) - 2 ** (bits - 1)
        mean = (wrapped @ walsh * signs)[:10] / scale / expected
        assert_same(run(rows, WEIGHTS[:1] * arriving), mean, atol=4 / scale)
        assert np.abs(noise).mean() / scale / expected > 50 * 4 / scale
    run.state = start
    again = run(rows, WEIGHTS[:1] * arriving)
    run.state = start
    np.testing.assert_array_equal(again, run(rows, WEIGHTS[:1] * arriving))
    run.state = seeded(start, 5)
    assert np.abs(again - run(rows, WEIGHTS[:1] * arriving)).max() > 0.01


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("rotation", ["hd", "dft"])
def test_without_noise_distributed_dp_equals_the_builder_of_tff(tff: Any, rotation: str) -> None:
    """The norm adapts from 0.1; both round at random, by about a millionth."""
    chosen = {"kind": "distributed_dp", "noise_multiplier": 0.0, "rotation_type": rotation}
    # With zeroing or weights, it would be nested too deeply for protobuf.
    built = tff.learning.ddp_secure_aggregator(0.0, 5, zeroing=False, rotation_type=rotation)
    theirs = built.create(value_type(tff))
    run, their_state, norm = Run(tff, chosen, 5), theirs.initialize(), 0.1
    run.state = seeded(run.state, 4)
    for number in range(3):
        rows = changes(5, number, scale=0.03)
        expected = clipped(rows, norm).mean(axis=0)
        assert_same(run(rows, WEIGHTS), expected, atol=2e-6)
        done = theirs.next(their_state, [tensors(row) for row in rows])
        assert_same(numbers(done.result), expected, atol=2e-6)
        their_state = done.state
        norm *= math.exp(-0.2 * (np.mean(np.linalg.norm(rows, axis=1) <= norm) - 0.5))


@pytest.mark.usefixtures("running")
def test_the_norm_of_distributed_dp_adapts_to_a_noisy_count(tff: Any) -> None:
    """A zeroed change is not clipped, but it counts."""
    import tensorflow as tf

    chosen = {"kind": "distributed_dp", "noise_multiplier": 0.5, "initial_clip": 2.0}
    run = Run(tff, {**chosen, "zeroing": True}, 20)
    run.state = seeded(run.state, 4)
    inner = run.state["inner_agg"]
    rows, seed = changes(20), int(inner["noise_seed"]["count"][0])
    rows[3] *= 1000
    run(rows, [1.0] * 20)
    rows[3] = 0
    noise = float(tf.random.stateless_normal((), (seed, 0)))
    below = (np.linalg.norm(rows, axis=1) <= 2).sum() + 20 / 20 * noise
    found = float(run.state["inner_agg"]["norm"])
    assert found == pytest.approx(2 * math.exp(-0.2 * (below / 20 - 0.5)), rel=1e-6)


def test_distributed_dp_needs_bits_for_the_sum(tff: Any) -> None:
    chosen = {"kind": "distributed_dp", "noise_multiplier": 0.5, "clip": 1.0, "bits": 4}
    with pytest.raises(ModelError, match=r"aggregator: bits: got 4, too few for a sum over 100"):
        build(aggregators.parse(chosen), 100)


@pytest.mark.parametrize("name", ["krum", "multi_krum", "geometric_median"])
def test_attackers_do_not_move_a_robust_aggregate_far(tff: Any, name: str) -> None:
    keys = {} if name == "geometric_median" else {"attackers": 3}
    rows = changes(10)
    honest = np.linalg.norm(rows[3:] - rows[3:].mean(axis=0), axis=1).max()
    rows[:3] = 100 * changes(3, seed=1)  # three of ten, each somewhere else
    aggregate = Run(tff, {"kind": name, **keys}, 10)(rows, [1.0] * 10)
    assert np.linalg.norm(aggregate - rows[3:].mean(axis=0)) <= honest
    assert np.linalg.norm(weighted_mean(rows, np.ones(10)) - rows[3:].mean(axis=0)) > 5 * honest


def test_krum_is_one_of_the_changes_and_multi_krum_a_mean_of_several(tff: Any) -> None:
    rows = changes(9)
    (chosen,) = [row for row in rows if np.array_equal(row, Run(tff, KRUM, 9)(rows, [1.0] * 9))]
    assert np.array_equal(Run(tff, {**MULTI, "selected": 1}, 9)(rows, [1.0] * 9), chosen)
    everything = Run(tff, {**MULTI, "selected": 9}, 9)(rows, [1.0] * 9)
    np.testing.assert_allclose(everything, weighted_mean(rows, np.ones(9)), atol=1e-6)


def test_krum_of_a_round_with_few_clients_left_takes_one_of_them(tff: Any) -> None:
    run = Run(tff, KRUM, 9)
    for left in (1, 2, 3):
        rows = changes(left)
        aggregate = run(rows, [1.0] * left)
        assert any(np.array_equal(row, aggregate) for row in rows)


def test_which_change_krum_takes_does_not_depend_on_the_order_of_clients(tff: Any) -> None:
    """Two changes that are each other's only neighbor have the same score."""
    rows = np.array([[0.5] * 10, [0.4] * 10, [-3.0] * 10], np.float32)
    run = Run(tff, {"kind": "krum", "attackers": 0}, 3)
    for order in itertools.permutations(range(3)):
        assert np.array_equal(run(rows[list(order)], [1.0] * 3), rows[1])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            {"kind": "trimmed_mean", "trim": 0.09},
            "trim: got 0.09; of the 10 clients of a round that is none, .* allowed: at least 0.1,",
        ),
        ({"kind": "krum", "attackers": 4}, "attackers: got 4, .* at least 11 clients; it has 10"),
        ({"kind": "multi_krum", "attackers": 4}, "attackers: got 4, .* at least 11 clients"),
        ({"kind": "multi_krum", "attackers": 1, "selected": 11}, "selected: got 11; .* has 10"),
    ],
)
def test_krum_needs_enough_clients(tff: Any, chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"training.aggregator: {message}"):
        build(aggregators.parse(chosen), 10)


def test_skellam_noise_has_its_variance(tff: Any) -> None:
    from pytest_federated.training.aggregators.distributed_privacy import _skellam

    drawn = _skellam(100_000, np.float64(7.5), (3, 4)).numpy()
    assert np.mean(drawn) == pytest.approx(0, abs=4 * math.sqrt(7.5 / 100_000))
    assert np.var(drawn) == pytest.approx(7.5, rel=0.03)
    assert not _skellam(5, np.float64(0), (3, 4)).numpy().any()
