"""Measures what the processor time of a session of scenarios goes to, part by part.

Run: ``uv run python benchmarks/parts.py [files or folders of scenarios] [options of pytest]``; by
default it measures the shipped scenarios. Prints a Markdown table. Everything runs in one process
(``-n0``) and without a cache. A part is a function and what it calls; its time is that of the
thread that it runs in, so that waiting for the worker counts nothing.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import resource
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable

import pytest
from tabulate import tabulate

ROOT = Path(__file__).parent.parent
# What is measured, and the functions: the module, and the name in it. None of them calls another.
_PARTS = {
    "data sets and splits": [("running.pipeline", "federate")],
    "models and TFF's processes are built": [("training.loop", "trainer_for")],
    "initial weights and states": [("training.engine.build", "Trainer.initial_state")],
    "TFF's compiler": [("tff.compiler", "native")],
    "cohorts and their examples": [
        ("training.loop", "cohort_of_round"),
        ("training.engine.stacks", "arguments"),
        ("training.engine.standard", "arguments"),
    ],
    "evaluation after rounds": [("training.engine.build", "Trainer.evaluate")],
    "final figures of clients and labels": [("training.loop", "_final_figures")],
    "report": [("plugin.session", "FederatedSession._finish")],
    "values written, sent, and read": [("tff.calls", "Executor.call")],
}


class Clock:
    """The processor seconds of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._inside = threading.local()
        self._collecting = 0.0

    def measure(self, part: str, module: str, name: str) -> None:
        """Replaces a function, wherever it was imported, by one whose time counts for the part."""
        owner: Any = importlib.import_module(module)
        *within, name = name.split(".")
        for one in within:
            owner = getattr(owner, one)
        plain = getattr(owner, name)
        timed = self._timed(part, plain)
        setattr(owner, name, timed)
        for other in [] if isinstance(owner, type) else list(sys.modules.values()):
            if getattr(other, "__dict__", {}).get(name) is plain:
                setattr(other, name, timed)

    def _timed(self, part: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(plain)
        def timed(*arguments: Any, **keywords: Any) -> Any:
            if getattr(self._inside, "part", None):  # such as a value inside of a value
                return plain(*arguments, **keywords)
            self._inside.part, begin = part, time.thread_time()
            try:
                return plain(*arguments, **keywords)
            finally:
                self._inside.part = None
                self.calls[part] += 1
                self.seconds[part] += time.thread_time() - begin

        return timed

    def collected(self, phase: str, _: object) -> None:
        """Is called as the garbage collector begins and ends."""
        if phase == "start":
            self._collecting = time.thread_time()
        elif not getattr(self._inside, "part", None):
            self.calls["garbage collector, outside of these"] += 1
            spent = time.thread_time() - self._collecting
            self.seconds["garbage collector, outside of these"] += spent


class Plugin:
    """Begins to measure once pytest has collected the scenarios."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        from pytest_federated.tff.imports import import_tff

        begin = time.process_time()
        import_tff()
        self._clock.seconds["import of TensorFlow and TFF"] = time.process_time() - begin
        self._clock.calls["import of TensorFlow and TFF"] = 1
        for part, functions in _PARTS.items():
            for module, name in functions:
                self._clock.measure(part, f"pytest_federated.{module}", name)
        gc.callbacks.append(self._clock.collected)


def main() -> None:
    clock, arguments = Clock(), sys.argv[1:]
    if not any(Path(one.partition("::")[0]).exists() for one in arguments):
        arguments.append(str(ROOT / "scenarios"))
    options = ["-n0", "-q", "--fed-no-cache", "-p", "no:cacheprovider"]
    code = pytest.main([*options, *arguments], plugins=[Plugin(clock)])
    if code:
        raise SystemExit(code)
    own, worker = (
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    rest = own - sum(clock.seconds.values())
    rows = [[part, f"{clock.calls[part]:,}", s] for part, s in clock.seconds.items()]
    rows.sort(key=lambda row: -row[2])
    rows += [["everything else in this process", "", rest], ["TFF's worker", "", worker]]
    total = own + worker
    table = [[part, calls, f"{s:.1f}", f"{s / total:.1%}"] for part, calls, s in rows]
    table.append(["together", "", f"{total:.1f}", ""])
    heads = ["part", "calls", "processor time, s", "share"]
    print(tabulate(table, heads, tablefmt="github", disable_numparse=True))
    os._exit(0)  # TFF's own end of the process prints an error that means nothing


if __name__ == "__main__":
    main()
