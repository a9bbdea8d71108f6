"""Where a module is: in some folders, or where Python itself finds it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from pathlib import Path
from typing import Any, Optional

from pytest_federated.user.installed import OURS, is_installed, is_taken

_SUFFIXES = (*EXTENSION_SUFFIXES, *SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)


@dataclass(frozen=True)
class Place:
    """The place of a module.

    Attributes:
        file: its file; None for a namespace package.
        folders: the folders of a package; None for a module that is no package.
        is_users: whether it is the user's, and not installed.

    """

    file: Optional[Path]
    folders: Optional[tuple[str, ...]]
    is_users: bool = True


def find_in(name: str, folders: Iterable[str]) -> Optional[Place]:
    """Returns the first module or package of that name in these folders, or a namespace package."""
    portions: list[str] = []
    for folder in folders:
        base = Path(folder, name)
        if base.is_dir():
            for suffix in _SUFFIXES:
                if (file := base / f"__init__{suffix}").is_file():
                    return Place(file, (str(base),))
            portions.append(str(base))
        for suffix in _SUFFIXES:
            if (file := Path(folder, name + suffix)).is_file():
                return Place(file, None)
    return Place(None, tuple(portions)) if portions else None


def find_as_python(top: str) -> Optional[Place]:
    """Returns where Python itself would find a top-level module now."""
    spec = None
    for finder in list(sys.meta_path):
        # pytest's finder only rewrites assertions in what others find; ours would find this space.
        if type(finder).__module__.partition(".")[0] in ("_pytest", OURS):
            continue
        find = getattr(finder, "find_spec", None)
        if find and (spec := find(top, None)):
            break
    if spec is None:
        return None
    inner = spec.submodule_search_locations
    inner = None if inner is None else tuple(inner)
    if spec.has_location and spec.origin is not None:
        return Place(Path(spec.origin), inner, not is_installed(spec.origin))
    if inner and spec.origin is None:
        return Place(None, inner, not is_installed(inner[0]))
    return None


def is_another(module: Any, place: Place) -> bool:
    """Returns whether an imported module is not the one at that place."""
    if module is None or place.file is None:
        return False
    file = getattr(module, "__file__", None)
    return file is None or Path(file).resolve() != place.file.resolve()


def folder_of(top: str) -> str:
    """Returns the folder from which a top-level module was imported."""
    return _folder_of_file(getattr(sys.modules.get(top), "__file__", None) or "")


@functools.lru_cache(maxsize=1 << 12)  # asked for every module each time a scenario is read or run
def _folder_of_file(name: str) -> str:
    file = Path(name)
    return str(file.parent.parent if file.stem == "__init__" else file.parent)


def unique_name(name: str, place: Place) -> str:
    """Returns a module's `__name__`: a longer one where a standard or installed module has it."""
    top, dot, rest = name.partition(".")
    if not is_taken(top):
        return name
    depth = name.count(".") + (place.folders is not None)
    return f"{top}@{place.file.parents[depth]}{dot}{rest}" if place.file else name
