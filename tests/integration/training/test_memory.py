"""A session of many models releases the old ones, here and in TFF's worker."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from pytest_federated import Scenario, run
from pytest_federated.tff import calls, context
from pytest_federated.training.engine import build
from pytest_federated.training.history import TrainingHistory

pytestmark = pytest.mark.usefixtures("worker")


def trained(hidden: int, execution: str, rate: float = 0.1, **training: Any) -> TrainingHistory:
    settings = {
        "name": "s",
        "data": {"dataset": "digits"},
        "clients": {"count": 2},
        "model": {"kind": "mlp", "hidden": [hidden]},
        "training": {
            "rounds": 1,
            "execution": execution,
            "client_optimizer": {"kind": "sgd", "learning_rate": rate},
            **training,
        },
    }
    return run(Scenario.model_validate(settings)).histories[0]


def graphs() -> list[Any]:
    """Returns the graphs of TensorFlow's functions that there are."""
    kinds = "FuncGraph", "WhileBodyFuncGraph", "WhileCondFuncGraph"
    return [one for one in gc.get_objects() if type(one).__name__ in kinds]


@pytest.mark.parametrize("execution", ["packed", pytest.param("standard", marks=pytest.mark.slow)])
def test_the_oldest_models_are_released(monkeypatch: pytest.MonkeyPatch, execution: str) -> None:
    monkeypatch.setattr(build, "_MAX_TRAINERS", 2)
    build._trainers.clear()
    first = trained(2, execution)
    (trainer,) = build._trainers.values()
    kept: Any = trainer.adapter
    model = weakref.ref(kept.model)
    del trainer, kept
    trained(3, execution)
    assert model() is not None
    trained(4, execution)
    assert model() is None and len(build._trainers) == 2
    assert trained(2, execution) == first, "though it is built again"


@pytest.mark.parametrize("execution", ["packed", pytest.param("standard", marks=pytest.mark.slow)])
def test_trainings_keep_no_graph_that_they_were_built_in(execution: str) -> None:
    """TensorFlow has the functions of a model keep each graph that they are called in."""
    build._trainers.clear()
    gc.collect()
    before = {id(graph) for graph in graphs()}
    for rate in (0.1, 0.2):
        trained(2, execution, rate)
    gc.collect()
    kept = [graph.name for graph in graphs() if id(graph) not in before]
    assert len(build._trainers) == 2
    assert set(kept) <= {"measure", "keras_graph"}, "nothing but what evaluates"


@pytest.mark.slow
def test_models_leave_neither_graphs_nor_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """TFF's secure sums are functions of a module, and keep each graph that they are traced in."""
    import tensorflow as tf

    monkeypatch.setattr(build, "_MAX_TRAINERS", 1)
    build._trainers.clear()
    counts: list[int] = []
    classes: list[int] = []
    for hidden in (2, 3, 4):
        trained(hidden, "standard", aggregator="secure")
        build._trainers.clear()
        build._forget_the_oldest()
        counts.append(len(graphs()))
        classes.append(len(tf.keras.losses.Loss.__subclasses__()))
    assert counts[2] <= counts[1], counts
    assert classes[2] == classes[1], classes


@pytest.fixture
def calling(tff: Any) -> Any:
    """The context of this process's runtime, with no executors."""
    tff.tensorflow.computation(lambda: 1)()  # creates a channel
    calling = context.runtime().start().framework.get_context_stack().current
    calling.forget()
    return calling


@pytest.fixture
def disposed(calling: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The executors that the worker was told to forget, with everything they were sent."""
    asked: list[Any] = []

    def dispose(request: Any, timeout: float) -> None:
        asked.append(request.executor.id)

    monkeypatch.setattr(calling._calls, "DisposeExecutor", dispose)
    return asked


def test_the_worker_forgets_the_oldest_computations(
    tff: Any, calling: Any, disposed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_MAX_SENT", 3)

    def adding(number: int) -> Any:
        return tff.tensorflow.computation(lambda x: x + number, tff.TensorType(np.int32))

    computations = [adding(number) for number in range(8)]
    assert [add(1) for add in computations] == list(range(1, 9))
    (executor,) = calling._executors.values()
    assert len(executor._sent) == 2, "three, three, and the last two"
    assert len(disposed) == 2
    assert computations[0](1) == 1, "it should be sent again"


def test_there_are_no_more_executors_than_needed(
    tff: Any, calling: Any, disposed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one for each number of clients, which dropout changes from round to round."""
    monkeypatch.setattr(calls, "_MAX_EXECUTORS", 2)

    @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
    def total(values: Any) -> Any:
        return tff.federated_sum(values)

    assert [total([1] * clients) for clients in (1, 2, 3, 1, 3)] == [1, 2, 3, 1, 3]
    assert list(calling._executors) == [1, 3]
    assert len(disposed) == 2
