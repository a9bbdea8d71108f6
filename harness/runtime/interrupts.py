"""Ctrl-C and time limits that are not lost in C code."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional

from harness.errors import TimeLimitExceeded

# jax's callback of the garbage collector: what is raised in there is printed and dropped.
_DEAF = {"_xla_gc_callback"}
_AGAIN_SECONDS = 0.05


@contextlib.contextmanager
def kept(seconds: Optional[float] = None) -> Iterator[Callable[[], None]]:
    """Makes sure that Ctrl-C, and the end of a time limit, end the block as what they are.

    A signal's handler raises wherever the main thread happens to be. In TensorFlow and jax that
    may be a callback whose exceptions are printed and dropped, or a conversion that turns them
    into a SystemError. So what comes out of the block after a signal is always its own
    exception; and the function that is given to the block raises one that was dropped.

    Signals are left alone outside the main thread, and where someone else handles them: then
    only that function notices the end of the time limit.

    Args:
        seconds: the limit; None for none.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C.
        TimeLimitExceeded: the block took longer than `seconds`.
    """
    pending: list[BaseException] = []
    end = None if seconds is None else time.monotonic() + seconds
    too_long = f"not done after {seconds:g} seconds, the time limit" if seconds else ""

    def strike(number: int, frame: Any) -> None:
        is_interrupt = number == signal.SIGINT
        pending.append(KeyboardInterrupt() if is_interrupt else TimeLimitExceeded(too_long))
        if has_alarm and frame is not None and frame.f_code.co_name in _DEAF:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)  # strikes when that is over
            return
        raise pending[0]

    def check() -> None:
        if pending:
            raise pending[0]
        if end is not None and time.monotonic() > end:
            raise TimeLimitExceeded(too_long)

    has_alarm = False
    with contextlib.ExitStack() as handlers:
        handlers.enter_context(_handling(signal.SIGINT, signal.default_int_handler, strike))
        has_alarm = handlers.enter_context(_handling(signal.SIGALRM, signal.SIG_DFL, strike))
        if has_alarm:
            signal.setitimer(signal.ITIMER_REAL, seconds or 0)
            handlers.callback(signal.setitimer, signal.ITIMER_REAL, 0)
        try:
            yield check
        except Exception as changed:
            if pending and changed is not pending[0]:
                raise pending[0] from changed
            raise
    if pending:
        raise pending[0]


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
