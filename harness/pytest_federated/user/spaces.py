"""The user's modules that see each other, kept apart from others of the same names.

What such a module imports, at the top or in a function that is called much later, is looked for in
the same folders; so two folders may each have a `model.py` that imports a `helper`.
"""

# The stub of importlib.abc.Loader is of Python 3.10 and later, so that 3.9 takes it for unknown.
# pyright: reportUnknownMemberType=false, reportUntypedBaseClass=false

from __future__ import annotations

import builtins
import functools
import importlib.util
import os
import sys
import types
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.abc import Loader  # pyright: ignore - its stub is of 3.10 and later; 3.9 has it
from importlib.machinery import SOURCE_SUFFIXES, ModuleSpec
from pathlib import Path
from typing import Any, Optional

from pytest_federated.user import sys_modules
from pytest_federated.user.installed import OURS, STANDARD, is_taken, scenario_folders
from pytest_federated.user.lookup import (
    Place,
    find_as_python,
    find_in,
    folder_of,
    is_another,
    unique_name,
)
from pytest_federated.user.sources import Node, Source, Sources, imports_of
from pytest_federated.user.sys_modules import outside, put

_shared: dict[Any, types.ModuleType] = {}  # modules by their code and all code that it imports
_imported_here: weakref.WeakSet[types.ModuleType] = weakref.WeakSet()
_adopted: dict[tuple[str, Path], Sources] = {}  # code of what others imported, when first seen


class Space:
    """Modules that see each other: those of some folders, which are searched in order."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self.folders = folders
        self._modules: dict[str, types.ModuleType] = {}
        self._loaded: dict[str, Sources] = {}  # by the module that was to be loaded
        self._read: Optional[dict[str, Optional[Node]]] = None  # while a module is loaded

    def load(self, name: str) -> types.ModuleType:
        """Returns the module of that name; imports it again if it, or what it imports, changed.

        Raises:
            ModuleNotFoundError: there is none.
            Exception: whatever importing it raises.
        """
        importlib.invalidate_caches()  # the file may be newer than Python's list of its folder
        top = name.partition(".")[0]
        place = self._top(top, is_requested=True)
        if place is None or not (place.is_users or is_another(sys.modules.get(top), place)):
            return importlib.import_module(name)
        self._read = {}
        try:
            sources = self.sources(name)
            if self._loaded.get(name) != sources:
                for outdated in sources:
                    self._modules.pop(outdated, None)
                self._loaded[name] = sources
            return self._module(name)
        finally:
            self._read = None

    def is_users(self, name: str) -> bool:
        """Returns whether the module that is found by that name is the user's own."""
        place = self._top(name.partition(".")[0], is_requested=True)
        return place is not None and place.is_users

    def sources(self, name: str) -> dict[str, Source]:
        """Returns the code of a module and of all the user's modules that it imports, by name."""
        return self.look(name)[0]

    def look(
        self, name: str, requested: Optional[str] = None
    ) -> tuple[dict[str, Source], set[str]]:
        """Returns the `sources` of a module, and the names of all modules that they import.

        `requested` is the package that is read although it is installed; that of `name` by default.
        """
        requested = name.partition(".")[0] if requested is None else requested
        todo: list[str] = [name]
        seen: set[str] = set()
        sources: dict[str, Source] = {}
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            if "." in name:
                todo.append(name.rpartition(".")[0])  # a package's __init__ runs first
            node = self._node(name, requested)
            if node is not None:
                sources[name] = node.source
                todo += node.imports
        return sources, seen

    def shadowed(self, foreign: set[str]) -> list[str]:
        """Returns the names in `sys.modules` that are `foreign`, or not those of these folders."""
        if not self.folders:
            return []
        # Not with Path, which takes several times as long: this is done for each scenario.
        existing = filter(os.path.isdir, self.folders)
        entries = (entry for folder in existing for entry in os.listdir(folder))  # noqa: PTH208
        names = {entry.partition(".")[0] for entry in entries}
        # Most names in sys.modules are of submodules, whose packages are there, too.
        tops = {name for name in sys.modules if "." not in name} - {OURS, "__main__"}
        hidden = {top for top in tops if folder_of(top) in foreign} if foreign else set[str]()
        for top in tops & names - hidden:
            place = find_in(top, self.folders)
            if place and not is_taken(top) and is_another(sys.modules.get(top), place):
                hidden.add(top)
        if not hidden:
            return []
        return [name for name in sys.modules if name.partition(".")[0] in hidden]

    def foreign(self) -> set[str]:
        """Returns the folders of other scenarios, except those that contain these folders."""
        if not self.folders:
            return set()
        return scenario_folders - {*self.folders, *map(str, Path(self.folders[0]).parents)}

    def has(self, name: str) -> bool:
        """Returns whether these folders have the module, and no installed one has its name."""
        top = name.partition(".")[0]
        if top == OURS or is_taken(top):
            return False
        place = find_in(top, self.folders)
        if place is None or (place.file is None and find_as_python(top) is not None):
            return False
        return self._find(name, top) is not None

    def spec(self, name: str) -> ModuleSpec:
        """Returns what Python's import system needs to import a module of these folders."""
        place = self._find(name, name.partition(".")[0])
        assert place is not None
        loader = _Loader(lambda: self._module(name))
        spec = ModuleSpec(name, loader, origin=str(place.file))
        spec.submodule_search_locations = _search_locations(place)
        return spec

    def import_(
        self,
        name: str,
        globals: Optional[Mapping[str, Any]] = None,
        locals: Optional[Mapping[str, Any]] = None,
        fromlist: Optional[Sequence[str]] = (),
        level: int = 0,
    ) -> types.ModuleType:
        """Imports as Python's `__import__`, for code of this space."""
        importer = globals or {}
        full = name
        if level and importer.get("__package__"):
            full = importlib.util.resolve_name("." * level + name, importer["__package__"])
        top = full.partition(".")[0]
        place = self._top(top, is_requested=level > 0)
        # A keras.py that imports keras means the installed one.
        is_itself = not level and place is not None and str(place.file) == importer.get("__file__")
        if place is None or not place.is_users or (is_itself and is_taken(top)):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self._module(full)
        if not fromlist:
            return module if level else self._module(top)
        for attribute in _imported_names(module, fromlist):
            submodule = f"{full}.{attribute}"
            if not hasattr(module, attribute) and self._find(submodule, top) is not None:
                self._module(submodule)
        return module

    def _module(self, name: str) -> types.ModuleType:
        """Returns the user's module of that name; imports it if need be."""
        above, _, last = name.rpartition(".")
        package = self._module(above) if above else None
        if name not in self._modules:
            place = self._find(name, name.partition(".")[0])
            if place is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            self._modules[name] = self._imported(name, place)
            if package is not None:
                setattr(package, last, self._modules[name])
        self._show(name, self._modules[name])
        return self._modules[name]

    def _imported(self, name: str, place: Place) -> types.ModuleType:
        sources = self.sources(name)
        key = name, place.file, place.folders, tuple(sorted(sources.items()))
        if key in _shared:
            return _shared[key]
        existing = outside(name)
        if existing is not None and self._is_same(existing, name, place, sources):
            _shared[key] = existing
            return existing
        spec = ModuleSpec(name, None, is_package=True)
        if place.file is not None:
            spec = importlib.util.spec_from_file_location(name, place.file) or spec
        spec.submodule_search_locations = _search_locations(place)
        module = importlib.util.module_from_spec(spec)
        namespace: dict[str, Any] = module.__dict__
        # This is what `import` calls in the module's code, whenever it runs.
        namespace["__builtins__"] = {**vars(builtins), "__import__": self.import_}
        namespace["__name__"] = unique = unique_name(name, place)
        _imported_here.add(module)
        self._modules[name] = _shared[key] = module
        before = sys.modules.get(unique)
        sys.modules[unique] = module
        try:
            if name in sources and sources[name].is_python:
                # Not from Python's cache of bytecode, which may be of an earlier content.
                content = sources[name].content
                exec(compile(content, str(place.file), "exec", dont_inherit=True), namespace)
            elif place.file is not None and spec.loader is not None:
                spec.loader.exec_module(module)
        except BaseException:
            del self._modules[name], _shared[key]
            raise
        finally:
            if unique == name:
                put(name, before)  # `_show` decides who sees it from now on
        return module

    def _is_same(self, module: types.ModuleType, name: str, place: Place, sources: Sources) -> bool:
        """Returns whether a module that others imported is this one, and sees the same modules."""
        if module in _imported_here or place.file is None or is_another(module, place):
            return False
        for other, source in sources.items():
            if is_another(outside(other), Place(source.file, None)):
                return False
        for other, source in sources.items():  # what it has imported had this code
            _adopted.setdefault((other, source.file), self.sources(other))
        return _adopted.setdefault((name, place.file), sources) == sources

    def _show(self, name: str, module: types.ModuleType) -> None:
        """Shows a module to others, such as `pickle`, under its name while its scenario runs."""
        if is_taken(name.partition(".")[0]) or sys.modules.get(name) is module:
            return
        if not sys_modules.active:
            sys.modules[name] = module
        elif sys_modules.active[-1].owner is self:
            sys_modules.active[-1].show(name, module)

    def _node(self, name: str, requested: str) -> Optional[Node]:
        """Returns a module's code and what it imports; None where it is not the user's."""
        if self._read is None:
            return self._node_on_disk(name, requested)
        if name not in self._read:
            self._read[name] = self._node_on_disk(name, requested)
        return self._read[name]

    def _node_on_disk(self, name: str, requested: str) -> Optional[Node]:
        place = self._find(name, requested)
        if place is None or place.file is None:
            return None
        is_python = place.file.suffix in SOURCE_SUFFIXES
        if not place.is_users and (name.partition(".")[0] != requested or not is_python):
            return None
        content = place.file.read_bytes()
        package = name if place.folders else name.rpartition(".")[0]
        return Node(Source(place.file, content), imports_of(content, package) if is_python else ())

    def _find(self, name: str, requested: str) -> Optional[Place]:
        """Returns where a module is; only `requested` may have a standard module's name."""
        top, *rest = name.split(".")
        place = self._top(top, is_requested=top == requested)
        for submodule in rest:
            if place is None or place.folders is None:
                return None
            inner = find_in(submodule, place.folders)
            place = inner and Place(inner.file, inner.folders, place.is_users)
        return place

    def _top(self, top: str, is_requested: bool = False) -> Optional[Place]:
        """Returns where a top-level module is; None for a standard one unless it is requested."""
        if top == OURS or (top in STANDARD and not is_requested):
            return None
        place = find_in(top, self.folders)
        if place is not None and place.file is not None:
            return place
        return find_as_python(top) or place


class _Loader(Loader):
    """Hands a module of a space to Python's import system."""

    def __init__(self, load: Callable[[], types.ModuleType]) -> None:
        self._load = load

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return self._load()

    def exec_module(self, module: types.ModuleType) -> None:
        """Does nothing: the module's code has run."""


@functools.cache
def space_for(folders: tuple[str, ...]) -> Space:
    """Returns the space of these folders, the same one each time."""
    return Space(folders)


def _search_locations(place: Place) -> Optional[list[str]]:
    return None if place.folders is None else list(place.folders)


def _imported_names(module: types.ModuleType, fromlist: Sequence[str]) -> Iterator[str]:
    for name in fromlist:
        if name == "*":
            yield from (n for n in getattr(module, "__all__", ()) if isinstance(n, str))
        else:
            yield name
