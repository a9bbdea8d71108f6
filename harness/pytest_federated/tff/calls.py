"""Calls of TFF computations in a worker over a gRPC channel: the same for local and remote ones.

TFF's own contexts do the same in many small steps, each a coroutine that is traced: they take
longer than the training of a small round. Here a call is three messages: the argument as a whole,
the call, and the request for its result.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

from pytest_federated.core import collector
from pytest_federated.tff.internals import (
    cardinalities_message,
    number_of_clients,
    value_reader,
    value_writer,
    worker_calls,
    worker_messages,
)

MAX_MESSAGE_BYTES = 2_000_000_000
CHANNEL_OPTIONS = [
    ("grpc.max_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]
_DISPOSE_SECONDS = 5
# A worker keeps all that an executor was ever sent until the executor itself is given up, some 3 MB
# for the round of a model. What is still needed is sent again to a new one.
_MAX_SENT = 8
_MAX_EXECUTORS = 32  # one for each number of clients, the most recently used
_MAX_COMPILED = 128  # computations remembered, the most recently used


def is_of_the_connection(error: Any) -> bool:
    """Returns whether a `grpc.RpcError` says that the connection or the executor was lost."""
    import grpc

    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.FAILED_PRECONDITION)


class Form(NamedTuple):
    """A computation, ready to be called.

    Attributes:
        computation: as it was traced.
        compiled: as workers execute it.
        write: writes an argument to a message; None where it takes none.
        read: returns the result that a message says.

    """

    computation: Any
    compiled: Any
    write: Any
    read: Callable[[Any], Any]

    @classmethod
    def of(cls, computation: Any, compiled: Any) -> Form:
        parameter = compiled.type_signature.parameter
        # Compiled, a computation has lost the Python classes of its result.
        read = value_reader(computation.type_signature.result)
        write = None if parameter is None else value_writer(parameter)
        return cls(computation, compiled, write, read)


class Executor:
    """What a worker keeps for the calls with one number of clients."""

    def __init__(self, calls: Any, clients: int) -> None:
        """`calls` are those that the worker answers."""
        self._calls, self._messages = calls, worker_messages()
        cardinalities = cardinalities_message(clients)
        request = self._messages.GetExecutorRequest(cardinalities=cardinalities)
        self._executor = calls.GetExecutor(request).executor
        self._sent: dict[int, tuple[Any, Any]] = {}  # by id, with the object that has it
        self._done_with: list[Any] = []

    def call(self, form: Form, value: Any) -> Any:
        """Returns the result of a computation; `value` is its argument, or None."""
        if value is not None:
            self._done_with.append(self._created(form.write, value))
        request = self._messages.CreateCallRequest(
            executor=self._executor,
            function_ref=self._reference(form.compiled),
            argument_ref=None if value is None else self._done_with[-1],
        )
        result = self._calls.CreateCall(request).value_ref
        self._free()  # the last result, and the argument, which the worker holds until it is done
        self._done_with.append(result)
        request = self._messages.ComputeRequest(executor=self._executor, value_ref=result)
        return form.read(self._calls.Compute(request).value)

    def _reference(self, computation: Any) -> Any:
        """Returns the worker's name for a computation, which is sent once, not for each call."""
        known = self._sent.get(id(computation))
        if known is None:
            write = value_writer(computation.type_signature)
            known = self._sent[id(computation)] = computation, self._created(write, computation)
        return known[1]

    def _created(self, write: Callable[[Any, Any], None], value: Any) -> Any:
        """Sends a value; returns the worker's name for it."""
        request = self._messages.CreateValueRequest(executor=self._executor)
        write(request.value, value)
        return self._calls.CreateValue(request).value_ref

    def _free(self) -> None:
        """Has the worker free values, while it computes."""
        import grpc

        if self._done_with:
            references, self._done_with = self._done_with, []
            request = self._messages.DisposeRequest(executor=self._executor, value_ref=references)
            with contextlib.suppress(grpc.RpcError):  # a courtesy: the worker may be gone
                self._calls.Dispose(request, timeout=_DISPOSE_SECONDS)

    @property
    def is_full(self) -> bool:
        return len(self._sent) >= _MAX_SENT

    def close(self) -> None:
        """Has the worker forget all that it keeps for this, also while it computes."""
        request = self._messages.DisposeExecutorRequest(executor=self._executor)
        with contextlib.suppress(Exception):  # a courtesy: the worker may be gone
            self._calls.DisposeExecutor(request, timeout=_DISPOSE_SECONDS)

    def __del__(self) -> None:
        if hasattr(self, "_executor") and not sys.is_finalizing():
            self.close()


def calling_context(
    tff: Any, connect: Callable[[], Any], compiler: Any, pauses: Sequence[float] = ()
) -> Any:
    """Returns a `tff.framework.SyncContext` on the worker whose channel `connect` returns.

    It keeps an executor for each number of clients. To bound the worker's memory, new ones take the
    place of those that were sent many computations. `connect` is called before each computation:
    it may raise, and if it returns another channel than before, all executors are created again.

    Args:
        tff: the module.
        connect: returns the channel.
        compiler: returns a computation in the form that workers execute.
        pauses: seconds before each further attempt where a connection breaks.
    """

    class Context(tff.framework.SyncContext):
        def __init__(self) -> None:
            self._lock = threading.RLock()
            self._channel: Any = None
            self._calls: Any = None
            self._executors: OrderedDict[int, Executor] = OrderedDict()
            self._compile = functools.lru_cache(_MAX_COMPILED)(compiler)
            # By id, as a computation's hash is that of all that it says.
            self._forms: OrderedDict[int, Form] = OrderedDict()

        def invoke(self, comp: Any, arg: Any = None) -> Any:
            """Runs a computation.

            Raises:
                grpc.RpcError: it failed, or the connection is lost.

            """
            import grpc

            with self._lock:
                for pause in pauses:
                    try:
                        return self._invoked(comp, arg)
                    except grpc.RpcError as error:
                        if not is_of_the_connection(error):
                            raise
                    time.sleep(pause)
                return self._invoked(comp, arg)

        def _invoked(self, computation: Any, value: Any) -> Any:
            form = self._form(computation)
            clients = 0
            if value is not None:
                clients = number_of_clients(value, form.compiled.type_signature.parameter)
            try:
                return self._executor(clients).call(form, value)
            except BaseException:
                self._executors.pop(clients, None)
                raise

        def _form(self, computation: Any) -> Form:
            form = self._forms.get(id(computation))
            if form is None:
                form = self._forms[id(computation)] = Form.of(
                    computation, self._compile(computation)
                )
                collector.return_freed()  # what the compiler is done with
                if len(self._forms) > _MAX_COMPILED:
                    self._forms.popitem(last=False)
            return form

        def _executor(self, clients: int) -> Executor:
            channel = connect()
            if channel is not self._channel:
                self._executors.clear()
                self._channel, self._calls = channel, worker_calls(channel)
            if clients in self._executors and self._executors[clients].is_full:
                self._executors.clear()  # all, as they share what the worker keeps
            if clients not in self._executors:
                self._executors[clients] = Executor(self._calls, clients)
                if len(self._executors) > _MAX_EXECUTORS:
                    self._executors.popitem(last=False)
            self._executors.move_to_end(clients)
            return self._executors[clients]

        def forget(self) -> None:
            """Gives up what was compiled and sent, here and in the worker."""
            with self._lock:
                self._executors.clear()
                self._forms.clear()
                self._compile.cache_clear()

        def close(self) -> None:
            """Gives up what was sent, without waiting for a call that is under way."""
            while self._executors:
                self._executors.popitem()[1].close()

    return Context()
