"""TFF's workers on other machines: each computes for some of the clients of a round.

Each worker has the same share of the clients in every round. When one is lost, another takes over
its share, in the same round: nothing else changes, so neither do the numbers.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.tff.calls import calling_context, is_of_the_connection
from pytest_federated.tff.compiler import native
from pytest_federated.tff.event_loop import EventLoopThread
from pytest_federated.tff.health import (
    open_channel,
    ping,
    require_answers,
    silent,
    timed_out,
    unreachable,
)
from pytest_federated.tff.imports import import_tff
from pytest_federated.tff.sharding import divided_context

RECONNECT_SECONDS = 5  # for a worker whose connection broke to answer again
_RETURN_SECONDS = 1  # for a worker that was lost to answer when the next training starts
SILENT_SECONDS = 30  # for a worker that computes to answer a ping
_PING_EVERY_SECONDS = 1
_ATTEMPTS = 3
_MAX_COMPILED = 32  # computations remembered, the most recently used


class WorkerLost(UserWarning):
    """A remote worker no longer answers; the others do its work."""


class _Lost(Exception):
    """A worker cannot go on; the message says why."""


class Worker:
    """The connection to one worker, with a thread that waits for it, as TFF's calls block.

    Attributes:
        address: ``host:port``.
        lost: why it is no longer used, or None.

    """

    def __init__(self, tff: Any, address: str, compiler: Any, tls: Optional[Path] = None) -> None:
        """`compiler` turns a computation into the form that TFF's workers execute."""
        self.address, self._tls = address, tls
        self.lost: Optional[str] = None
        self._channel = open_channel(address, tls)
        self._context = calling_context(tff, lambda: self._channel, compiler)
        self._thread = EventLoopThread()

    async def invoke(self, computation: Any, argument: Any) -> Any:
        """Runs a computation.

        Raises:
            _Lost: the worker is gone, does not answer, or fails again and again.

        """
        import grpc

        failed = 0
        while True:
            try:
                return await self._watched(
                    self._thread.await_result(self._invoked(computation, argument))
                )
            except grpc.RpcError as error:
                failed += 1
                # It may have been restarted, or the network was away for a moment.
                reason = await asyncio.to_thread(self._gone)
                if reason is None and not is_of_the_connection(error):
                    raise  # the computation failed, not the worker
                if reason is None and failed == _ATTEMPTS:
                    reason = f"failed {failed} times, at last with {error.code()}"
                if reason:
                    raise _Lost(reason) from error

    async def _invoked(self, computation: Any, argument: Any) -> Any:
        return self._context.invoke(computation, argument)

    async def _watched(self, work: Any) -> Any:
        """Awaits `work`, and pings the worker until it is done.

        A machine that is switched off or cut off closes no connection. gRPC's keepalive does not
        help: servers hang up on clients that ping more often than every five minutes.
        """
        task, reply = asyncio.ensure_future(work), None
        while not (await asyncio.wait({task}, timeout=_PING_EVERY_SECONDS))[0]:
            if reply is not None and timed_out(reply):
                self._channel.close()  # ends the work, with an error that does not matter
                await asyncio.wait({task})
                task.exception()
                raise _Lost(f"no answer within {SILENT_SECONDS:g} s")
            if reply is None or reply.done():
                reply = ping(self._channel, SILENT_SECONDS)
        return task.result()

    def _gone(self) -> Optional[str]:
        reason = unreachable(self._channel, RECONNECT_SECONDS)
        return reason and f"its connection broke, then {reason}"

    def forget_computations(self) -> None:
        """Gives up what was compiled and sent to it."""
        self._context.forget()

    def reconnect(self) -> None:
        """Uses the worker again after it was lost."""
        self.close()
        self._channel, self.lost = open_channel(self.address, self._tls), None

    def close(self) -> None:
        """Frees what the worker keeps for this process, and closes the connection."""
        if self.lost is None:
            self._context.close()
        self._channel.close()


class Workers:
    """The workers of a runtime, in order."""

    def __init__(self, workers: Sequence[Worker], tls: Optional[Path] = None) -> None:
        self._workers, self._tls = tuple(workers), tls

    def __len__(self) -> int:
        return len(self._workers)

    async def invoke(self, position: int, computation: Any, argument: Any) -> Any:
        """Runs a computation on the worker at `position`, or on another if that one is lost.

        Raises:
            RuntimeUnavailable: all are lost.

        """
        while left := self._left():
            worker = self._workers[position]
            if worker.lost:
                worker = left[position % len(left)]
            try:
                return await worker.invoke(computation, argument)
            except _Lost as error:
                self._lose(worker, str(error))
        each = "; ".join(f"{worker.address}: {worker.lost}" for worker in self._workers)
        raise RuntimeUnavailable(f"no remote worker is left ({each})")

    def _left(self) -> list[Worker]:
        return [worker for worker in self._workers if not worker.lost]

    def _lose(self, worker: Worker, reason: str) -> None:
        if worker.lost:  # another share was there too
            return
        worker.lost = reason
        if left := self._left():
            others = ", ".join(other.address for other in left)
            warnings.warn(
                f"the TFF worker at {worker.address} is lost ({reason}): "
                f"its clients go to {others}",
                WorkerLost,
                stacklevel=1,
            )

    def take_back(self) -> None:
        """Uses those lost workers again that answer now."""
        if lost := [worker for worker in self._workers if worker.lost]:
            gone = silent([worker.address for worker in lost], _RETURN_SECONDS, self._tls)
            for worker in lost:
                if worker.address not in gone:
                    worker.reconnect()

    def forget_computations(self) -> None:
        for worker in self._left():
            worker.forget_computations()

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


class RemoteRuntime:
    """TFF, ready to execute on remote workers."""

    def __init__(self, addresses: tuple[str, ...], tls: Optional[Path] = None) -> None:
        """`addresses` as `parse_addresses` returns them; `tls` is the key file that they have."""
        self.addresses, self.tls = addresses, tls
        self._workers: Optional[Workers] = None
        self._context: Any = None

    def start(self) -> Any:
        """Imports TFF, makes the workers its default context, and returns the module.

        The first time, all workers have to answer. Later, lost ones that answer are taken back.

        Raises:
            FederatedError: there is something wrong with the key file.
            RuntimeUnavailable: TFF is missing or broken, or workers do not answer.

        """
        tff = import_tff()
        if self._workers is None:
            require_answers(self.addresses, self.tls)
            compiler = _compiler()
            workers = [Worker(tff, address, compiler, self.tls) for address in self.addresses]
            self._workers = Workers(workers, self.tls)
            self._context = divided_context(tff, self._workers)
        else:
            self._workers.take_back()
        tff.framework.set_default_context(self._context)
        return tff

    def forget_computations(self) -> None:
        """Gives up what was compiled and sent to the workers."""
        if self._workers is not None:
            self._workers.forget_computations()

    def stop(self) -> None:
        """Leaves the workers, which run on; computations still under way fail."""
        if self._workers is not None:
            self._workers.close()


def _compiler() -> Any:
    """Returns TFF's compiler for all workers: once per computation, in one thread at a time."""
    remembered = functools.lru_cache(_MAX_COMPILED)(native)
    lock = threading.Lock()

    def compile_once(computation: Any) -> Any:
        with lock:
            return remembered(computation)

    return compile_once
