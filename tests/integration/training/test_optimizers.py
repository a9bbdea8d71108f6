"""Each optimizer takes the steps of its paper, compared with NumPy, as server and as client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import numpy as np
import pytest
from pytest_federated.training.optimizers.optimizer import optimizer_of, optimizers

SHAPES = ((3, 4), (4,))
RATE = 0.1
# Maps a weight, its gradient, the number of the step (from 1) and its state to a new weight.
Step = Callable[[np.ndarray, np.ndarray, int, dict[str, Any]], np.ndarray]


def keeps(kept: dict[str, Any], key: str, value: Any) -> Any:
    kept[key] = value
    return value


def adam(decay: float = 0.0) -> Step:
    def step(w: Any, g: Any, t: int, kept: dict[str, Any]) -> Any:
        m = keeps(kept, "m", 0.8 * kept.get("m", 0) + 0.2 * g)
        v = keeps(kept, "v", 0.9 * kept.get("v", 0) + 0.1 * g**2)
        unbiased = np.sqrt(1 - 0.9**t) / (1 - 0.8**t)
        return w - RATE * (unbiased * m / (np.sqrt(v) + 1e-4) + decay * w)

    return step


def yogi(w: Any, g: Any, t: int, kept: dict[str, Any]) -> Any:
    # As in the authors' experiments: with Adam's correction, beginning at 1e-6.
    m = keeps(kept, "m", 0.8 * kept.get("m", 0) + 0.2 * g)
    v = kept.get("v", 1e-6)
    v = keeps(kept, "v", v - 0.1 * g**2 * np.sign(v - g**2))
    unbiased = np.sqrt(1 - 0.9**t) / (1 - 0.8**t)
    return w - RATE * unbiased * m / (np.sqrt(v) + 1e-3)


def adagrad(w: Any, g: Any, t: int, kept: dict[str, Any]) -> Any:
    v = keeps(kept, "v", kept.get("v", 0.2) + g**2)
    return w - RATE * g / np.sqrt(v + 1e-4)


def rmsprop(w: Any, g: Any, t: int, kept: dict[str, Any]) -> Any:
    v = keeps(kept, "v", 0.7 * kept.get("v", 0) + 0.3 * g**2)
    return w - RATE * g / (np.sqrt(v) + 1e-4)


def momentum(w: Any, g: Any, t: int, kept: dict[str, Any]) -> Any:
    return w - RATE * keeps(kept, "m", 0.8 * kept.get("m", 0) + g)


def adafactor(relative: bool) -> Step:
    """Follows Shazeer and Stern, algorithms 4 (matrices) and 5 (vectors)."""

    def rms(values: Any) -> float:
        return float(np.sqrt(np.mean(values**2)))

    def step(w: Any, g: Any, t: int, kept: dict[str, Any]) -> Any:
        rate = RATE * 8
        alpha = max(1e-3, rms(w)) * (min(rate, t**-0.5) if relative else rate)
        decay, squared = 1 - t**-0.8, g**2 + 1e-16
        if w.ndim == 1:
            v = keeps(kept, "v", decay * kept.get("v", 0) + (1 - decay) * squared)
        else:
            rows = keeps(kept, "r", decay * kept.get("r", 0) + (1 - decay) * squared.sum(axis=1))
            columns = keeps(kept, "c", decay * kept.get("c", 0) + (1 - decay) * squared.sum(axis=0))
            v = np.outer(rows, columns) / rows.sum()
        update = g / np.sqrt(v)
        return w - alpha * update / max(1, rms(update) / 0.9)

    return step


BETAS = {"beta_1": 0.8, "beta_2": 0.9}
FACTORS = {"kind": "adafactor", "learning_rate": RATE * 8, "clip_threshold": 0.9}
CASES: dict[str, tuple[dict[str, Any], Step]] = {
    "sgd": ({"kind": "sgd"}, lambda w, g, t, kept: w - RATE * g),
    "sgd with momentum": ({"kind": "sgd", "momentum": 0.8}, momentum),
    "sgd with weight decay": (
        {"kind": "sgd", "weight_decay": 0.3},
        lambda w, g, t, kept: w - RATE * (g + 0.3 * w),
    ),
    "adam": ({"kind": "adam", **BETAS, "epsilon": 1e-4}, adam()),
    "adagrad": ({"kind": "adagrad", "initial_accumulator": 0.2, "epsilon": 1e-4}, adagrad),
    "yogi": ({"kind": "yogi", **BETAS}, yogi),
    "adamw": ({"kind": "adamw", **BETAS, "epsilon": 1e-4, "weight_decay": 0.3}, adam(0.3)),
    "rmsprop": ({"kind": "rmsprop", "decay": 0.7, "epsilon": 1e-4}, rmsprop),
    "adafactor": (FACTORS, adafactor(relative=True)),
    "adafactor with a fixed rate": ({**FACTORS, "relative_step": False}, adafactor(False)),
}


def drawn(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]


def by_definition(step: Step, gradients: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    ended = []
    for place, weight in enumerate(drawn(0)):
        kept: dict[str, Any] = {}
        value = weight.astype(np.float64)
        for number, gradient in enumerate(gradients, start=1):
            value = step(value, gradient[place].astype(np.float64), number, kept)
        ended.append(value)
    return ended


def test_each_optimizer_has_a_case() -> None:
    assert set(optimizers.names()) - {"tff"} == {chosen["kind"] for chosen, _ in CASES.values()}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("case", CASES)
def test_steps_follow_the_definition(tff: Any, case: str) -> None:
    """As on a server, whose state passes through TFF, and as on a packed client, in one loop."""
    import tensorflow as tf

    chosen, step = CASES[case]
    parsed = optimizers.parse({"learning_rate": RATE, **chosen})
    optimizer = optimizer_of(parsed)
    gradients = [drawn(number) for number in (1, 2, 3)]
    expected = by_definition(step, gradients)
    specs = tuple(tf.TensorSpec(shape) for shape in SHAPES)
    weights_type = tff.to_type(tuple(tff.TensorType(np.float32, shape) for shape in SHAPES))

    @tff.tensorflow.computation
    def begin() -> Any:
        return optimizer.initialize(specs)

    @tff.tensorflow.computation(begin.type_signature.result, weights_type, weights_type)
    def take(state: Any, weights: Any, given: Any) -> Any:
        return optimizer.next(state, tuple(weights), tuple(given))

    assert take.type_signature.result[0].is_equivalent_to(begin.type_signature.result)
    state, weights = begin(), tuple(drawn(0))
    for given in gradients:
        state, weights = take(state, tuple(weights), tuple(given))

    @tf.function(autograph=False)
    def loop(first: Any, stacked: Any) -> Any:
        def body(number: Any, state: Any, weights: Any) -> Any:
            given = tuple(part[number] for part in stacked)
            state, weights = optimizer.next(state, weights, given)
            return number + 1, state, tuple(weights)

        begun = (0, optimizer.initialize(specs), first)
        return tf.while_loop(lambda number, *_: number < 3, body, begun)[2]

    stacked = tuple(tf.stack([given[place] for given in gradients]) for place in (0, 1))
    for found in (weights, loop(tuple(map(tf.constant, drawn(0))), stacked)):
        for ours, exact in zip(found, expected):
            np.testing.assert_allclose(np.asarray(ours), exact, rtol=1e-5, atol=1e-6)


def test_adafactor_does_not_change_weights_without_gradients(tff: Any) -> None:
    """Rows and columns of zeros come from pixels that are always black and from dead units."""
    import tensorflow as tf

    chosen = optimizers.parse({"kind": "adafactor", "learning_rate": RATE})
    optimizer = optimizer_of(chosen)
    weight, gradient = tf.ones((3, 2)), tf.constant([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    state = optimizer.initialize((tf.TensorSpec((3, 2)),))
    _, (moved,) = optimizer.next(state, (weight,), (gradient,))
    np.testing.assert_array_equal(moved.numpy() != 1, gradient.numpy() != 0)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_a_gradient_is_clipped_to_a_norm_over_all_weights(tff: Any, kind: str) -> None:
    import tensorflow as tf

    def stepped(gradients: list[np.ndarray], **keys: Any) -> list[np.ndarray]:
        parsed = optimizers.parse({"kind": kind, "learning_rate": RATE, **keys})
        optimizer = optimizer_of(parsed)
        specs = tuple(tf.TensorSpec(shape) for shape in SHAPES)
        given = tuple(map(tf.constant, gradients))
        _, weights = optimizer.next(
            optimizer.initialize(specs), tuple(map(tf.constant, drawn(0))), given
        )
        return [w.numpy() for w in weights]

    gradients = drawn(1)
    length = float(np.sqrt(sum((g**2).sum() for g in gradients)))
    shorter = [g * np.float32(0.5) for g in gradients]
    for ours, expected in zip(stepped(gradients, clip_norm=length / 2), stepped(shorter)):
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    for ours, expected in zip(stepped(gradients, clip_norm=2 * length), stepped(gradients)):
        np.testing.assert_array_equal(ours, expected)
