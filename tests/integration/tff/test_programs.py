"""`run` in programs: in threads, after a fork, and in an event loop, as a notebook has it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest
from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.engine import build

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
    build._trainers.clear()  # so that the threads make theirs at the same time
    results: dict[int, Any] = {}
    begin = threading.Barrier(6, timeout=60)

    def call(number: int) -> None:
        begin.wait()
        results[number] = figures(MODELS[number % 3])

    threads = [threading.Thread(target=call, args=[n], daemon=True) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(150)
    expected = [figures(model) for model in MODELS]
    assert [results.get(n) for n in range(6)] == expected * 2


FORK = """
import os, threading
from pytest_federated import Options, Scenario, run

def call():
    run(Scenario.model_validate(SCENARIO), Options())

def fork_and_call():
    child = os.fork()
    if not child:
        threading.Timer(60, os._exit, [1]).start()
        try:
            call()
            print("nothing was raised", flush=True)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)

call()
for _ in range(12):
    fork_and_call()
"""


@pytest.mark.slow
def test_a_run_in_a_fork_is_an_error_and_never_a_crash() -> None:
    """In a program of its own, as forks copy all that the other tests have started."""
    scenario = {**SCENARIO, "model": "linear"}
    program = FORK.replace("SCENARIO", repr(scenario))
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=150
    ).stdout
    lines = output.splitlines()
    assert set(lines[1::2]) == {"0"} and len(lines) == 24
    for line in lines[::2]:
        assert line.startswith(f"{RuntimeUnavailable.__name__}: this process was forked from one")


def test_a_run_in_an_event_loop() -> None:
    """A notebook's cells run in one: directly, and by `asyncio.to_thread` beside others."""
    expected = figures("linear")

    async def cells() -> list[Any]:
        directly = figures("linear")
        beside = await asyncio.gather(*(asyncio.to_thread(figures, "linear") for _ in range(2)))
        return [directly, *beside]

    assert asyncio.run(cells()) == [expected] * 3
