"""The user's modules: each scenario's folder comes first, whatever else has the same name.

While a scenario runs, everybody looks first in its folders for what is not installed. Its modules
belong to a `Space`, which keeps them apart from others of the same names. A module that has the
name of an installed or a standard one is seen by the user's code only.
"""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import Generator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple, Optional

from pytest_federated.user import sys_modules
from pytest_federated.user.installed import PACKAGE_FOLDERS, is_installed, scenario_folders
from pytest_federated.user.reading import read_from
from pytest_federated.user.spaces import Space, space_for
from pytest_federated.user.sys_modules import Replacement


class _Context(NamedTuple):
    """The arguments of a call of `own_folders`."""

    space: Space
    root: Optional[Path]


_contexts: list[_Context] = []


@contextlib.contextmanager
def own_folders(*folders: Path, root: Optional[Path] = None) -> Generator[None, None, None]:
    """Lets the user's modules and data files be found in `folders`, the first one first.

    Args:
        folders: that of the scenario file, then others.
        root: the project's root: code is identified by its path below it. By default the second
            of the folders, if there is one.

    """
    paths = tuple(dict.fromkeys(str(f.absolute()) for f in folders))
    if root is None and len(folders) > 1:
        root = folders[1]
    context = _Context(space_for(paths), root)
    replacement = Replacement(context.space)
    foreign = context.space.foreign()
    for name in context.space.shadowed(foreign):
        replacement.show(name, None)
    # The scenario's folders must not hide what TensorFlow imports; `_Finder` finds their modules.
    hidden = foreign | {folder for folder in paths if Path(folder).name not in PACKAGE_FOLDERS}
    removed = [(i, p) for i, p in enumerate(sys.path) if str(Path(p).absolute()) in hidden]
    for _, entry in removed:
        sys.path.remove(entry)
    _contexts.append(context)
    sys_modules.active.append(replacement)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    try:
        with read_from(folders[0]) if folders else contextlib.nullcontext():
            yield
    finally:
        _remove(_contexts, context)
        _remove(sys_modules.active, replacement)
        for index, entry in removed:
            sys.path.insert(index, entry)
        replacement.restore()


def folders() -> tuple[Path, ...]:
    """Returns the folders in which the user's modules and data files are looked for, in order."""
    if _contexts and _contexts[-1].space.folders:
        return tuple(map(Path, _contexts[-1].space.folders))
    users = [Path(p).absolute() for p in sys.path if p and Path(p).is_dir() and not is_installed(p)]
    return tuple(dict.fromkeys([*users, Path.cwd()]))


def root() -> Optional[Path]:
    """Returns the root of the project, or None where it is not known."""
    return _contexts[-1].root if _contexts else None


def place(file: Path) -> str:
    """Returns a file's path below the project's root, which is the same on every machine."""
    top = root()
    return file.name if top is None else Path(os.path.relpath(file, top.resolve())).as_posix()


def space() -> Space:
    """Returns the modules that the current scenario sees."""
    return _contexts[-1].space if _contexts else space_for(())


def space_of(file: Path) -> tuple[Space, str]:
    """Returns what a file sees that others have imported, such as a conftest.py by pytest.

    Returns:
        The modules that it sees, and its own name among them.
    """
    names, top = [file.stem] if file.stem != "__init__" else [], file.parent
    while (top / "__init__.py").exists() and top != top.parent:
        names, top = [top.name, *names], top.parent
    if is_installed(file) and str(file.parent) not in {*scenario_folders, *space().folders}:
        return space_for(()), ".".join(names)
    # The last one for `from ..lib import x`, which pytest's mode importlib allows in any folder.
    visible = (str(top), str(file.parent), *space().folders, str(file.parent.parent))
    return space_for(tuple(dict.fromkeys(visible))), ".".join(names)


def import_file(file: Path) -> types.ModuleType:
    """Imports a file that others import in other commands, such as pytest a conftest.py.

    Raises:
        Exception: whatever importing it raises.
    """
    near, name = space_of(file)
    return near.load(name)


class _Finder:
    """Lets everybody find, in the folders of the scenario that runs, what is not installed."""

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Any = None
    ) -> Optional[ModuleSpec]:
        if not _contexts or not _contexts[-1].space.has(name):
            return None
        return _contexts[-1].space.spec(name)


_finder = _Finder()


def _remove(stack: list[Any], entry: object) -> None:
    """Removes this very object from the stack, wherever it is."""
    del stack[next(i for i, other in enumerate(stack) if other is entry)]
