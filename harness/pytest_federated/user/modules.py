"""The user's own modules: each scenario's folder comes first, whatever else is called the same.

A module of the user's own is kept apart from those of the same name elsewhere. What it imports, at
the top or within a function that is called much later, is looked for in the same folders again; so
two folders may each have a `model.py` that imports a `helper`. A module that has the name of an
installed or a standard one is seen by the user's own code only.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import importlib.util
import os
import sys
import sysconfig
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.abc import Loader  # pyright: ignore - its stub is of 3.10 and later; 3.9 has it
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ModuleSpec,
    PathFinder,
)
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

_OURS = __name__.partition(".")[0]
_SUFFIXES = (*EXTENSION_SUFFIXES, *SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)
_PATHS = sysconfig.get_paths()
_INSTALLED = tuple(
    str(Path(_PATHS[k]).resolve()) for k in ("stdlib", "platstdlib", "purelib", "platlib")
)
_PACKAGES = frozenset(("site-packages", "dist-packages"))  # Debian has the latter
_STANDARD: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset()) | frozenset(
    sys.builtin_module_names
)


class Source(NamedTuple):
    """A file of the user's code, and what it holds."""

    file: Path
    content: bytes

    @property
    def is_python(self) -> bool:
        """Whether it can be read, unlike bytecode and compiled extensions."""
        return self.file.suffix in SOURCE_SUFFIXES


Sources = Mapping[str, Source]  # by the name of the module


class _Node(NamedTuple):
    source: Source
    imports: Sequence[str]


@dataclass(frozen=True)
class _Place:
    """Where a module is: its file, None for a namespace package, and the folders of a package."""

    file: Optional[Path]
    folders: Optional[tuple[str, ...]]
    is_own: bool = True


@dataclass
class _Context:
    """What `own_folders` has changed, and puts back."""

    space: Space
    root: Optional[Path]
    before: dict[str, Optional[types.ModuleType]] = field(default_factory=dict)  # in sys.modules

    def show(self, name: str, module: Optional[types.ModuleType]) -> None:
        """Has everybody see `module` under that name; none where it is None."""
        self.before.setdefault(name, sys.modules.get(name))
        _put(name, module)

    def restore(self) -> None:
        for name, module in self.before.items():
            _put(name, module)


_contexts: list[_Context] = []
_read_from: list[Path] = []  # the folders of scenario files, the current one last
_scenario_folders: set[str] = set()
_shared: dict[Any, types.ModuleType] = {}  # modules by their code and all that it imports
_imported_here: weakref.WeakSet[types.ModuleType] = weakref.WeakSet()
_adopted: dict[tuple[str, Path], Sources] = {}  # what others had imported, when first met


@contextlib.contextmanager
def own_folders(*folders: Path, root: Optional[Path] = None) -> Iterator[None]:
    """Lets the user's modules and data files be found in `folders`, the first one first.

    Args:
        folders: that of the scenario file, then others.
        root: of the project: code is told apart by its place below it. The second folder where
            nothing is said.

    """
    paths = tuple(dict.fromkeys(str(f.absolute()) for f in folders))
    if root is None and len(folders) > 1:
        root = folders[1]
    context = _Context(_space(paths), root)
    foreign = context.space.foreign()
    for name in context.space.shadowed(foreign):
        context.show(name, None)
    # What is in the scenario's folders is not to hide what TensorFlow imports; `_Finder` finds it.
    served = foreign | {folder for folder in paths if Path(folder).name not in _PACKAGES}
    removed = [(place, p) for place, p in enumerate(sys.path) if str(Path(p).absolute()) in served]
    for _, entry in removed:
        sys.path.remove(entry)
    _contexts.append(context)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    try:
        with read_from(folders[0]) if folders else contextlib.nullcontext():
            yield
    finally:
        _contexts.remove(context)
        for place, entry in removed:
            sys.path.insert(place, entry)
        context.restore()


@contextlib.contextmanager
def read_from(folder: Path) -> Iterator[None]:
    """Says in which folder the scenarios are that are now read or run."""
    _read_from.append(folder.resolve())
    try:
        yield
    finally:
        _read_from.pop()


def scenario_folder() -> Optional[Path]:
    """The folder of the scenarios that are now read or run; None where they are in no file."""
    return _read_from[-1] if _read_from else None


def has_scenarios(folder: Path) -> None:
    """Says that a folder has scenarios, whose modules are not for those of other folders."""
    _scenario_folders.add(str(folder.absolute()))


def folders() -> tuple[Path, ...]:
    """Where the user's modules and data files are looked for, the first one first."""
    if _contexts and _contexts[-1].space.folders:
        return tuple(map(Path, _contexts[-1].space.folders))
    there = [Path(p).absolute() for p in sys.path if p and Path(p).is_dir() and not is_installed(p)]
    return tuple(dict.fromkeys([*there, Path.cwd()]))


def root() -> Optional[Path]:
    """The root of the project, where one is known."""
    return _contexts[-1].root if _contexts else None


def place(file: Path) -> str:
    """How a file is called on every machine: by its path below the root of the project."""
    top = root()
    return file.name if top is None else Path(os.path.relpath(file, top.resolve())).as_posix()


def space() -> Space:
    """The modules that the current scenario sees."""
    return _contexts[-1].space if _contexts else _space(())


def space_of(file: Path) -> tuple[Space, str]:
    """The modules that a file sees which was imported by others, as a conftest.py by pytest.

    Returns:
        The modules, and the name of the file's own among them.
    """
    parts, top = [file.stem] if file.stem != "__init__" else [], file.parent
    while (top / "__init__.py").exists() and top != top.parent:
        parts, top = [top.name, *parts], top.parent
    if is_installed(file) and str(file.parent) not in {*_scenario_folders, *space().folders}:
        return _space(()), ".".join(parts)
    # The last one for `from ..lib import x`, which pytest's mode importlib allows in any folder.
    seen = (str(top), str(file.parent), *space().folders, str(file.parent.parent))
    return _space(tuple(dict.fromkeys(seen))), ".".join(parts)


def import_file(file: Path) -> None:
    """Imports a file that others import elsewhere, as pytest does a conftest.py.

    Raises:
        Exception: whatever importing it raises.
    """
    near, name = space_of(file)
    near.load(name)


def outside(name: str) -> Optional[types.ModuleType]:
    """The module of that name that all others see, those of pytest's conftest.py too."""
    for context in _contexts:
        if name in context.before:
            return context.before[name]
    return sys.modules.get(name)


def is_installed(path: Union[str, Path]) -> bool:
    """Whether a file or folder belongs to Python or to its installed packages."""
    resolved = Path(path).resolve()
    # Packages may be of several environments, as with system packages or `uv run --with`.
    is_package = not _PACKAGES.isdisjoint(resolved.parts)
    return is_package or str(resolved).startswith(_INSTALLED)


class Space:
    """Modules that see each other: those found from some folders, the first one first."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self.folders = folders
        self._modules: dict[str, types.ModuleType] = {}
        self._loaded: dict[str, Sources] = {}  # by the module that was asked for
        self._read: Optional[dict[str, Optional[_Node]]] = None  # while a module is loaded

    def load(self, name: str) -> types.ModuleType:
        """The module of that name; imported again, with what it imports, if that has changed.

        Raises:
            ModuleNotFoundError: there is none.
            Exception: whatever importing it raises.
        """
        importlib.invalidate_caches()  # the file may be younger than Python's look at its folder
        top = name.partition(".")[0]
        found = self._top(top, is_asked_for=True)
        if found is None or not (found.is_own or _is_another(sys.modules.get(top), found)):
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
        tops = {name.partition(".")[0] for name in sys.modules} - {_OURS, "__main__"}
        hidden = {top for top in tops if _folder_of(top) in foreign} if foreign else set()
        for top in tops & names - hidden:
            found = _look(top, self.folders)
            if found and not _is_taken(top) and _is_another(sys.modules.get(top), found):
                hidden.add(top)
        return [name for name in sys.modules if name.partition(".")[0] in hidden]

    def foreign(self) -> set[str]:
        """Folders of other scenarios, less those that these folders are in."""
        if not self.folders:
            return set()
        return _scenario_folders - {*self.folders, *map(str, Path(self.folders[0]).parents)}

    def has(self, name: str) -> bool:
        """Whether these folders have the module, and no installed one is called so."""
        top = name.partition(".")[0]
        if top == _OURS or _is_taken(top):
            return False
        found = _look(top, self.folders)
        if found is None or (found.file is None and _ordinary(top) is not None):
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
        if found is None or not found.is_own or (is_itself and _is_taken(top)):
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

    def _imported(self, name: str, found: _Place) -> types.ModuleType:
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
        own["__name__"] = shown = _shown_name(name, found)
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
                _put(name, before)  # `_show` decides who sees it from now on
        return module

    def _is_that(
        self, module: types.ModuleType, name: str, found: _Place, sources: Sources
    ) -> bool:
        """Whether a module that others imported is this one, and sees the same modules."""
        if module in _imported_here or found.file is None or _is_another(module, found):
            return False
        for other, source in sources.items():
            if _is_another(outside(other), _Place(source.file, None)):
                return False
        for other, source in sources.items():  # whatever it has imported is of now
            _adopted.setdefault((other, source.file), self.sources(other))
        return _adopted.setdefault((name, found.file), sources) == sources

    def _show(self, name: str, module: types.ModuleType) -> None:
        """Has others, such as `pickle`, see a module under its name while its scenario runs."""
        if _is_taken(name.partition(".")[0]) or sys.modules.get(name) is module:
            return
        if not _contexts:
            sys.modules[name] = module
        elif _contexts[-1].space is self:
            _contexts[-1].show(name, module)

    def _node(self, name: str, asked: str) -> Optional[_Node]:
        """A module's code, and what it imports; None for one that is not the user's own."""
        if self._read is None:
            return self._node_on_disk(name, asked)
        if name not in self._read:
            self._read[name] = self._node_on_disk(name, asked)
        return self._read[name]

    def _node_on_disk(self, name: str, asked: str) -> Optional[_Node]:
        found = self._find(name, asked)
        if found is None or found.file is None:
            return None
        is_python = found.file.suffix in SOURCE_SUFFIXES
        if not found.is_own and (name.partition(".")[0] != asked or not is_python):
            return None
        content = found.file.read_bytes()
        package = name if found.folders else name.rpartition(".")[0]
        return _Node(Source(found.file, content), _imports(content, package) if is_python else ())

    def _find(self, name: str, asked: str) -> Optional[_Place]:
        """Where a module is; `asked` is a top-level name that may be that of a standard module."""
        top, *rest = name.split(".")
        found = self._top(top, is_asked_for=top == asked)
        for part in rest:
            if found is None or found.folders is None:
                return None
            inner = _look(part, found.folders)
            found = inner and _Place(inner.file, inner.folders, found.is_own)
        return found

    def _top(self, top: str, is_asked_for: bool = False) -> Optional[_Place]:
        """Where a top-level module is; a standard one where its name is only imported."""
        if top == _OURS or (top in _STANDARD and not is_asked_for):
            return None
        own = _look(top, self.folders)
        if own is not None and own.file is not None:
            return own
        return _ordinary(top) or own


class _Loader(Loader):
    """Gives Python's import system a module of a space."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return self._space._module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """It has run already."""


class _Finder:
    """While a scenario runs, others too find in its folders what is not installed."""

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Any = None
    ) -> Optional[ModuleSpec]:
        if not _contexts or not _contexts[-1].space.has(name):
            return None
        return _contexts[-1].space.spec(name)


_finder = _Finder()


@functools.cache
def _space(folders: tuple[str, ...]) -> Space:
    return Space(folders)


def _put(name: str, module: Optional[types.ModuleType]) -> None:
    if module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module


def _listed(found: _Place) -> Optional[list[str]]:
    return None if found.folders is None else list(found.folders)


def _look(part: str, folders: Iterable[str]) -> Optional[_Place]:
    """The first module or package of that name in these folders, or a package without a file."""
    portions = []
    for folder in folders:
        base = Path(folder, part)
        if base.is_dir():
            for suffix in _SUFFIXES:
                if (file := base / f"__init__{suffix}").is_file():
                    return _Place(file, (str(base),))
            portions.append(str(base))
        for suffix in _SUFFIXES:
            if (file := Path(folder, part + suffix)).is_file():
                return _Place(file, None)
    return _Place(None, tuple(portions)) if portions else None


def _ordinary(top: str) -> Optional[_Place]:
    """Where Python itself would find a top-level module now."""
    spec = None
    for finder in list(sys.meta_path):
        # pytest's own only rewrites assertions of what the others find.
        if finder is _finder or type(finder).__module__.startswith("_pytest"):
            continue
        find = getattr(finder, "find_spec", None)
        if find and (spec := find(top, None)):
            break
    if spec is None:
        return None
    inner = spec.submodule_search_locations
    inner = None if inner is None else tuple(inner)
    if spec.has_location and spec.origin is not None:
        return _Place(Path(spec.origin), inner, not is_installed(spec.origin))
    if inner and spec.origin is None:
        return _Place(None, inner, not is_installed(inner[0]))
    return None


def _is_taken(top: str) -> bool:
    """Whether a standard or an installed module has that name."""
    return top in _STANDARD or _is_installed_name(top, tuple(sys.path))


@functools.lru_cache(maxsize=1 << 12)
def _is_installed_name(top: str, path: tuple[str, ...]) -> bool:
    installed = [p for p in path if p and p not in _scenario_folders and is_installed(p)]
    spec = PathFinder.find_spec(top, installed)
    return spec is not None and spec.origin is not None


def _folder_of(top: str) -> str:
    """The folder from which a top-level module was imported."""
    file = Path(getattr(sys.modules.get(top), "__file__", None) or "")
    return str(file.parent.parent if file.stem == "__init__" else file.parent)


def _is_another(module: Any, found: _Place) -> bool:
    """Whether a module that is imported is not the one of that file."""
    if module is None or found.file is None:
        return False
    file = getattr(module, "__file__", None)
    return file is None or Path(file).resolve() != found.file.resolve()


def _shown_name(name: str, found: _Place) -> str:
    """A module's `__name__`: another one where an installed or a standard module is called so."""
    top, dot, rest = name.partition(".")
    if not _is_taken(top):
        return name
    depth = name.count(".") + (found.folders is not None)
    return f"{top}@{(found.file or Path('/')).parents[depth]}{dot}{rest}" if found.file else name


def _wanted(module: types.ModuleType, fromlist: Sequence[str]) -> Iterator[str]:
    for name in fromlist:
        if name == "*":
            yield from (n for n in getattr(module, "__all__", ()) if isinstance(n, str))
        else:
            yield name


@functools.lru_cache(maxsize=1 << 12)
def _imports(content: bytes, package: str) -> tuple[str, ...]:
    """Names of the modules that the source of a module in `package` may import."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # importing it will say what is wrong
        return ()
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(filter(None, [*above, base]))
            if base:
                names.append(base)
            names += (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
    return tuple(sorted(set(names)))
