"""Where a module is: in some folders, or where Python itself finds it."""

from __future__ import annotations

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
    """Where a module is: its file, None for a namespace package, and the folders of a package."""

    file: Optional[Path]
    folders: Optional[tuple[str, ...]]
    is_own: bool = True


def look_in(part: str, folders: Iterable[str]) -> Optional[Place]:
    """The first module or package of that name in these folders, or a package without a file."""
    portions = []
    for folder in folders:
        base = Path(folder, part)
        if base.is_dir():
            for suffix in _SUFFIXES:
                if (file := base / f"__init__{suffix}").is_file():
                    return Place(file, (str(base),))
            portions.append(str(base))
        for suffix in _SUFFIXES:
            if (file := Path(folder, part + suffix)).is_file():
                return Place(file, None)
    return Place(None, tuple(portions)) if portions else None


def ordinary(top: str) -> Optional[Place]:
    """Where Python itself would find a top-level module now."""
    spec = None
    for finder in list(sys.meta_path):
        # pytest's own only rewrites assertions of what the others find; ours finds what is here.
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


def is_another(module: Any, found: Place) -> bool:
    """Whether a module that is imported is not the one of that file."""
    if module is None or found.file is None:
        return False
    file = getattr(module, "__file__", None)
    return file is None or Path(file).resolve() != found.file.resolve()


def folder_of(top: str) -> str:
    """The folder from which a top-level module was imported."""
    file = Path(getattr(sys.modules.get(top), "__file__", None) or "")
    return str(file.parent.parent if file.stem == "__init__" else file.parent)


def shown_name(name: str, found: Place) -> str:
    """A module's `__name__`: another one where an installed or a standard module is called so."""
    top, dot, rest = name.partition(".")
    if not is_taken(top):
        return name
    depth = name.count(".") + (found.folders is not None)
    return f"{top}@{(found.file or Path('/')).parents[depth]}{dot}{rest}" if found.file else name
