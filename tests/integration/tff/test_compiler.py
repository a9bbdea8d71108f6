"""The compiler that remembers gives the same computations as TFF's own."""

from __future__ import annotations

import importlib
import re
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from pytest_federated.tff.compiler import native, simulated
from pytest_federated.tff.internals import _with_memory

pytestmark = pytest.mark.usefixtures("running")


@pytest.fixture(scope="module")
def computations(tff: Any) -> dict[str, Any]:
    """Two that differ only in names, one with secure sums, and one with large arrays.

    Nothing is remembered of other tests, in whose graphs TensorFlow numbered functions otherwise.
    """
    import tensorflow as tf

    _with_memory.cache_clear()
    table = np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32)
    numbers = tff.FederatedType(np.float32, tff.CLIENTS)

    @tff.tensorflow.computation(np.float32)
    def twice(x: Any) -> Any:
        return tf.function(lambda y: OrderedDict(b=y + y, a=(y * 1.0) - 0.0))(x)

    @tff.tensorflow.computation(np.float32)
    def with_table(x: Any) -> Any:
        return x + tf.reduce_sum(tf.constant(table))

    @tff.federated_computation(numbers)
    def mean(values: Any) -> Any:
        return tff.federated_mean(tff.federated_map(twice, values))

    @tff.federated_computation(numbers)
    def total(values: Any) -> Any:
        return tff.federated_sum(tff.federated_map(twice, values))

    @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
    def secure(values: Any) -> Any:
        return tff.federated_secure_sum_bitwidth(values, 8)

    @tff.federated_computation(numbers)
    def large(values: Any) -> Any:
        return tff.federated_map(with_table, values)

    return {"mean": mean, "total": total, "secure": secure, "large": large}


@pytest.mark.parametrize("name", ["mean", "total", "secure", "large"])
def test_a_compiled_computation_equals_that_of_tff(
    tff: Any, computations: dict[str, Any], name: str
) -> None:
    computation = simulated(computations[name])
    plain = written(tff.backends.native.desugar_and_transform_to_native(computation))
    assert written(native(computation)) == plain
    assert written(native(computation)) == plain  # now from memory


def written(computation: Any) -> str:
    """Returns a whole computation, without the three letters that TFF puts before new names."""
    block = computation.to_building_block()
    return re.sub(r"\b_[a-z]{3}(\d+)\b", r"_\1", str(block.proto))


def test_an_aggregator_without_a_secure_sum_is_unchanged(computations: dict[str, Any]) -> None:
    assert simulated(computations["mean"]) is computations["mean"]
    assert simulated(computations["secure"]) is not computations["secure"]


def test_a_large_graph_is_optimized_in_two_steps_to_the_same_numbers(
    tff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its functions are inlined first, with nothing else done to it."""
    import tensorflow as tf

    grappler = importlib.import_module("tensorflow.python.grappler.tf_optimizer")
    optimize, inlined = grappler.OptimizeGraph, []

    def noted(config: Any, *arguments: Any, **settings: Any) -> Any:
        rewriting = config.graph_options.rewrite_options
        inlined.append(rewriting.constant_folding == rewriting.OFF)
        return optimize(config, *arguments, **settings)

    monkeypatch.setattr(grappler, "OptimizeGraph", noted)
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)

    def computed() -> np.ndarray:
        @tff.tensorflow.computation(tff.TensorType(np.float32, [3, 4]))
        def slope(x: Any) -> Any:
            @tf.function
            def model(x: Any) -> Any:
                for _ in range(3):
                    x = tf.nn.relu(x - tf.reduce_mean(x, tf.rank(x) - 1, keepdims=True))
                return tf.reduce_sum(x**2)

            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = model(x)
            return tape.gradient(loss, x)

        inlined.clear()
        return np.asarray(slope(x))

    at_once = computed()
    assert set(inlined) == {False}
    monkeypatch.setattr("pytest_federated.tff.internals._MAX_GRAPH_BYTES", 0)
    in_two_steps = computed()
    assert inlined == [True, False] * (len(inlined) // 2) != []
    np.testing.assert_array_equal(in_two_steps, at_once)
