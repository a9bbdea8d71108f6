"""Python's garbage collector in a process that holds all of TensorFlow."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Generator

# The thresholds of `gc.set_threshold`, by default 700, 10 and 10: how many new containers lead to a
# collection of the youngest generation, and how many of those to one of the next. jax adds 0.4 ms
# to each collection, however little there is to look at.
_RARELY = (10_000, 5, 5)


@contextlib.contextmanager
def paused() -> Generator[None, None, None]:
    """Turns the collector off in the block."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep() -> None:
    """Has the collector pass over all that exists now, from here to where Python ends.

    To be called after imports, as what was imported stays anyway.
    """
    gc.freeze()


@contextlib.contextmanager
def rare() -> Generator[None, None, None]:
    """Has the collector run less often in the block, as tracing makes many objects that stay.

    Where it is turned off, or runs as rarely already, nothing changes.
    """
    before = gc.get_threshold()
    if before[0] == 0 or before[0] >= _RARELY[0]:
        yield
        return
    gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def return_freed() -> None:
    """Returns to the system what was freed in between what is still in use.

    glibc keeps it until asked; of other C libraries nothing is asked.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
