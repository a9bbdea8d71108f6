"""What was read of data sets, kept for the scenarios that follow."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Callable, Generic, TypeVar

_MOST = 3  # of all data sets together, those used last

_T = TypeVar("_T")
_kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()


class kept(Generic[_T]):  # a decorator
    """Has a function that reads data return the same again; for all such functions together.

    A memory for each of them would hold all data sets of a session at its end.
    """

    def __init__(self, read: Callable[..., _T]) -> None:
        self._read = read

    def __call__(self, *arguments: Any) -> _T:
        key = (self._read, *arguments)
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
        data = _kept[key] = self._read(*arguments)
        if len(_kept) > _MOST:
            _kept.popitem(last=False)
        return data

    def cache_clear(self) -> None:
        """Lets go of what this function read."""
        for key in [key for key in _kept if key[0] is self._read]:
            del _kept[key]
