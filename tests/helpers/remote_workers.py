"""Workers for tests, each a `pytest-federated worker` of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable, Optional

import portpicker
from forked_programs import environment
from processes import is_running, wait_until, worker_pids
from pytest_federated.tff import launch


class Served:
    """A `pytest-federated worker`, which ends with these tests however they end."""

    def __init__(self, port: Optional[int] = None, *more: str) -> None:
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
        ]
        self.process = subprocess.Popen(
            [sys.executable, str(launch.__file__), str(os.getpid()), *serve],
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
        """To the worker itself."""
        os.kill(self.worker, sent)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def while_it_computes(self, do: Callable[[], None]) -> None:
        """Does it in the middle of the worker's next computation, from another thread."""
        before = self.cpu_seconds()

        def watch() -> None:
            assert wait_until(lambda: self.cpu_seconds() > before + 0.1)
            do()

        threading.Thread(target=watch, daemon=True).start()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        assert wait_until(lambda: not is_running(self.worker), 5)


def serve(count: int) -> list[Served]:
    return [served.ready() for served in [Served() for _ in range(count)]]
