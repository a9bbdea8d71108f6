"""Aggregators and optimizers from functions of the user."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy_reference import BASE, COHORT, MODEL, RATE, assert_close, measure, reference, sgd
from pytest_federated.core.errors import ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

PARTS = """
import tensorflow as tf
import tensorflow_federated as tff


def clipping(clients, *, norm):
    assert clients == 4
    return tff.aggregators.clipping_factory(norm, tff.aggregators.MeanFactory())


def uniform():
    return tff.aggregators.UnweightedMeanFactory()


def not_floats():
    class Refusing(tff.aggregators.WeightedAggregationFactory):
        def create(self, value_type, weight_type):
            raise TypeError(f"takes {len(value_type)} tensors of integers only")

    return Refusing()


def falling(*, rate):
    def after(done):
        return rate / tf.cast(done + 1, tf.float32)

    optimizers = tff.learning.optimizers
    return optimizers.schedule_learning_rate(optimizers.build_sgdm(rate), after)


def stateless():
    class Plain(tff.learning.optimizers.Optimizer):
        def initialize(self, specs):
            return ()

        def next(self, state, weights, gradients):
            return state, tuple(w - 0.1 * g for w, g in zip(weights, gradients))

    return Plain()


def choosy():
    class Choosy(tff.learning.optimizers.Optimizer):
        def initialize(self, specs):
            return ()

        def next(self, state, weights, gradients):
            if tf.reduce_sum(gradients[0] ** 2) < 0:
                rate = 1.0
            else:
                rate = 0.1
            new = [w - rate * g for w, g in zip(weights, gradients)]
            return state, tf.nest.pack_sequence_as(weights, new)

    return Choosy()


def crashing():
    class Crashing(tff.learning.optimizers.Optimizer):
        def initialize(self, specs):
            return ()

        def next(self, state, weights, gradients):
            return state, [w @ gradients for w in weights]

    return Crashing()


def broken(**given):
    return given["no"]


def nothing():
    return None
"""


@pytest.fixture(autouse=True)
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "fed_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("fed_parts", None)


def of(name: str, **args: Any) -> dict[str, Any]:
    return {"tff": f"fed_parts:{name}", "args": args}


def test_an_aggregator_of_the_user_is_used(data: FederatedData) -> None:
    """It may be weighted or not, and gets the expected number of clients per round."""
    clipped = measure(data, aggregator={"kind": "clipping", "norm": 0.3})
    assert_close(measure(data, aggregator=of("clipping", norm=0.3)), clipped, atol=0)
    ours = measure(data, aggregator=of("uniform"))
    assert_close(ours, reference(data, sgd(data, lambda examples, steps, loss: 1.0)))


@pytest.mark.parametrize("execution", ["standard", "packed"])
def test_an_optimizer_of_the_user_is_used(data: FederatedData, execution: str) -> None:
    """Here the server's learning rate falls by round, with TFF's `schedule_learning_rate`."""
    done = 0

    def step(weights: Any, change: Any) -> Any:
        nonlocal done
        done += 1
        return [w + 0.5 / done * c for w, c in zip(weights, change)]

    keys = {"server_optimizer": of("falling", rate=0.5), "execution": execution}
    assert_close(measure(data, **keys), reference(data, sgd(data), step))


@pytest.mark.parametrize("keys", [{}, {"clip_norm": 1000.0}])
def test_an_optimizer_of_the_user_may_ask_for_values(
    data: FederatedData, keys: dict[str, Any]
) -> None:
    """Python's `if` on a tensor needs autograph, which our own optimizers are exempt from."""
    ours = measure(data, client_optimizer={**of("choosy"), **keys}, execution="standard")
    assert_close(ours, reference(data, sgd(data)))


@pytest.mark.parametrize(
    "side",
    [
        "client_optimizer",
        "server_optimizer",
        pytest.param("reconstruction_optimizer", marks=pytest.mark.slow),
    ],
)
def test_the_optimizer_that_keeps_clients_from_being_packed_is_named(
    data: FederatedData, side: str
) -> None:
    """And not the model, which can be packed."""
    asked: Any = {**BASE, side: of("choosy"), "execution": "auto"}
    if side == "reconstruction_optimizer":
        asked = {
            **BASE,
            "execution": "auto",
            "algorithm": {"kind": "fed_recon", side: of("choosy")},
        }
    trainer = trainer_for(MODEL, Training.model_validate(asked), data, COHORT)
    said = f"TFF cannot pack clients with this {side.replace('_', ' ')} ("
    assert str(trainer.execution).startswith(f"standard ({said}"), trainer.execution
    asked["execution"] = "packed"
    with pytest.raises(ModelError, match=f"packed is not possible: {said[:-2]}: Operator"):
        trainer_for(MODEL, Training.model_validate(asked), data, COHORT)


@pytest.mark.parametrize("side", ["client_optimizer", "server_optimizer"])
@pytest.mark.parametrize("execution", ["auto", "standard"])
def test_an_optimizer_that_tff_cannot_train_with_is_named(
    data: FederatedData, side: str, execution: str
) -> None:
    said = rf"^training\.{side}: TFF cannot train with it by fedavg: .*line \d+ of .*fed_parts\.py"
    with pytest.raises(ModelError, match=said):
        measure(data, **{side: of("crashing"), "execution": execution})


@pytest.mark.parametrize("execution", ["auto", "packed"])
def test_a_factory_that_takes_no_changes_is_named(data: FederatedData, execution: str) -> None:
    said = {
        "auto": "training.aggregator: TFF cannot train with it by fedavg: TypeError: takes 4 tenso",
        "packed": "packed is not possible: TFF cannot pack clients with this aggregator: TypeErro",
    }
    with pytest.raises(ModelError, match=said[execution]):
        measure(data, aggregator=of("not_floats"), execution=execution)


def test_such_an_optimizer_may_be_mimes(data: FederatedData) -> None:
    """Whose server takes steps of the client optimizer, too."""
    keys: dict[str, Any] = {"algorithm": "mime", "execution": "standard"}
    plain = {"kind": "sgd", "learning_rate": RATE}
    ours = measure(data, client_optimizer=of("choosy"), **keys)
    assert_close(ours, measure(data, client_optimizer=plain, **keys))


def test_an_optimizer_without_a_rate_cannot_have_a_schedule(data: FederatedData) -> None:
    keys = {"client_optimizer": of("stateless"), "execution": "packed"}
    assert RATE == 0.1
    assert_close(measure(data, **keys), reference(data, sgd(data)))
    for side in ("client_optimizer", "server_optimizer"):
        scheduled: Any = {side: {**of("stateless"), "schedule": "inverse_sqrt"}}
        with pytest.raises(ModelError, match=rf"training\.{side}: has no learning rate in"):
            measure(data, **scheduled)


@pytest.mark.parametrize("key", ["aggregator", "server_optimizer"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", r"tff.*: fed_parts:broken raised KeyError: 'no' \(line 70 of .*fed_parts\.py"),
        ("nothing", r"tff.*: fed_parts:nothing gave NoneType, not a.* tff\."),
        ("other", r"tff.*: the module 'fed_parts' has no function 'other'"),
    ],
)
def test_a_wrong_function_of_the_user_is_named(
    data: FederatedData, key: str, name: str, said: str
) -> None:
    keys: dict[str, Any] = {key: of(name)}
    with pytest.raises(ModelError, match=said):
        measure(data, **keys)
