"""Finds the files that register entries: those of a package, and those of other distributions."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from importlib.metadata import entry_points

GROUP = "pytest_federated"


@functools.cache
def import_package(name: str) -> None:
    """Imports all modules of a package, once."""
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        importlib.import_module(module.name)


@functools.lru_cache(maxsize=1)
def load_entry_points() -> None:
    """Imports the modules that other distributions name in the entry point group `GROUP`."""
    found = entry_points()
    # Python 3.9 has a mapping of groups, later ones have a method.
    points = found.select(group=GROUP) if hasattr(found, "select") else found.get(GROUP, ())
    for point in points:
        point.load()
