"""Ctrl-C and time limits that are not lost in C code."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any, Callable, Optional

from pytest_federated.core.errors import TimeLimitExceeded

# jax's callback of the garbage collector: what is raised in there is printed and dropped.
_DEAF = {"_xla_gc_callback"}
_IMPORT = "<frozen importlib._bootstrap>"
_AGAIN_SECONDS = 0.05
_IMPORT_SECONDS = 60  # that a signal waits for an import, which may have no end


@dataclass
class _Block:
    """What is known of a block that is running."""

    end: Optional[float]  # by time.monotonic()
    imports: int  # that were under way when it began
    has_alarm: bool = False
    pending: Optional[BaseException] = None
    struck: float = 0.0  # when `pending` came

    def set_alarm(self) -> None:
        if self.has_alarm:
            left = 0.0 if self.end is None else max(self.end - time.monotonic(), 1e-6)
            signal.setitimer(signal.ITIMER_REAL, left)


_running: ContextVar[Optional[_Block]] = ContextVar("_running", default=None)


@contextlib.contextmanager
def kept(seconds: Optional[float] = None) -> Iterator[Callable[[], None]]:
    """Makes sure that Ctrl-C, and the end of a time limit, end the block as what they are.

    A signal's handler raises wherever the main thread happens to be. In TensorFlow and jax that
    may be a callback whose exceptions are printed and dropped, or a conversion that turns them
    into a SystemError. So what comes out of the block after a signal is always its own
    exception; and the function that is given to the block raises one that was dropped.

    A signal during an import waits until that is over: a library that is half imported can be
    used no more in this process. A second Ctrl-C does not wait, and none waits for ever.

    Signals are left alone outside the main thread, and where someone else handles them: then
    only that function notices the end of the time limit.

    Args:
        seconds: the limit; None for none.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C.
        TimeLimitExceeded: the block took longer than `seconds`.
    """
    end = None if seconds is None else time.monotonic() + seconds
    block = _Block(end, _imports(sys._getframe()))
    too_long = f"not done after {seconds:g} seconds, the time limit" if seconds else ""

    def strike(number: int, frame: Optional[FrameType]) -> None:
        is_second = number == signal.SIGINT and isinstance(block.pending, KeyboardInterrupt)
        block.struck = block.struck or time.monotonic()
        if number == signal.SIGINT:
            block.pending = KeyboardInterrupt()
        pending = block.pending = block.pending or TimeLimitExceeded(too_long)
        waited = time.monotonic() - block.struck
        waits = not is_second and waited < _IMPORT_SECONDS and _imports(frame) > block.imports
        is_deaf = block.has_alarm and frame is not None and frame.f_code.co_name in _DEAF
        if not (waits or is_deaf):
            raise pending
        if block.has_alarm:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)  # strikes when that is over

    def check() -> None:
        if block.pending:
            raise block.pending
        if block.end is not None and time.monotonic() > block.end:
            raise TimeLimitExceeded(too_long)

    with contextlib.ExitStack() as leaving:
        leaving.callback(_running.reset, _running.set(block))
        leaving.enter_context(_handling(signal.SIGINT, signal.default_int_handler, strike))
        block.has_alarm = leaving.enter_context(_handling(signal.SIGALRM, signal.SIG_DFL, strike))
        if block.has_alarm:
            leaving.callback(signal.setitimer, signal.ITIMER_REAL, 0)
            block.set_alarm()
        try:
            yield check
        except Exception as changed:
            if block.pending and changed is not block.pending:
                raise block.pending from changed
            raise
    if block.pending:
        raise block.pending


@contextlib.contextmanager
def uncounted() -> Iterator[None]:
    """Stops the clock of the time limit, where one is running.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C, which had to wait.
    """
    block = _running.get()
    if block is None:
        yield
        return
    begin = time.monotonic()
    if block.has_alarm:
        signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        if block.end is not None:
            block.end += time.monotonic() - begin
        block.set_alarm()
    if block.pending:
        raise block.pending


def _imports(frame: Optional[FrameType]) -> int:
    """How many frames of Python's import a stack has."""
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename == _IMPORT
        frame = frame.f_back
    return count


@contextlib.contextmanager
def _handling(number: signal.Signals, usual: Any, handler: Any) -> Iterator[bool]:
    """Handles a signal that has its usual handler; gives whether it does."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(number) is not usual
    ):
        yield False
        return
    signal.signal(number, handler)
    try:
        yield True
    finally:
        signal.signal(number, usual)
