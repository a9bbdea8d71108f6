"""All concepts: what there are registries of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_federated.registry.discovery import import_package
from pytest_federated.registry.registry import REGISTRIES, Registry

# The folders of the package below which registries are, from the bottom up.
_FOLDERS = ("data", "clients", "training", "metrics", "expectations")


def concepts() -> Mapping[str, Registry[Any, ..., Any]]:
    """Returns the registries of all concepts by the plural of their entries, in that order.

    Imports everything that scenario files can choose, and nothing of TensorFlow.
    """
    for folder in _FOLDERS:
        import_package(f"{__name__.partition('.')[0]}.{folder}")
    return dict(sorted(REGISTRIES.items()))
