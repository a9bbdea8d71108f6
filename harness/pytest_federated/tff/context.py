"""TFF's execution context over the worker that pytest-federated owns, or over remote ones."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import Any, Optional, Union

from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.tff.calls import calling_context
from pytest_federated.tff.compiler import native
from pytest_federated.tff.imports import import_tff
from pytest_federated.tff.internals import forget_compiled
from pytest_federated.tff.remote import RemoteRuntime
from pytest_federated.tff.worker import LocalWorker

# Before a call is tried again whose connection broke: a worker that died may still seem to run.
_PAUSES = (0.05, 0.5, 2.0)  # seconds


class Runtime:
    """TFF, ready to execute on this machine, by a worker process of its own."""

    addresses: tuple[str, ...] = ()  # of remote workers
    tls: Optional[Path] = None

    def __init__(self, threads: Optional[int] = None) -> None:
        """`threads` limits the worker's compute threads; None leaves it all cores."""
        self.worker = LocalWorker(threads)
        self._stopped = False
        self._context: Any = None

    def start(self) -> Any:
        """Imports TFF, makes this its default context, and returns the module.

        The worker itself starts with the first computation, and again if it died.

        Raises:
            RuntimeUnavailable: TFF is missing or broken.

        """
        tff = import_tff()
        if self._context is None:
            self._context = calling_context(tff, self._connect, native, _PAUSES)
        tff.framework.set_default_context(self._context)
        return tff

    def _connect(self) -> Any:
        """Returns the channel to the worker, which is started if need be.

        Raises:
            RuntimeUnavailable: the runtime was stopped, or the worker died or cannot be started.

        """
        if self._stopped:
            raise RuntimeUnavailable("the TFF runtime was stopped")
        if self.worker.died:
            words = self.worker.last_words()
            self.worker.stop()
            raise RuntimeUnavailable(f"TFF's worker process died{words}")
        if not self.worker.alive:
            self.worker.start()
            if self._stopped:  # meanwhile, by the main thread
                self.worker.stop()
                raise RuntimeUnavailable("the TFF runtime was stopped")
        return self.worker.channel

    def forget_computations(self) -> None:
        """Gives up what was compiled and sent to the worker."""
        if self._context is not None:
            self._context.forget()

    def stop(self) -> None:
        """Ends the worker for good; computations still under way fail."""
        self._stopped = True
        self.worker.stop()


_runtime: Union[Runtime, RemoteRuntime, None] = None
# In a copy of a process in which TFF ran: the runtime of that process, which is still its own.
_of_parent: Union[Runtime, RemoteRuntime, None] = None


def _leave_to_parent() -> None:
    global _runtime, _of_parent
    _runtime, _of_parent = None, _runtime or _of_parent


os.register_at_fork(after_in_child=_leave_to_parent)


def runtime(
    threads: Optional[int] = None, workers: tuple[str, ...] = (), tls: Optional[Path] = None
) -> Union[Runtime, RemoteRuntime]:
    """Returns the runtime of this process: on the remote `workers`, or a local one without any.

    It is created by the first call, and again when `workers`, or `tls`, their key file, change.
    `threads` counts when a local one is created.

    Raises:
        RuntimeUnavailable: this process was forked from one that had a runtime.
    """
    global _runtime
    if _of_parent is not None:
        raise RuntimeUnavailable(
            "this process was forked from one in which TensorFlow ran, and has none of its "
            "threads; start it by multiprocessing.get_context('spawn'), or fork before the first "
            "run"
        )
    tls = tls if workers else None
    if _runtime is not None and (_runtime.addresses, _runtime.tls) != (workers, tls):
        shutdown()
    if _runtime is None:
        _runtime = RemoteRuntime(workers, tls) if workers else Runtime(threads)
        atexit.register(shutdown)
    return _runtime


def forget_computations() -> None:
    """Lets go of the computations that were run, here and in workers; they can be run again."""
    forget_compiled()
    if _runtime is not None:
        _runtime.forget_computations()


def shutdown() -> None:
    """Ends this process's worker, or leaves the remote ones; a later `runtime()` starts again."""
    global _runtime
    ended, _runtime = _runtime, None  # first, so that an interrupt leaves no stopped one behind
    if ended is not None:
        ended.stop()
