"""Each aggregator does what its definition says, against NumPy."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from harness.training.aggregators import aggregators, build

# Two tensors, so that norms over all of a client's change differ from those of its parts.
SHAPES = ((2, 3), (4,))


def changes(clients: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Float32 (clients, 10)."""
    drawn = np.random.default_rng(seed).normal(0, scale, (clients, 10))
    return drawn.astype(np.float32)


def tensors(row: np.ndarray) -> Any:
    return OrderedDict(a=row[:6].reshape(2, 3), b=row[6:])


class Run:
    """An aggregation process on values of two tensors, round by round."""

    def __init__(self, tff: Any, chosen: Any, clients: int) -> None:
        factory = build(aggregators.parse(chosen), clients) or tff.aggregators.MeanFactory()
        value = tff.StructWithPythonType(
            [(k, tff.TensorType(np.float32, s)) for k, s in zip("ab", SHAPES)], OrderedDict
        )
        self._process = factory.create(value, tff.TensorType(np.float32))
        self.state = self._process.initialize()

    def __call__(self, rows: np.ndarray, weights: Sequence[float]) -> np.ndarray:
        given = [tensors(row) for row in rows]
        done = self._process.next(self.state, given, [np.float32(w) for w in weights])
        self.state = done.state
        return np.concatenate([np.asarray(done.result[k]).ravel() for k in "ab"])


def weighted_mean(rows: np.ndarray, weights: Any) -> np.ndarray:
    return np.average(rows.astype(np.float64), axis=0, weights=weights)


WEIGHTS = [3.0, 1.0, 5.0, 2.0, 4.0]


def assert_same(measured: np.ndarray, expected: np.ndarray, atol: float = 1e-6) -> None:
    np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=atol)


@pytest.mark.usefixtures("worker")
def test_mean(tff: Any) -> None:
    rows = changes(5)
    assert_same(Run(tff, "mean", 5)(rows, WEIGHTS), weighted_mean(rows, WEIGHTS))


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("clients", [5, 6])
def test_median(tff: Any, clients: int) -> None:
    rows, weights = changes(clients), [3.0, 1.0, 5.0, 2.0, 4.0, 9.0][:clients]
    run = Run(tff, "median", clients)
    assert_same(run(rows, weights), np.median(rows, axis=0))
    # A client without weight, whose change was not finite, is not there.
    assert_same(run(rows, [0.0, *weights[1:]]), np.median(rows[1:], axis=0))
    np.testing.assert_array_equal(run(rows, [0.0] * clients), np.zeros(10))


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("clients", "trim", "out"), [(10, 0.3, 3), (9, 0.25, 2), (3, 0.1, 0), (100, 0.29, 29)]
)
def test_trimmed_mean(tff: Any, clients: int, trim: float, out: int) -> None:
    rows = changes(clients)
    measured = Run(tff, {"kind": "trimmed_mean", "trim": trim}, clients)(rows, [1.0] * clients)
    ordered = np.sort(rows.astype(np.float64), axis=0)
    assert_same(measured, ordered[out : clients - out].mean(axis=0))


def clipped(rows: np.ndarray, norm: float) -> np.ndarray:
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return rows * np.minimum(1, norm / np.maximum(norms, 1e-30))


@pytest.mark.usefixtures("worker")
def test_clipping_to_a_norm(tff: Any) -> None:
    rows = changes(5)
    run = Run(tff, {"kind": "clipping", "norm": 2.5}, 5)
    expected = weighted_mean(clipped(rows, 2.5), WEIGHTS)
    assert_same(run(rows, WEIGHTS), expected)
    assert np.abs(expected - weighted_mean(rows, WEIGHTS)).max() > 0.01


@pytest.mark.usefixtures("worker")
def test_clipping_to_a_norm_that_adapts(tff: Any) -> None:
    """Andrew et al., algorithm 1: C <- C exp(-rate * (share not above C - quantile))."""
    run = Run(tff, {"kind": "clipping", "initial": 3.0, "quantile": 0.3, "learning_rate": 0.4}, 5)
    norm = 3.0
    for seed in range(3):
        rows = changes(5, seed)
        assert_same(run(rows, WEIGHTS), weighted_mean(clipped(rows, norm), WEIGHTS))
        below = np.mean(np.linalg.norm(rows, axis=1) <= norm)
        norm *= math.exp(-0.4 * (below - 0.3))


@pytest.mark.usefixtures("worker")
def test_zeroing(tff: Any) -> None:
    rows = changes(5)
    largest = np.abs(rows).max(axis=1)
    bound = float(np.sort(largest)[2:4].mean())
    kept = np.where(largest[:, None] > bound, 0, rows)
    run = Run(tff, {"kind": "zeroing", "norm": bound}, 5)
    assert_same(run(rows, WEIGHTS), weighted_mean(kept, WEIGHTS))
    assert (kept == 0).all(axis=1).sum() == 2


@pytest.mark.usefixtures("worker")
def test_robust_is_zeroing_and_then_clipping(tff: Any) -> None:
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
        # Clipping sees what zeroing left.
        norms = np.linalg.norm(kept.astype(np.float64), axis=1)
        clip_at *= math.exp(-0.2 * (np.mean(norms <= clip_at) - 0.8))


@pytest.mark.usefixtures("worker")
def test_compression(tff: Any) -> None:
    """A tensor above the threshold takes one of 2^bits levels, the weighted change, per client."""
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


@pytest.mark.usefixtures("worker")
def test_secure_sums_are_those_of_fixed_point_numbers(tff: Any) -> None:
    """A first bound of 50 * 2 and 32 bits: the mean within their step, but not to the bit."""
    rows = changes(5)
    run = Run(tff, {"kind": "secure", "zeroing": False, "clipping": False}, 5)
    assert_same(run(rows, WEIGHTS), weighted_mean(rows, WEIGHTS), atol=1e-5)


def seeded(state: Any, seed: int) -> Any:
    from harness.seeds import Stream, generator
    from harness.training.process import _with_noise_seeds

    return _with_noise_seeds(state, generator(seed, Stream.AGGREGATION))


@pytest.mark.usefixtures("worker")
def test_dp_with_a_fixed_norm(tff: Any) -> None:
    """Sum of clipped changes, N(0, (z C)^2) on each coordinate, over the expected clients."""
    import tensorflow as tf

    rows = changes(5)
    run = Run(tff, {"kind": "dp", "noise_multiplier": 0.7, "clip": 2.5}, 8)
    run.state = start = seeded(run.state, 4)
    noise_seed = int(start.query_state.numerator_state.noise_seed[0])
    assert noise_seed
    for number in range(2):
        noise = tf.random.stateless_normal((10,), (noise_seed, number)).numpy()
        expected = (clipped(rows, 2.5).sum(axis=0) + 0.7 * 2.5 * noise) / 8
        assert_same(run(rows, WEIGHTS), expected)  # whatever the weights
    run.state = start
    again = run(rows, WEIGHTS)
    run.state = seeded(run.state, 5)
    assert np.abs(again - run(rows, WEIGHTS)).max() > 0.01


@pytest.mark.usefixtures("worker")
def test_dp_with_a_norm_that_adapts(tff: Any) -> None:
    """Andrew et al., algorithm 1, with the noise of the sum made larger for that of the count."""
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
    for number in range(2):
        rows = changes(20, number)
        noise = tf.random.stateless_normal((10,), (sum_seed, number)).numpy()
        expected = (clipped(rows, norm).sum(axis=0) + z * norm * noise) / 20
        assert_same(run(rows, [1.0] * 20), expected, atol=1e-5)
        (count_noise,) = tf.random.stateless_normal((1,), (count_seed, number)).numpy()
        below = np.sum(np.linalg.norm(rows, axis=1) <= norm) + count_stddev * count_noise
        norm *= math.exp(-0.2 * (np.clip(below / 20, 0, 1) - 0.5))
