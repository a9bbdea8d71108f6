"""Programs that start with TensorFlow Federated, pytest and our plugin already imported.

Importing them takes 8 to 12 seconds, most of a short pytest run. So one process imports them, does
nothing else with them, and forks for each program. Only an import may come before a fork: once
TensorFlow computes, its threads run, and a forked copy has none of them.

A program is a process like any other, with its own pid, environment, output and signals. But all
copies share a hash seed, and none shows what the import writes. Tests of these two things start a
Python of their own.

As a script, this file is the server: ``forked_programs.py FILE_DESCRIPTOR``.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Optional

_OF_PYTEST = (
    "pytest",
    "pytest_federated.plugin.hooks",
    "pytest_federated.plugin.collection",
    "pytest_federated.plugin.execution",
)


def environment() -> dict[str, str]:
    """Returns an environment for subprocesses that are no workers of this pytest run."""
    kept = "PYTEST_ADDOPTS"  # tests/conftest.py sets it
    return {k: v for k, v in os.environ.items() if k == kept or not k.startswith("PYTEST_")}


class Program:
    """``python -m MODULE ARGUMENT...`` in a folder, used like a `subprocess.Popen`.

    Both output streams go into one pipe, or nowhere if `discard` is true.
    """

    def __init__(self, module: str, *arguments: str, cwd: Path, discard: bool = False) -> None:
        assert allowed, "a test that starts such programs uses the fixture tff_programs"
        self._output, written = os.pipe()
        if discard:
            os.close(written)
            written = os.open(os.devnull, os.O_WRONLY)
        self._reply, theirs = socket.socketpair()
        wanted = {
            "argv": [module, *arguments],
            "cwd": str(cwd),
            "environ": environment(),
        }
        socket.send_fds(_server(), [json.dumps(wanted).encode()], [written, theirs.fileno()])
        os.close(written)
        theirs.close()
        self._replies = self._reply.makefile()
        self._reply.settimeout(150)  # the first one waits for the import
        pid = self._replies.readline()
        assert pid, "the server could not import TFF; its error is above"
        self.pid = int(pid)
        self.returncode: Optional[int] = None
        _started.append(self)

    def send_signal(self, sent: signal.Signals) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(self.pid, sent)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 150) -> int:
        """Returns the exit code, or minus the signal that ended the program.

        Raises:
            TimeoutError: it still runs.

        """
        if self.returncode is None:
            self._reply.settimeout(timeout)
            status = os.waitstatus_to_exitcode(int(self._replies.readline()))
            self._replies.close()
            self._reply.close()
            self.returncode = status
        return self.returncode

    def communicate(self, timeout: float = 150) -> str:
        """Returns all output, once the program has ended and nobody holds the pipe.

        Raises:
            TimeoutError: it, or a process that it left behind, still runs.

        """
        end = time.monotonic() + timeout
        parts: list[bytes] = []
        while not parts or parts[-1]:
            if not select.select([self._output], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(b"".join(parts).decode())
            parts.append(os.read(self._output, 1 << 16))
        os.close(self._output)
        self.wait(max(1, end - time.monotonic()))
        return b"".join(parts).decode()


_started: list[Program] = []
allowed = False  # whether the running test has the marker tff; tests/conftest.py sets it


@functools.cache
def _server() -> socket.socket:
    """Returns a socket to the server of this process, which ends with it."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        env={**environment(), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    theirs.close()

    def end() -> None:
        for program in _started:
            program.kill()  # if a failed test has left it running
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _wanted(channel: socket.socket) -> Optional[tuple[dict[str, Any], int]]:
    """Returns a request to the server and the file descriptor for its output.

    It returns once in each copy, which then becomes the program, and returns None in the server
    when nobody can ask any more. A process between the two waits for the program and reports how it
    ended.
    """
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 1 << 20, 2)
        if not message:
            return None
        output, reply = descriptors
        if os.fork():
            os.close(output)
            os.close(reply)
            continue
        channel.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if pid := os.fork():
            os.close(output)
            os.write(reply, f"{pid}\n".encode())
            _, status = os.waitpid(pid, 0)
            with contextlib.suppress(BrokenPipeError):  # nobody asks
                os.write(reply, f"{status}\n".encode())
            os._exit(0)
        os.close(reply)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return json.loads(message), output


def _import() -> None:
    """Imports TFF as pytest_federated.tff.imports does, and then what each pytest imports."""
    gc.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_federated as tff

    tff.test.set_no_default_context()  # TFF's own has a thread; pytest-federated makes another
    for module in _OF_PYTEST:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a copy would touch, and so copy, all of it
    gc.enable()


def _become(wanted: dict[str, Any], output: int) -> None:
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["environ"])
    sys.path[0] = wanted["cwd"]  # as python -m does
    sys.argv = wanted["argv"]
    runpy.run_module(wanted["argv"][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _import()
    if asked := _wanted(socket.socket(fileno=int(sys.argv[1]))):
        _become(*asked)
    else:
        os._exit(0)  # nothing to clean up
