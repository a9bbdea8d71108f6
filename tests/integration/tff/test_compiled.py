"""Compiled computations are found again by what they say, and compute the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_federated import Options, Scenario, run
from pytest_federated.running.store import Store
from pytest_federated.tff import compiler
from pytest_federated.tff.compiled import content
from pytest_federated.tff.compiler import keep_compiled, native
from pytest_federated.training.engine import build

pytestmark = pytest.mark.usefixtures("running")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    keep_compiled(None)
    yield
    keep_compiled(None)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The computations that were compiled, as opposed to those that were found."""
    done: list[Any] = []
    plain = compiler._compiled

    def note(computation: Any) -> Any:
        done.append(computation)
        return plain(computation)

    monkeypatch.setattr(compiler, "_compiled", note)
    return done


def traced(
    tff: Any,
    *,
    step: float = 2.0,
    swapped: bool = False,
    reverse: bool = False,
    before: bool = True,
    ends: int = 2,
) -> Any:
    """Traces functions that call one another, in a loop, with a gradient and a default argument."""
    import tensorflow as tf

    @tf.function
    def half(x: Any, y: Any) -> Any:
        return x / 2 - y

    @tf.function
    def scaled(x: Any, y: Any) -> Any:
        return x * step + y

    @tf.custom_gradient
    def cut(x: Any) -> Any:
        return tf.minimum(x, 1.0), lambda up: up * 3.0

    first, second = (scaled, half) if swapped else (half, scaled)

    @tff.tensorflow.computation(np.float32)
    def steps(x: Any) -> Any:
        def body(i: Any, value: Any) -> Any:
            value = first(x, value) if reverse else first(value, x)
            return i + 1, second(value, x)

        value = cut(x) if before else x
        value = tf.while_loop(lambda i, _: i < ends, body, (0, value), maximum_iterations=9)[1]
        with tf.GradientTape() as tape:
            tape.watch(value)
            squared = half(value, value * value)
        return tape.gradient(squared, value)

    @tff.federated_computation(tff.FederatedType(np.float32, tff.CLIENTS))
    def total(values: Any) -> Any:
        return tff.federated_sum(tff.federated_map(steps, values))

    return total


def says(tff: Any, computation: Any) -> bytes:
    return content(tff.framework.serialize_computation(computation))


def test_what_is_traced_again_says_the_same(tff: Any) -> None:
    one, again = traced(tff), traced(tff)
    written = [tff.framework.serialize_computation(c).SerializeToString() for c in (one, again)]
    assert written[0] != written[1]  # as TensorFlow numbers functions on
    assert says(tff, one) == says(tff, again)


@pytest.mark.parametrize(
    "change",
    [{"step": 2.5}, {"swapped": True}, {"reverse": True}, {"before": False}, {"ends": 4}],
    ids=str,
)
def test_what_computes_something_else_says_something_else(tff: Any, change: Any) -> None:
    assert says(tff, traced(tff)) != says(tff, traced(tff, **change))
    assert traced(tff)([0.3, 2.0]) != traced(tff, **change)([0.3, 2.0])


def test_what_was_compiled_is_found_by_the_next_trace(
    tff: Any, tmp_path: Path, compiled: list[Any]
) -> None:
    plain = traced(tff)([0.3, 2.0])
    keep_compiled(tmp_path)
    compiled.clear()
    assert traced(tff)([0.3, 2.0]) == plain
    assert len(compiled) == 1
    keep_compiled(tmp_path)
    assert traced(tff)([0.3, 2.0]) == plain
    assert len(compiled) == 1
    keep_compiled(tmp_path, "another version")
    assert traced(tff)([0.3, 2.0]) == plain
    assert len(compiled) == 2


def test_what_is_found_is_what_was_compiled(tff: Any, tmp_path: Path) -> None:
    keep_compiled(tmp_path)
    computation = traced(tff)
    made, found = (
        tff.framework.serialize_computation(native(computation)).SerializeToString()
        for _ in range(2)
    )
    assert made == found


@pytest.mark.parametrize("rest", [b"", b"more"])
def test_a_damaged_computation_is_compiled_again(
    tff: Any, tmp_path: Path, compiled: list[Any], rest: bytes
) -> None:
    keep_compiled(tmp_path)
    computation = traced(tff)
    native(computation)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100] + rest)
    for _ in range(2):
        native(computation)
        assert len(compiled) == 2  # once more, and then found


def scenario(**training: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "kept",
            "data": {"dataset": "digits"},
            "clients": {"count": 4, "split": "iid"},
            "model": {"kind": "mlp", "hidden": [8]},
            "training": {"rounds": 2, "local_epochs": 1, "batch_size": 100, **training},
        }
    )


def forget_what_was_built() -> None:
    build._trainers.clear()
    build._adapters.clear()
    build._forget_shared()
    build.forget_computations()


@pytest.mark.parametrize(
    "training",
    [
        {"execution": "packed"},
        {"execution": "standard", "aggregator": "clipping"},
    ],
    ids=str,
)
def test_a_scenario_that_is_built_again_compiles_nothing(
    tmp_path: Path, compiled: list[Any], training: Any
) -> None:
    def trained(**options: Any) -> list[Any]:
        """The histories, with nothing from this process or the cache of trainings."""
        forget_what_was_built()
        compiled.clear()
        for file in tmp_path.glob("*.training"):
            file.unlink()
        result = run(scenario(**training), Options(**options))
        return [history.model_dump() for history in result.histories]

    without = trained()
    assert trained(store=Store(tmp_path), reuse=False) == without
    assert len(compiled) > 1
    assert not (tmp_path / "computations").exists()
    assert trained(store=Store(tmp_path)) == without
    assert len(compiled) > 1
    assert trained(store=Store(tmp_path)) == without
    assert not compiled
