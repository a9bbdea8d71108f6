"""Workers that tests serve, and trainings on them."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

import numpy as np
import portpicker
from example_data import federation, training_with
from forked_programs import environment
from processes import is_running, wait_until, worker_pids
from pytest_federated.clients.participation import Participation
from pytest_federated.core import parent
from pytest_federated.tff.context import runtime
from pytest_federated.training.loop import steps
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training


class Served:
    """A `pytest-federated worker`, which ends with the tests, however they end."""

    def __init__(self, port: Optional[int] = None, *more: str, tls: Optional[Path] = None) -> None:
        self.tls = tls
        self.port = port or portpicker.pick_unused_port()
        self.address = f"localhost:{self.port}"
        serve = [
            sys.executable,
            "-m",
            "pytest_federated",
            "worker",
            "--port",
            str(self.port),
            *more,
            *(["--tls", str(tls)] if tls else []),
        ]
        self.process = subprocess.Popen(
            [sys.executable, str(parent.__file__), str(os.getpid()), *serve],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def ready(self) -> Served:
        assert self.process.stdout
        self.said = self.process.stdout.readline()
        assert self.said, self.process.communicate()
        (self.worker,) = worker_pids(self.process.pid)
        return self

    def send(self, sent: signal.Signals) -> None:
        """Sends a signal to the worker itself."""
        os.kill(self.worker, sent)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def while_it_computes(self, do: Callable[[], None]) -> None:
        """Calls `do` from another thread, in the middle of the worker's next computation."""
        before = self.cpu_seconds()

        def watch() -> None:
            assert wait_until(lambda: self.cpu_seconds() > before + 0.1)
            do()

        threading.Thread(target=watch, daemon=True).start()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        assert wait_until(lambda: not is_running(self.worker))


def serve(count: int) -> list[Served]:
    return [served.ready() for served in [Served() for _ in range(count)]]


def train(
    workers: Sequence[Served],
    execution: str,
    *,
    after_round_1: Callable[[], None] = lambda: None,
    participation: Participation = Participation(),  # noqa: B008  # frozen
    **training: object,
) -> list[np.ndarray]:
    """Returns the server's state, and the clients' if any, after three rounds of thirteen."""
    key_file = workers[0].tls if workers else None
    runtime(workers=tuple(w.address for w in workers), tls=key_file).start()
    data = federation([30, 7, 1, *[20] * 10], 3)
    model = models.parse({"kind": "mlp", "hidden": [16]})
    settings = Training.model_validate({"rounds": 3, "execution": execution, **training})
    last = None
    for last in steps(data, model, settings, 13, 1, participation=participation):
        if last.round.round == 1:
            after_round_1()
    assert last
    import tensorflow as tf

    return [np.asarray(leaf) for leaf in tf.nest.flatten(last.state)]


def assert_same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other):
        np.testing.assert_array_equal(a, b)


def assert_close(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other):
        if a.dtype.kind in "SO":  # names in the state, such as those of privacy's events
            assert a.tolist() == b.tolist()
        else:
            np.testing.assert_allclose(a, b, rtol=0, atol=5e-6)


@functools.cache
def local(execution: str, name: str = "fedavg") -> list[np.ndarray]:
    """Returns the result of the worker that our own process starts."""
    return train([], execution, **training_with(name))
