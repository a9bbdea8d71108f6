"""A TFF worker in the foreground, for pytest-federated on other machines."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from typing import Any, Optional

from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.tff.health import no_answer, open_channel, ping
from pytest_federated.tff.worker import READY_SECONDS, command, ending, environment


def serve(port: int, threads: Optional[int] = None) -> None:
    """Runs a worker until SIGINT or SIGTERM, and says in one line when it is ready.

    It listens on all of the machine's addresses: TFF's binary has no option for that.

    Args:
        port: to listen on, from 1 to 65535.
        threads: limits its compute threads; None leaves it all cores.

    Raises:
        RuntimeUnavailable: TFF is missing, the port is taken, or the worker ended by itself.

    """
    _require_free_port(port)
    signal.signal(signal.SIGTERM, _stop)
    process = subprocess.Popen(
        command(port),
        env=environment(threads),
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process, which then ends it
    )
    try:
        _await_ready(process, port)
        print(f"TFF worker ready on port {port} of all addresses of this machine", flush=True)
        process.wait()
    except KeyboardInterrupt:
        return
    finally:
        process.kill()
        process.wait()
    raise RuntimeUnavailable(f"TFF's worker process died ({ending(process.returncode)})")


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def _require_free_port(port: int) -> None:
    """Checks the port: gRPC servers share ports, and each would get some of the other's calls."""
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise RuntimeUnavailable(
            f"port {port} cannot be used: {os.strerror(error.errno or 0)}"
        ) from error


def _await_ready(process: subprocess.Popen[bytes], port: int) -> None:
    channel = open_channel(f"localhost:{port}")
    with contextlib.closing(channel):
        reply = ping(channel, READY_SECONDS)
        while not reply.done():
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout=0.1)
                raise RuntimeUnavailable(f"TFF's worker process did not start ({ending(code)})")
        if reason := no_answer(reply, READY_SECONDS):
            raise RuntimeUnavailable(f"TFF's worker process did not start: {reason}")
