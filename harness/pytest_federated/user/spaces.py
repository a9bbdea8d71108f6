"""Modules of the user that see each other, kept apart from others of the same names.

What such a module imports, at the top or within a function that is called much later, is looked
for in the same folders again; so two folders may each have a `model.py` that imports a `helper`.
"""

from __future__ import annotations

import builtins
import functools
import importlib.util
import sys
import types
import weakref
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import Loader  # pyright: ignore - its stub is of 3.10 and later; 3.9 has it
from importlib.machinery import SOURCE_SUFFIXES, ModuleSpec
from pathlib import Path
from typing import Any, Optional

from pytest_federated.user import sys_modules
from pytest_federated.user.installed import OURS, STANDARD, is_taken, scenario_folders
from pytest_federated.user.lookup import Place, folder_of, is_another, look_in, ordinary, shown_name
from pytest_federated.user.sources import Node, Source, Sources, imports_of
from pytest_federated.user.sys_modules import outside, put

_shared: dict[Any, types.ModuleType] = {}  # modules by their code and all that it imports
_imported_here: weakref.WeakSet[types.ModuleType] = weakref.WeakSet()
_adopted: dict[tuple[str, Path], Sources] = {}  # what others had imported, when first met


class Space:
    """Modules that see each other: those found from some folders, the first one first."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self.folders = folders
        self._modules: dict[str, types.ModuleType] = {}
        self._loaded: dict[str, Sources] = {}  # by the module that was asked for
        self._read: Optional[dict[str, Optional[Node]]] = None  # while a module is loaded

    def load(self, name: str) -> types.ModuleType:
        """The module of that name; imported again, with what it imports, if that has changed.

        Raises:
            ModuleNotFoundError: there is none.
            Exception: whatever importing it raises.
        """
        importlib.invalidate_caches()  # the file may be younger than Python's look at its folder
        top = name.partition(".")[0]
        found = self._top(top, is_asked_for=True)
        if found is None or not (found.is_own or is_another(sys.modules.get(top), found)):
            return importlib.import_module(name)
        self._read = {}
        try:
            sources = self.sources(name)
            if self._loaded.get(name) != sources:
                for known in sources:
                    self._modules.pop(known, None)
                self._loaded[name] = sources
            return self._module(name)
        finally:
            self._read = None

    def sources(self, name: str) -> dict[str, Source]:
        """The code of a module and of all that it imports of the user's own, by module."""
        return self.look(name)[0]

    def look(self, name: str, asked: Optional[str] = None) -> tuple[dict[str, Source], set[str]]:
        """As `sources`, and the names of all that is imported there.

        `asked` is the package that is read though it is installed: that of `name`.
        """
        asked = name.partition(".")[0] if asked is None else asked
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
            node = self._node(name, asked)
            if node is not None:
                sources[name] = node.source
                todo += node.imports
        return sources, seen

    def shadowed(self, foreign: set[str]) -> list[str]:
        """What is in `sys.modules`, and is not what these folders have, or is of `foreign` ones."""
        if not self.folders:
            return []
        there = (Path(folder) for folder in self.folders if Path(folder).is_dir())
        names = {entry.name.partition(".")[0] for folder in there for entry in folder.iterdir()}
        tops = {name.partition(".")[0] for name in sys.modules} - {OURS, "__main__"}
        hidden = {top for top in tops if folder_of(top) in foreign} if foreign else set()
        for top in tops & names - hidden:
            found = look_in(top, self.folders)
            if found and not is_taken(top) and is_another(sys.modules.get(top), found):
                hidden.add(top)
        return [name for name in sys.modules if name.partition(".")[0] in hidden]

    def foreign(self) -> set[str]:
        """Folders of other scenarios, less those that these folders are in."""
        if not self.folders:
            return set()
        return scenario_folders - {*self.folders, *map(str, Path(self.folders[0]).parents)}

    def has(self, name: str) -> bool:
        """Whether these folders have the module, and no installed one is called so."""
        top = name.partition(".")[0]
        if top == OURS or is_taken(top):
            return False
        found = look_in(top, self.folders)
        if found is None or (found.file is None and ordinary(top) is not None):
            return False
        return self._find(name, top) is not None

    def spec(self, name: str) -> ModuleSpec:
        """For Python's own import system, of a module that these folders have."""
        found = self._find(name, name.partition(".")[0])
        assert found is not None
        spec = ModuleSpec(name, _Loader(self), origin=str(found.file))
        spec.submodule_search_locations = _listed(found)
        return spec

    def import_(
        self,
        name: str,
        globals: Optional[Mapping[str, Any]] = None,
        locals: Optional[Mapping[str, Any]] = None,
        fromlist: Optional[Sequence[str]] = (),
        level: int = 0,
    ) -> types.ModuleType:
        """Python's `__import__`, of the modules of this space."""
        own = globals or {}
        full = name
        if level and own.get("__package__"):
            full = importlib.util.resolve_name("." * level + name, own["__package__"])
        top = full.partition(".")[0]
        found = self._top(top, is_asked_for=level > 0)
        # A keras.py that imports keras means the other one.
        is_itself = not level and found is not None and str(found.file) == own.get("__file__")
        if found is None or not found.is_own or (is_itself and is_taken(top)):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self._module(full)
        if not fromlist:
            return module if level else self._module(top)
        for wanted in _wanted(module, fromlist):
            if not hasattr(module, wanted) and self._find(f"{full}.{wanted}", top) is not None:
                self._module(f"{full}.{wanted}")
        return module

    def _module(self, name: str) -> types.ModuleType:
        """The module of that name, which is the user's own; imported if need be."""
        above, _, last = name.rpartition(".")
        package = self._module(above) if above else None
        if name not in self._modules:
            found = self._find(name, name.partition(".")[0])
            if found is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            self._modules[name] = self._imported(name, found)
            if package is not None:
                setattr(package, last, self._modules[name])
        self._show(name, self._modules[name])
        return self._modules[name]

    def _imported(self, name: str, found: Place) -> types.ModuleType:
        sources = self.sources(name)
        key = name, found.file, found.folders, tuple(sorted(sources.items()))
        if key in _shared:
            return _shared[key]
        there = outside(name)
        if there is not None and self._is_that(there, name, found, sources):
            _shared[key] = there
            return there
        spec = ModuleSpec(name, None, is_package=True)
        if found.file is not None:
            spec = importlib.util.spec_from_file_location(name, found.file) or spec
        spec.submodule_search_locations = _listed(found)
        module = importlib.util.module_from_spec(spec)
        own: dict[str, Any] = module.__dict__
        # What `import` calls in this module's code, whenever it runs.
        own["__builtins__"] = {**vars(builtins), "__import__": self.import_}
        own["__name__"] = shown = shown_name(name, found)
        _imported_here.add(module)
        self._modules[name] = _shared[key] = module
        before = sys.modules.get(shown)
        sys.modules[shown] = module
        try:
            if name in sources and sources[name].is_python:
                # These very bytes, not what Python's cache of bytecode has for them.
                exec(
                    compile(sources[name].content, str(found.file), "exec", dont_inherit=True), own
                )
            elif found.file is not None and spec.loader is not None:
                spec.loader.exec_module(module)
        except BaseException:
            del self._modules[name], _shared[key]
            raise
        finally:
            if shown == name:
                put(name, before)  # `_show` decides who sees it from now on
        return module

    def _is_that(self, module: types.ModuleType, name: str, found: Place, sources: Sources) -> bool:
        """Whether a module that others imported is this one, and sees the same modules."""
        if module in _imported_here or found.file is None or is_another(module, found):
            return False
        for other, source in sources.items():
            if is_another(outside(other), Place(source.file, None)):
                return False
        for other, source in sources.items():  # whatever it has imported is of now
            _adopted.setdefault((other, source.file), self.sources(other))
        return _adopted.setdefault((name, found.file), sources) == sources

    def _show(self, name: str, module: types.ModuleType) -> None:
        """Has others, such as `pickle`, see a module under its name while its scenario runs."""
        if is_taken(name.partition(".")[0]) or sys.modules.get(name) is module:
            return
        if not sys_modules.active:
            sys.modules[name] = module
        elif sys_modules.active[-1].owner is self:
            sys_modules.active[-1].show(name, module)

    def _node(self, name: str, asked: str) -> Optional[Node]:
        """A module's code, and what it imports; None for one that is not the user's own."""
        if self._read is None:
            return self._node_on_disk(name, asked)
        if name not in self._read:
            self._read[name] = self._node_on_disk(name, asked)
        return self._read[name]

    def _node_on_disk(self, name: str, asked: str) -> Optional[Node]:
        found = self._find(name, asked)
        if found is None or found.file is None:
            return None
        is_python = found.file.suffix in SOURCE_SUFFIXES
        if not found.is_own and (name.partition(".")[0] != asked or not is_python):
            return None
        content = found.file.read_bytes()
        package = name if found.folders else name.rpartition(".")[0]
        return Node(Source(found.file, content), imports_of(content, package) if is_python else ())

    def _find(self, name: str, asked: str) -> Optional[Place]:
        """Where a module is; `asked` is a top-level name that may be that of a standard module."""
        top, *rest = name.split(".")
        found = self._top(top, is_asked_for=top == asked)
        for part in rest:
            if found is None or found.folders is None:
                return None
            inner = look_in(part, found.folders)
            found = inner and Place(inner.file, inner.folders, found.is_own)
        return found

    def _top(self, top: str, is_asked_for: bool = False) -> Optional[Place]:
        """Where a top-level module is; a standard one where its name is only imported."""
        if top == OURS or (top in STANDARD and not is_asked_for):
            return None
        own = look_in(top, self.folders)
        if own is not None and own.file is not None:
            return own
        return ordinary(top) or own


class _Loader(Loader):
    """Gives Python's import system a module of a space."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return self._space._module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """It has run already."""


@functools.cache
def space_for(folders: tuple[str, ...]) -> Space:
    """Returns the space of these folders, the same one each time."""
    return Space(folders)


def _listed(found: Place) -> Optional[list[str]]:
    return None if found.folders is None else list(found.folders)


def _wanted(module: types.ModuleType, fromlist: Sequence[str]) -> Iterator[str]:
    for name in fromlist:
        if name == "*":
            yield from (n for n in getattr(module, "__all__", ()) if isinstance(n, str))
        else:
            yield name
