"""An event loop in a thread of its own, for callers that block and for other event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any


class EventLoopThread:
    """Runs coroutines, one event loop in one daemon thread, until the object is collected."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __del__(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Returns the coroutine's result; blocks until it is there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def await_result(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Returns the coroutine's result, to be awaited in another event loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))
