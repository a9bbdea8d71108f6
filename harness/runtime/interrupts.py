"""Ctrl-C that is not lost in C code."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, Callable


@contextlib.contextmanager
def kept() -> Iterator[Callable[[], None]]:
    """Makes sure that an interrupt ends the block as the KeyboardInterrupt that it is.

    Python raises KeyboardInterrupt wherever the main thread happens to be. In TensorFlow and jax
    that may be a callback whose exceptions are printed and dropped, or a conversion that turns
    them into a SystemError. So what comes out of the block after an interrupt is always
    KeyboardInterrupt; and the function that is given to the block raises one that was dropped.

    Does nothing outside the main thread, or where someone else handles the signal.
    """
    handler = signal.getsignal(signal.SIGINT)
    if (
        threading.current_thread() is not threading.main_thread()
        or handler is not signal.default_int_handler
    ):
        yield lambda: None
        return
    interrupted = False

    def interrupt(number: int, frame: Any) -> None:
        nonlocal interrupted
        interrupted = True
        signal.default_int_handler(number, frame)

    def check() -> None:
        if interrupted:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    except Exception as changed:
        if interrupted:
            raise KeyboardInterrupt from changed
        raise
    finally:
        signal.signal(signal.SIGINT, handler)
    check()
