"""Who is in `sys.modules` under which name, while scenarios run."""

from __future__ import annotations

import sys
import types
from typing import Optional


class Replacement:
    """Entries of `sys.modules` that were replaced, and are put back."""

    def __init__(self, owner: object) -> None:
        """`owner` is who sees its own modules there."""
        self.owner = owner
        self._before: dict[str, Optional[types.ModuleType]] = {}

    def show(self, name: str, module: Optional[types.ModuleType]) -> None:
        """Has everybody see `module` under that name; none where it is None."""
        self._before.setdefault(name, sys.modules.get(name))
        put(name, module)

    def restore(self) -> None:
        """Puts back what was there."""
        for name, module in self._before.items():
            put(name, module)

    def has(self, name: str) -> bool:
        """Whether the entry of that name was replaced."""
        return name in self._before

    def before(self, name: str) -> Optional[types.ModuleType]:
        """What had that name before."""
        return self._before[name]


active: list[Replacement] = []  # those of scenarios that run, the innermost last


def outside(name: str) -> Optional[types.ModuleType]:
    """The module of that name that all others see, those of pytest's conftest.py too."""
    for replacement in active:
        if replacement.has(name):
            return replacement.before(name)
    return sys.modules.get(name)


def put(name: str, module: Optional[types.ModuleType]) -> None:
    """Sets an entry of `sys.modules`, or removes it where `module` is None."""
    if module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module
