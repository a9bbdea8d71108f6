"""`run` in programs: in threads, after a fork, and in an event loop, as a notebook has it."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest
from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.scenario.schema import Scenario

pytestmark = pytest.mark.usefixtures("running")

SCENARIO = {
    "name": "program",
    "data": {"dataset": "digits"},
    "clients": {"count": 3},
    "training": {"rounds": 2},
}
MODELS: list[Any] = [
    "linear",
    {"kind": "mlp", "hidden": [7]},
    {"keras": "zoo:operators_with_dropout"},
]


def figures(model: Any) -> Any:
    scenario = Scenario.model_validate({**SCENARIO, "model": model})
    result = run(scenario, Options())
    return result.histories[0].model_dump(mode="json")


def test_calls_from_threads_give_what_they_give_one_after_the_other() -> None:
    expected = [figures(model) for model in MODELS]
    results: dict[int, Any] = {}
    begin = threading.Barrier(6)

    def call(number: int) -> None:
        begin.wait()
        results[number] = figures(MODELS[number % 3])

    threads = [threading.Thread(target=call, args=[n]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results.get(n) for n in range(6)] == expected * 2


def in_a_fork(call: Any) -> str:
    """What the call raises in a forked copy of this process, which has 60 seconds."""
    end, begin = os.pipe()
    pid = os.fork()
    if not pid:
        text = "nothing was raised"
        try:
            threading.Timer(60, os._exit, [1]).start()
            call()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(begin, text.encode())
        os._exit(0)
    os.close(begin)
    with os.fdopen(end) as written:
        text = written.read()
    os.waitpid(pid, 0)
    return text


def test_a_run_after_a_fork_is_an_error_and_leaves_the_parent_alone() -> None:
    before = figures("linear")
    text = in_a_fork(lambda: figures("linear"))
    assert text.startswith(f"{RuntimeUnavailable.__name__}: this process was forked from one in")
    assert figures("linear") == before


def test_a_fork_while_another_thread_runs_is_an_error_too() -> None:
    import pytest_federated.running.pipeline as pipeline

    figures("linear")
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with pipeline._one_at_a_time:
            taken.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    try:
        text = in_a_fork(lambda: figures("linear"))
    finally:
        done.set()
        holder.join()
    assert "was forked from one in which TensorFlow ran" in text


def test_a_run_in_an_event_loop() -> None:
    """A notebook's cells run in one: directly, and by `asyncio.to_thread` beside others."""
    expected = figures("linear")

    async def cells() -> list[Any]:
        directly = figures("linear")
        beside = await asyncio.gather(*(asyncio.to_thread(figures, "linear") for _ in range(2)))
        return [directly, *beside]

    assert asyncio.run(cells()) == [expected] * 3
