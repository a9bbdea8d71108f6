"""Finds the files that register entries: those of a package, and those of other distributions."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from importlib.metadata import entry_points
from types import ModuleType

from pytest_federated.core.errors import FederatedError
from pytest_federated.user.functions import blamed

GROUP = "pytest_federated"


@functools.cache
def import_package(name: str) -> None:
    """Imports all modules of a package, once."""
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        importlib.import_module(module.name)


@functools.lru_cache(maxsize=1)
def load_entry_points() -> None:
    """Imports what other distributions name in the entry point group `GROUP`.

    That is a module, or a package, all of whose modules are imported.

    Raises:
        FederatedError: one of them cannot be imported.
    """
    all_points = entry_points()
    # Python 3.9 has a mapping of groups, later ones have a method.
    is_mapping = not hasattr(all_points, "select")
    points = all_points.get(GROUP, ()) if is_mapping else all_points.select(group=GROUP)
    for point in points:
        try:
            loaded = point.load()
            if isinstance(loaded, ModuleType) and hasattr(loaded, "__path__"):
                import_package(loaded.__name__)
        except Exception as error:
            raise FederatedError(
                f"the entry point {point.name} = {point.value} of an installed package cannot be "
                f"loaded: {blamed(error)}; mend or uninstall that package"
            ) from error
