"""Ctrl-C and time limits that are not lost in C code."""

from __future__ import annotations

import contextlib
import inspect
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any, Callable, Optional

from pytest_federated.core.errors import TimeLimitExceeded

# Where nothing may be raised. Python prints and drops what is raised in a finalizer or in a
# callback of the garbage collector, such as jax's. Where TensorFlow's C++ asks for the type of an
# object, it takes an exception for "yes", and keeps to this answer as long as the process lives.
_DEAF = {"__del__", "_xla_gc_callback", "__instancecheck__", "__subclasscheck__"}
_IMPORT = "<frozen importlib._bootstrap>"
_AGAIN_SECONDS = 0.05
_IMPORT_SECONDS = 60  # how long a signal waits for an import, which may never end


@dataclass
class _Block:
    """The state of a block that is running."""

    end: Optional[float]  # by time.monotonic()
    imports: int  # how many were under way when it began
    has_alarm: bool = False
    pending: Optional[BaseException] = None
    struck: float = 0.0  # when `pending` came

    def set_alarm(self) -> None:
        if self.has_alarm:
            left = 0.0 if self.end is None else max(self.end - time.monotonic(), 1e-6)
            signal.setitimer(signal.ITIMER_REAL, left)


_running: ContextVar[Optional[_Block]] = ContextVar("_running", default=None)


@contextlib.contextmanager
def delivered(seconds: Optional[float] = None) -> Generator[Callable[[], None], None, None]:
    """Makes sure that Ctrl-C and the time limit end the block, each with its own exception.

    A signal's handler raises wherever the main thread happens to be. In TensorFlow and jax that
    may be a callback whose exceptions are printed and dropped, or a conversion that turns them
    into a SystemError. So after a signal the block always ends with the signal's exception; and
    the function that the context manager yields raises one that was dropped.

    A signal during an import waits until the import is over: a library that is half imported can
    no longer be used in this process. A second Ctrl-C does not wait, and none waits forever.

    Signals are left alone outside the main thread, and where someone else handles them: then
    only the yielded function notices the end of the time limit.

    Args:
        seconds: the limit; None for no limit.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C.
        TimeLimitExceeded: the block took longer than `seconds`.
    """
    end = None if seconds is None else time.monotonic() + seconds
    block = _Block(end, _imports(inspect.currentframe()))
    too_long = f"not done after {seconds:g} seconds, the time limit" if seconds else ""

    def strike(number: int, frame: Optional[FrameType]) -> None:
        is_second = number == signal.SIGINT and isinstance(block.pending, KeyboardInterrupt)
        block.struck = block.struck or time.monotonic()
        if number == signal.SIGINT:
            block.pending = KeyboardInterrupt()
        pending = block.pending = block.pending or TimeLimitExceeded(too_long)
        waited = time.monotonic() - block.struck
        waits = not is_second and waited < _IMPORT_SECONDS and _imports(frame) > block.imports
        is_deaf = block.has_alarm and any(one.f_code.co_name in _DEAF for one in _stack(frame))
        if not (waits or is_deaf):
            raise pending
        if block.has_alarm:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)  # strikes again

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
        except Exception as error:
            if block.pending and error is not block.pending:
                raise block.pending from error
            raise
    if block.pending:
        raise block.pending


@contextlib.contextmanager
def uncounted() -> Generator[None, None, None]:
    """Stops the clock of the time limit, if there is one, during the block.

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


@contextlib.contextmanager
def postponed() -> Generator[None, None, None]:
    """Has a Ctrl-C wait for the end of the block, which is to be short; a second one does not wait.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C.
    """
    struck: list[int] = []

    def strike(number: int, frame: Optional[FrameType]) -> None:
        struck.append(number)
        if len(struck) > 1:
            raise KeyboardInterrupt

    with _handling(signal.SIGINT, signal.default_int_handler, strike):
        yield
    if struck:
        raise KeyboardInterrupt


def _imports(frame: Optional[FrameType]) -> int:
    """Returns how many frames of Python's import a stack has."""
    return sum(one.f_code.co_filename == _IMPORT for one in _stack(frame))


def _stack(frame: Optional[FrameType]) -> Iterator[FrameType]:
    """Yields a frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


@contextlib.contextmanager
def _handling(number: signal.Signals, usual: Any, handler: Any) -> Generator[bool, None, None]:
    """Handles a signal that has its usual handler; yields whether it has."""
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
