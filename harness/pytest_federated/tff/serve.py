"""A TFF worker in the foreground, for pytest-federated on other machines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Optional

from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.tff.event_loop import EventLoopThread
from pytest_federated.tff.port import WorkerPort
from pytest_federated.tff.tls import create_key_file, is_made_out_to_us, server_context
from pytest_federated.tff.worker import READY_SECONDS, command, ending, environment

_HANDSHAKE_SECONDS = 10
_BUFFER_BYTES = 1 << 20


def serve(
    port: int,
    threads: Optional[int] = None,
    *,
    tls: Optional[Path] = None,
    insecure: bool = False,
) -> None:
    """Runs a worker until SIGINT or SIGTERM, and says in one line when it is ready.

    It can be reached from this machine only, unless `tls` or `insecure` says otherwise.

    Args:
        port: to listen on, from 1 to 65535.
        threads: limits its compute threads; None leaves it all cores.
        tls: key file, which is made if it does not exist: all machines that have it can connect.
        insecure: whether all machines can connect without any.

    Raises:
        FederatedError: there is something wrong with the key file.
        RuntimeUnavailable: TFF is missing, the port is taken, the worker ended by itself, or this
            system cannot keep others from it.

    """
    signal.signal(signal.SIGTERM, _stop)
    held = _held(0 if tls else port)
    gate = _Gate(tls, port, held) if tls else None
    if insecure:
        held.give_up()
    elif not held.is_private:
        raise RuntimeUnavailable(
            "this system cannot keep others from TFF's worker, which asks for no password "
            "(docs/security.md); --insecure starts it all the same"
        )
    process = subprocess.Popen(
        command(held.number, threads),
        env=environment(threads),
        stdin=subprocess.DEVNULL,
        pass_fds=held.inherited(),
        start_new_session=True,  # Ctrl-C is for this process, which then ends it
    )
    try:
        _await_ready(process, held)
        if gate:
            gate.open()
            where = f"all addresses of this machine, for those who have {tls}"
        elif insecure:
            where = "all addresses of this machine, for everybody"
        else:
            held.admit_loopback()
            where = "localhost, for this machine only"
        print(f"TFF worker ready on port {port} of {where}", flush=True)
        process.wait()
    except KeyboardInterrupt:
        return
    finally:
        process.kill()
        process.wait()
    raise RuntimeUnavailable(f"TFF's worker process died ({ending(process.returncode)})")


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def _held(port: int) -> WorkerPort:
    try:
        return WorkerPort(port)
    except OSError as error:
        raise _taken(port, error) from error


def _taken(port: int, error: OSError) -> RuntimeUnavailable:
    reason = os.strerror(error.errno or 0)
    return RuntimeUnavailable(f"port {port} cannot be used: {reason}")


def _await_ready(process: subprocess.Popen[bytes], port: WorkerPort) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not port.answers():
        if process.poll() is not None:
            how = ending(process.returncode)
            raise RuntimeUnavailable(f"TFF's worker process did not start ({how})")
        if time.monotonic() > deadline:
            raise RuntimeUnavailable(
                f"TFF's worker process did not start: no answer within {READY_SECONDS} s"
            )
        time.sleep(0.01)


class _Gate:
    """Passes what is sent to a port on to the worker, from those who have the key file."""

    def __init__(self, key_file: Path, port: int, worker: WorkerPort) -> None:
        """Takes the port, and accepts connections once it is opened."""
        self._worker = worker
        if not key_file.exists():
            create_key_file(key_file)
            print(f"made {key_file}: have a copy wherever pytest runs, and keep it secret")
        self._context = server_context(key_file)
        self._thread = EventLoopThread()
        try:
            self._server = self._thread.run(self._bind(port))
        except OSError as error:
            raise _taken(port, error) from error

    def open(self) -> None:
        self._thread.run(self._server.start_serving())

    async def _bind(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(
            self._serve,
            None,
            port,
            ssl=self._context,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            limit=_BUFFER_BYTES,
            start_serving=False,
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection, whose certificate was checked."""
        writers, tasks = [writer], []
        try:
            if not is_made_out_to_us(writer.get_extra_info("peercert")):
                return
            answers, requests = await asyncio.open_connection(
                sock=self._worker.connect(), limit=_BUFFER_BYTES
            )
            writers.append(requests)
            ways = (_pass_on(reader, requests), _pass_on(answers, writer))
            tasks = [asyncio.ensure_future(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:  # the worker does not answer
            return
        finally:
            for task in tasks:
                task.cancel()
            for end in writers:
                end.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Returns when either side has closed its connection, or it broke."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_BUFFER_BYTES):
            writer.write(data)
            await writer.drain()
