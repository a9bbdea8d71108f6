"""TFF's execution context over the worker that the harness owns."""

from __future__ import annotations

import atexit
import contextlib
from typing import Any, Optional

from harness.errors import RuntimeUnavailable
from harness.runtime.imports import import_tff
from harness.runtime.worker import LocalWorker


class Runtime:
    """TFF, ready to execute: one for each Python process, started at its first use."""

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
            self._context = _context(tff, self)
        tff.framework.set_default_context(self._context)
        return tff

    def ready_worker(self) -> LocalWorker:
        """The worker, started if need be.

        Raises:
            RuntimeUnavailable: the runtime was stopped, or the worker cannot be started.

        """
        if self._stopped:
            raise RuntimeUnavailable("the TFF runtime was stopped")
        if not self.worker.alive:
            self.worker.start()
        return self.worker

    def stop(self) -> None:
        """Ends the worker for good; computations still under way fail."""
        self._stopped = True
        self.worker.stop()


def _context(tff: Any, runtime: Runtime) -> Any:
    from tensorflow_federated.python.core.backends.native import compiler
    from tensorflow_federated.python.core.environments.tensorflow_frontend import (
        tensorflow_computation,
    )

    class Factory(tff.framework.ExecutorFactory):
        """Executors on the harness's worker, one for each number of clients.

        TFF's own factory retries for ever when its worker is gone; this one says so.
        """

        def __init__(self) -> None:
            self._executors: dict[Any, Any] = {}
            self._pid: Optional[int] = None

        def create_executor(self, cardinalities: Any) -> Any:
            if self._pid is not None and not runtime.worker.alive and not runtime._stopped:
                self._executors.clear()
                self._pid = None
                words = runtime.worker.last_words()
                runtime.worker.stop()
                raise RuntimeUnavailable(f"TFF's worker process died{words}")
            worker = runtime.ready_worker()
            self._pid = worker.pid
            cardinalities = {tff.CLIENTS: 0, **cardinalities}
            key = cardinalities[tff.CLIENTS]
            if key not in self._executors:
                stub = tff.framework.RemoteExecutorGrpcStub(worker.channel)
                executor = tff.framework.RemoteExecutor(stub)
                executor.set_cardinalities(cardinalities)
                self._executors[key] = executor
            return self._executors[key]

        def clean_up_executor(self, cardinalities: Any) -> None:
            executor = self._executors.pop(cardinalities.get(tff.CLIENTS, 0), None)
            if executor is not None:
                with contextlib.suppress(Exception):  # it may be gone with its worker
                    executor.close()

    # As tff.backends.native.create_sync_local_cpp_execution_context, but for the factory.
    return tff.framework.SyncExecutionContext(
        executor_fn=Factory(),
        compiler_fn=compiler.desugar_and_transform_to_native,
        transform_args=tensorflow_computation.transform_args,
        transform_result=tensorflow_computation.transform_result,
    )


_runtime: Optional[Runtime] = None


def runtime(threads: Optional[int] = None) -> Runtime:
    """The runtime of this process; `threads` counts at the first call only."""
    global _runtime
    if _runtime is None:
        _runtime = Runtime(threads)
        atexit.register(shutdown)
    return _runtime


def shutdown() -> None:
    """Ends this process's worker, if there is one. A later `runtime()` begins anew."""
    global _runtime
    if _runtime is not None:
        _runtime.stop()
        _runtime = None
