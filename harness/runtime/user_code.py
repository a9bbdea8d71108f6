"""The user's own functions that scenarios name: finding, importing and telling them apart.

Two scenario folders may each have a module of the same name, and a module may change between two
runs. So a function is known by its code, not by its name.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
import sysconfig
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Annotated, Any, Optional, Union

from pydantic import BaseModel, Field


class _IsCode:
    """Marks a key as one that names code."""


# The annotation of a key that names a function of the user's.
UserFunction = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), _IsCode()]


class _IsFile:
    """Marks a key as one that names a file."""


# The annotation of a key that names a file of the user's.
UserFile = Annotated[str, Field(min_length=1), _IsFile()]

_PATHS = sysconfig.get_paths()
_INSTALLED = tuple(
    str(Path(_PATHS[k]).resolve()) for k in ("stdlib", "platstdlib", "purelib", "platlib")
)


# The sources of what was imported, by the module that was asked for.
_loaded: dict[str, dict[str, bytes]] = {}


def load(reference: str) -> Callable[..., Any]:
    """The function of ``"module:function"``, from the first module of that name on `sys.path`.

    A module that has changed since it was imported is imported again, with those of the user's
    own that it imports.

    Raises:
        ModuleNotFoundError: there is no such module.
        AttributeError: the module has no such function.
        Exception: whatever importing the module raises.

    """
    module, _, name = reference.partition(":")
    top = module.partition(".")[0]
    imported, found = sys.modules.get(top), _spec(top)
    if imported is not None and found is not None and _origin(imported.__spec__) != _origin(found):
        # Another scenario folder's module of the same name.
        for known in [m for m in sys.modules if m == top or m.startswith(f"{top}.")]:
            del sys.modules[known]
    sources = dict(_sources(module))
    if module in _loaded and _loaded[module] != sources:
        for known in _loaded[module]:
            sys.modules.pop(known, None)
    _loaded[module] = sources
    importlib.invalidate_caches()  # the file may be younger than Python's look at its folder
    return getattr(importlib.import_module(module), name)


def fingerprint(module: str) -> str:
    """Hash of a module's source and of all that it imports of the user's own.

    Read, not imported. The standard library and installed packages are left out, except the
    package that the module itself belongs to. What code imports by computed names, or reads from
    files, is not seen.

    Returns:
        64 hexadecimal digits; the same for a module that cannot be found.
    """
    digest = hashlib.sha256()
    for name, source in _sources(module):
        digest.update(repr((name, len(source))).encode() + source)
    return digest.hexdigest()


def find_file(name: str) -> Optional[Path]:
    """A file of the user's, from the first folder on `sys.path` that has it; None if none has."""
    folders = (Path(folder or ".") for folder in sys.path)
    return next((f / name for f in folders if (f / name).is_file()), None)


def is_installed(path: Union[str, Path]) -> bool:
    """Whether a file or folder belongs to Python or to its installed packages."""
    return str(Path(path).resolve()).startswith(_INSTALLED)


def _sources(module: str) -> Iterator[tuple[str, bytes]]:
    """Name and source of a module and of all that it imports of the user's own."""
    top = module.partition(".")[0]
    todo, seen = [module], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if "." in name:
            todo.append(name.rpartition(".")[0])  # a package's __init__ runs first
        origin = _origin(_spec(name))
        if origin is None or origin.suffix != ".py":
            continue
        if name.partition(".")[0] != top and is_installed(origin):
            continue
        source = origin.read_bytes()
        yield name, source
        is_package = origin.name == "__init__.py"
        todo += sorted(_imports(source, name if is_package else name.rpartition(".")[0]))


def fingerprints(section: BaseModel) -> dict[str, str]:
    """Of each function that a validated section names, the module's `fingerprint`, by reference;
    of each file that it names, the hash of what it holds.
    """
    found = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if any(isinstance(note, _IsCode) for note in field.metadata):
            found[value] = fingerprint(value.partition(":")[0])
        if any(isinstance(note, _IsFile) for note in field.metadata) and (file := find_file(value)):
            found[value] = hashlib.sha256(file.read_bytes()).hexdigest()
        inner = value.values() if isinstance(value, dict) else value
        for part in inner if isinstance(value, (dict, list, tuple)) else [value]:
            if isinstance(part, BaseModel):
                found |= fingerprints(part)
    return found


def _spec(module: str) -> Optional[ModuleSpec]:
    """Where `module` would be imported from now; runs nothing, unlike importlib.util.find_spec."""
    path: Optional[Any] = None
    spec = None
    parts = module.split(".")
    for depth in range(len(parts)):
        spec = None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if find and (spec := find(".".join(parts[: depth + 1]), path)):
                break
        if spec is None:
            return None
        path = spec.submodule_search_locations
        if path is None and depth + 1 < len(parts):
            return None
    return spec


def _origin(spec: Optional[ModuleSpec]) -> Optional[Path]:
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    return Path(spec.origin).resolve()


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Names of the modules that the source of a module in `package` may import."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # importing it will say what is wrong
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)
