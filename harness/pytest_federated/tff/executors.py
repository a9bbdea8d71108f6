"""TFF's executors over a gRPC channel to a worker: the part that local and remote workers share."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any, Callable

from pytest_federated.tff.internals import lean_executor, stub_with_deadline

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


def executor_factory(tff: Any, connect: Callable[[], Any]) -> Any:
    """Returns a `tff.framework.ExecutorFactory` on the worker whose channel `connect` returns.

    It keeps an executor for each number of clients. To bound the worker's memory, new ones take the
    place of those that were sent many computations. `connect` is called before each computation:
    it may raise, and if it returns another channel than before, all executors are created again.
    """

    class Executor(lean_executor()):
        """Sends a computation once, and not again for each call."""

        def __init__(self, stub: Any) -> None:
            super().__init__(stub)
            self._sent: dict[int, tuple[Any, Any]] = {}  # by id, with the object that has it
            self._is_retired = False

        async def create_value(self, value: Any, type_spec: Any = None) -> Any:
            if not isinstance(value, tff.framework.ConcreteComputation):
                return await super().create_value(value, type_spec)
            if id(value) in self._sent:
                return self._sent[id(value)][1]
            sent = await super().create_value(value, type_spec)
            if not self._is_retired:
                self._sent[id(value)] = value, sent
            return sent

        @property
        def is_full(self) -> bool:
            return len(self._sent) >= _MAX_SENT

        def retire(self) -> None:
            """Has the worker forget it once the computations under way are done."""
            self._is_retired = True
            self._sent.clear()  # whose values refer to it

        def close(self) -> None:
            self._sent.clear()
            super().close()

        def __del__(self) -> None:
            if not sys.is_finalizing():
                self.close()

    class Factory(tff.framework.ExecutorFactory):
        def __init__(self) -> None:
            self._channel: Any = None
            self._stub: Any = None
            self._executors: OrderedDict[int, Any] = OrderedDict()

        def create_executor(self, cardinalities: Any) -> Any:
            channel = connect()
            if channel is not self._channel:
                self._executors.clear()
                self._channel, self._stub = channel, stub_with_deadline(channel, _DISPOSE_SECONDS)
            cardinalities = {tff.CLIENTS: 0, **cardinalities}
            key = cardinalities[tff.CLIENTS]
            if key in self._executors and self._executors[key].is_full:
                self.retire()  # all, as they share what the worker keeps
            if key not in self._executors:
                executor = Executor(self._stub)
                executor.set_cardinalities(cardinalities)
                self._executors[key] = executor
                if len(self._executors) > _MAX_EXECUTORS:
                    self._executors.popitem(last=False)[1].retire()
            self._executors.move_to_end(key)
            return self._executors[key]

        def clean_up_executor(self, cardinalities: Any) -> None:
            executor = self._executors.pop(cardinalities.get(tff.CLIENTS, 0), None)
            if executor is not None:
                executor.close()

        def retire(self) -> None:
            """Gives up what was sent, here and in the worker, once it is no longer in use."""
            while self._executors:
                self._executors.popitem()[1].retire()

        def close(self) -> None:
            """Frees what the worker keeps for this process."""
            while self._executors:
                self._executors.popitem()[1].close()

    return Factory()
