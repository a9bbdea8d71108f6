"""TFF's local worker process, owned by pytest-federated.

TFF itself starts the same binary, but hands it the terminal and does not end it with Python, so
that a piped pytest never returns. Here the worker writes to a file of its own, is ended by
`stop`, and is ended by the kernel when this process is gone, however it went. Nobody else can
connect to it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
import warnings
from typing import IO, Any, Callable, Optional

from pytest_federated.core.cores import cores
from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.core.parent import ending_with_this
from pytest_federated.tff.calls import CHANNEL_OPTIONS
from pytest_federated.tff.imports import log_level, missing
from pytest_federated.tff.internals import worker_binary
from pytest_federated.tff.port import WorkerPort, has_other_addresses

READY_SECONDS = 60
_CHANNEL_OPTIONS = [*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0)]


class OpenPort(UserWarning):
    """Others can connect to TFF's worker on this machine."""


class LocalWorker:
    """One worker process, and the channel to it."""

    def __init__(self, threads: Optional[int] = None) -> None:
        """`threads` limits the worker's compute threads; None leaves it all cores."""
        self._threads = threads
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._log: Optional[IO[bytes]] = None
        self._port: Optional[WorkerPort] = None
        self._follow: Optional[Callable[[Any], None]] = None
        self.channel: Any = None

    @property
    def pid(self) -> Optional[int]:
        """Process id of the running worker, None when it does not run."""
        return self._process.pid if self.alive and self._process else None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def died(self) -> bool:
        """Whether the process was started and ended by itself, not by `stop`."""
        return self._process is not None and not self.alive

    def start(self) -> None:
        """Starts the process and waits until it answers.

        Raises:
            RuntimeUnavailable: the binary is missing, ends at once, or does not answer.

        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        import grpc

        self._port = port = WorkerPort()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the worker
        self._spawn(
            command(port.number, self._threads), environment(self._threads), port.inherited()
        )
        deadline = time.monotonic() + READY_SECONDS
        self._wait_until(port.answers, deadline)

        host, connected = port.admit(), threading.Event()

        def follow(state: grpc.ChannelConnectivity) -> None:
            """Shuts the port while we are connected; a broken connection is made again."""
            with contextlib.suppress(OSError):  # it was closed meanwhile
                if state is grpc.ChannelConnectivity.READY:
                    port.shut()
                    connected.set()
                else:
                    port.admit(host)

        self._follow = follow
        self.channel = grpc.insecure_channel(f"ipv4:{host}:{port.number}", _CHANNEL_OPTIONS)
        self.channel.subscribe(follow, try_to_connect=True)
        self._wait_until(lambda: connected.wait(0.2), deadline)
        if not (port.is_private and port.is_shut()) and has_other_addresses():
            warnings.warn(
                f"anybody who reaches port {port.number} of this machine can use TFF's worker, "
                "which asks for no password: this system cannot keep them out (docs/security.md)",
                OpenPort,
                stacklevel=1,
            )

    def _wait_until(self, holds: Callable[[], bool], deadline: float) -> None:
        while not holds():
            if not self.alive or time.monotonic() > deadline:
                raise RuntimeUnavailable(f"TFF's worker process did not start{self.last_words()}")
            time.sleep(0.01)

    def _spawn(self, command: list[str], environment: dict[str, str], inherited: list[int]) -> None:
        """Starts the process, with these descriptors, from a thread that lives as long as it does.

        The kernel's parent-death signal is sent when the *thread* that forked ends; the caller's
        thread may end long before the worker should.
        """
        started = threading.Event()
        failures: list[OSError] = []

        def keep() -> None:
            try:
                # Here, and not by the caller's thread, which an interrupt may keep from it.
                self._process = process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=self._log,
                    env=environment,
                    pass_fds=inherited,
                    start_new_session=True,  # Ctrl-C is for pytest, which then ends the worker
                )
            except OSError as error:
                failures.append(error)
                started.set()
                return
            started.set()
            process.wait()

        threading.Thread(target=keep, name="tff-worker-keeper", daemon=True).start()
        started.wait()
        if failures:
            raise RuntimeUnavailable(f"TFF's worker process did not start: {failures[0]}")

    def last_words(self) -> str:
        """Returns how the worker ended and its last output, for an error message."""
        code = self._process.poll() if self._process else None
        how = "" if code is None else f" ({ending(code)})"
        if self._log is None:
            return how
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()[-5:]
        return how + "".join(f"\n    {line}" for line in lines)

    def stop(self) -> None:
        """Kills the process, which has nothing to save, and waits until it is gone."""
        if self.channel is not None and self._follow is not None:
            # Otherwise gRPC's thread that calls it may ask a channel that is closed.
            self.channel.unsubscribe(self._follow)
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        if self._port is not None:
            self._port.close()
            self._port = None
        if self._log is not None:
            self._log.close()
            self._log = None


def ending(code: int) -> str:
    """Returns how a process ended, from its return code."""
    return f"ended by signal {-code}" if code < 0 else f"exit code {code}"


def command(port: int, threads: Optional[int]) -> list[str]:
    """Returns the command line of a worker that listens on `port` and ends with this process.

    It computes for as many clients at once as it has compute threads: `threads`, or all cores. TFF
    prepares each computation anew for every client that computes at the same time, by default four
    for each core, and keeps what it has prepared.

    Raises:
        RuntimeUnavailable: TFF is missing, or its binary is.

    """
    if reason := missing():
        raise RuntimeUnavailable(reason)
    binary = worker_binary()
    assert binary is not None
    if not binary.is_file():
        raise RuntimeUnavailable(
            f"tensorflow-federated is incomplete: {binary} is missing; reinstall it"
        )
    at_once = threads or cores()
    return ending_with_this(
        [str(binary), f"--port={port}", f"--max_concurrent_computation_calls={at_once}"]
    )


def environment(threads: Optional[int]) -> dict[str, str]:
    """Returns the environment variables of a worker with so many compute `threads`.

    Variables that the user has set stay as they are, except for that of messages.
    """
    return {
        # Heaps of glibc, by default up to eight for each core. Each keeps the most that it ever
        # needed, so over many models the worker would grow although it holds no more. With one for
        # each core two threads that compute may get the same, and wait for each other.
        "MALLOC_ARENA_MAX": str(2 * (threads or cores())),
        # A call computes in the thread that it came in by. Otherwise TensorFlow hands each graph to
        # threads of its own, which takes a tenth to a third of the time of a small round.
        "TF_NUM_INTEROP_THREADS": "-1",
        # Nor is an operation divided among threads: they train other clients, and the rounding of
        # a convolution's gradient would depend on their number.
        "TF_NUM_INTRAOP_THREADS": "1",
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": log_level(),
    }
