"""TFF's executors over a gRPC channel to a worker: the part that local and remote workers share."""

from __future__ import annotations

from typing import Any, Callable

from pytest_federated.tff.internals import stub_with_deadline

MAX_MESSAGE_BYTES = 2_000_000_000
CHANNEL_OPTIONS = [
    ("grpc.max_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]
_DISPOSE_SECONDS = 5


def executor_factory(tff: Any, connect: Callable[[], Any]) -> Any:
    """Returns a `tff.framework.ExecutorFactory` on the worker whose channel `connect` returns.

    It keeps one executor for each number of clients. `connect` is called before each computation:
    it may raise, and if it returns another channel than before, all executors are created anew.
    """

    class Executor(tff.framework.RemoteExecutor):
        """Sends a computation once, and not again for each call."""

        def __init__(self, stub: Any) -> None:
            super().__init__(stub)
            self._sent: dict[int, tuple[Any, Any]] = {}  # by id, with the object that has it

        async def create_value(self, value: Any, type_spec: Any = None) -> Any:
            if not isinstance(value, tff.framework.ConcreteComputation):
                return await super().create_value(value, type_spec)
            if id(value) not in self._sent:
                self._sent[id(value)] = value, await super().create_value(value, type_spec)
            return self._sent[id(value)][1]

        def close(self) -> None:
            self._sent.clear()
            super().close()

    class Factory(tff.framework.ExecutorFactory):
        def __init__(self) -> None:
            self._channel: Any = None
            self._stub: Any = None
            self._executors: dict[int, Any] = {}

        def create_executor(self, cardinalities: Any) -> Any:
            channel = connect()
            if channel is not self._channel:
                self._executors.clear()
                self._channel, self._stub = channel, stub_with_deadline(channel, _DISPOSE_SECONDS)
            cardinalities = {tff.CLIENTS: 0, **cardinalities}
            key = cardinalities[tff.CLIENTS]
            if key not in self._executors:
                executor = Executor(self._stub)
                executor.set_cardinalities(cardinalities)
                self._executors[key] = executor
            return self._executors[key]

        def clean_up_executor(self, cardinalities: Any) -> None:
            executor = self._executors.pop(cardinalities.get(tff.CLIENTS, 0), None)
            if executor is not None:
                executor.close()

        def close(self) -> None:
            """Frees what the worker keeps for this process."""
            while self._executors:
                self._executors.popitem()[1].close()

    return Factory()
