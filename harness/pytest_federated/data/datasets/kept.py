"""What was read of data sets, kept for the scenarios that follow."""

from __future__ import annotations

import functools
from typing import Any, Callable, TypeVar

_MOST = 2  # of all data sets together, those used last

_T = TypeVar("_T")


@functools.lru_cache(maxsize=_MOST)
def _once(read: Callable[..., Any], *arguments: Any) -> Any:
    return read(*arguments)


def kept(read: Callable[..., _T]) -> Callable[..., _T]:
    """Has a function that reads data return the same again; one memory for all such functions.

    A memory for each of them would hold all data sets of a session at its end.
    """
    return functools.partial(_once, read)


def forget() -> None:
    """Lets go of all that was read."""
    _once.cache_clear()
