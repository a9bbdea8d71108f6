"""Entries of `sys.modules` that are replaced while scenarios run."""

from __future__ import annotations

import sys
import types
from typing import Optional


class Replacement:
    """Replaces entries of `sys.modules`, and puts the former ones back."""

    def __init__(self, owner: object) -> None:
        """`owner` is the space whose modules are shown."""
        self.owner = owner
        self._before: dict[str, Optional[types.ModuleType]] = {}

    def show(self, name: str, module: Optional[types.ModuleType]) -> None:
        """Shows `module` to everybody under that name; no module where it is None."""
        self._before.setdefault(name, sys.modules.get(name))
        put(name, module)

    def restore(self) -> None:
        """Puts the former entries back."""
        for name, module in self._before.items():
            put(name, module)

    def has(self, name: str) -> bool:
        """Returns whether the entry of that name was replaced."""
        return name in self._before

    def before(self, name: str) -> Optional[types.ModuleType]:
        """Returns the module that had that name before."""
        return self._before[name]


active: list[Replacement] = []  # of the scenarios that run, the innermost last


def outside(name: str) -> Optional[types.ModuleType]:
    """Returns the module of that name that is seen outside scenarios, as by a conftest.py."""
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
