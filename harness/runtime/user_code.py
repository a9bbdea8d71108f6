"""The user's own functions that scenarios name: finding, importing and telling them apart.

Two scenario folders may each have a module of the same name, and a module may change between two
runs. So a function is known by its code, not by its name.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import inspect
import re
import sys
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Annotated, Any, Optional, Union, get_args

from pydantic import BaseModel, Field

from harness.errors import HarnessError


class _IsCode:
    """Marks a key as one that names code."""


# The annotation of a key that names a function of the user's.
UserFunction = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), _IsCode()]

_PATHS = sysconfig.get_paths()
_INSTALLED = tuple(
    str(Path(_PATHS[k]).resolve()) for k in ("stdlib", "platstdlib", "purelib", "platlib")
)
_PACKAGES = frozenset(("site-packages", "dist-packages"))  # Debian has the latter


_OURS = Path(__file__).resolve().parents[1]

# What Keras writes around the message of an error in a layer's call, and what autograph writes:
# the lines that led to it, as "File ..., line ..., in ...", and then the error.
_KERAS = re.compile(
    r"Exception encountered when calling [^\n]*\n\n(.*?)(?:\n\nCall arguments received by .*)?$",
    re.DOTALL,
)
_REWRITTEN = "in user code:"
_FRAME = re.compile(r'^ *File "([^"]+)", line (\d+), in [^\n]*\n +([^\n]*)', re.MULTILINE)
_AUTOGRAPH = re.compile(r"\n\n    ([A-Za-z_][\w.]*): (.*)$", re.DOTALL)

# The sources of what was imported, by the module that was asked for.
_loaded: dict[str, dict[str, bytes]] = {}


@contextlib.contextmanager
def own_folders(*folders: Path) -> Iterator[None]:
    """Lets the user's modules and data files be found in `folders`, the first one first."""
    added = [str(f) for f in dict.fromkeys(folders) if str(f) not in sys.path]
    sys.path[:0] = added
    try:
        yield
    finally:
        for folder in added:
            if folder in sys.path:
                sys.path.remove(folder)


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


def demand(reference: str, key: str, error: type[HarnessError]) -> Callable[..., Any]:
    """The function of ``"module:function"``, as `load`.

    Raises:
        HarnessError: an `error` that says what is wrong with the `key` of the scenario.

    """
    module, _, name = reference.partition(":")
    try:
        return load(reference)
    except ModuleNotFoundError as bad:
        raise error(
            f"{key}: {first_line(bad)}; looked in the scenario's folder, the folder where pytest "
            "runs, and the installed packages"
        ) from bad
    except AttributeError as bad:
        raise error(f"{key}: the module {module!r} has no function {name!r}") from bad
    except Exception as bad:
        raise error(f"{key}: importing {module!r} raised {blamed(bad)}") from bad


def call(
    function: Callable[..., Any],
    known: Mapping[str, Any],
    args: Mapping[str, Any],
    what: str,
    error: type[HarnessError],
) -> Any:
    """What a function returns for `args`, and for those of `known` that it has parameters for.

    Raises:
        HarnessError: an `error` that says what the function raised; `what` are its key and name.

    """
    try:
        wanted = inspect.signature(function).parameters
        return function(**{k: v for k, v in known.items() if k in wanted}, **args)
    except Exception as bad:
        raise error(f"{what} raised {blamed(bad)}") from bad


def first_line(error: BaseException) -> str:
    """Kind and first line of an exception, for one line of a message."""
    kind, text = cause(error)
    line = text.strip().partition("\n")[0]
    return f"{kind}: {line}" if line else kind


def blamed(error: BaseException) -> str:
    """The error's first line and the innermost line of the user's code that led to it."""
    line = user_line(error)
    return (
        f"{first_line(error)} (line {line[1]} of {line[0]}: {line[2]})"
        if line
        else first_line(error)
    )


def user_line(error: BaseException) -> Optional[tuple[str, int, str]]:
    """File, number and text of the innermost line of the user's code that led to an error."""
    frames = [
        (f.filename, f.lineno or 0, f.line or "") for f in traceback.extract_tb(error.__traceback__)
    ]
    # What autograph rewrote has no frames of its own: its message names the lines.
    return next((f for f in reversed(frames + _unwrapped(error)[2]) if _is_users(f[0])), None)


def is_for_the_reader(error: BaseException) -> bool:
    """Whether an error is one of ours as it was raised, not as autograph rewrote it."""
    return isinstance(error, HarnessError) and not str(error).startswith(_REWRITTEN)


def cause(error: BaseException) -> tuple[str, str]:
    """Kind and message of an exception, without what Keras and autograph write around it."""
    return _unwrapped(error)[:2]


def _unwrapped(error: BaseException) -> tuple[str, str, list[tuple[str, int, str]]]:
    """The same, and the lines that autograph says have led to it."""
    kind, text = type(error).__name__, str(error)
    rewritten: Any = getattr(getattr(error, "ag_error_metadata", None), "translated_stack", ())
    frames: list[tuple[str, int, str]] = [
        (f.filename, f.lineno, str(f.code).strip()) for f in reversed(rewritten)
    ]
    while True:
        if match := _KERAS.match(text):
            text = match[1]
        elif text.startswith(_REWRITTEN) and (match := _AUTOGRAPH.search(text)):
            lines = _FRAME.findall(text[: match.start()])
            frames += [(file, int(number), line) for file, number, line in lines]
            kind, text = match[1].rpartition(".")[2], textwrap.dedent(f"    {match[2]}")
        else:
            return kind, text, frames


def _is_users(file: str) -> bool:
    """Whether a file of a traceback is neither Python's, nor a package's, nor ours."""
    return not (
        file.startswith("<")
        or "__autograph_generated_file" in file
        or is_installed(file)
        or _OURS in Path(file).resolve().parents
    )


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


def is_installed(path: Union[str, Path]) -> bool:
    """Whether a file or folder belongs to Python or to its installed packages."""
    resolved = Path(path).resolve()
    # Packages may be of several environments, as with system packages or `uv run --with`.
    is_package = not _PACKAGES.isdisjoint(resolved.parts)
    return is_package or str(resolved).startswith(_INSTALLED)


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
    """Of each function that a validated section names, the module's `fingerprint`, by reference."""
    return {name: fingerprint(name.partition(":")[0]) for name in marked(section, _IsCode)}


def marked(section: BaseModel, mark: type) -> Iterator[Any]:
    """The values, but None, of all keys of a section whose annotation has a note of type `mark`."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        optional = [n for t in get_args(field.annotation) for n in getattr(t, "__metadata__", ())]
        if value is not None and any(isinstance(n, mark) for n in (*field.metadata, *optional)):
            yield value
        inner = list(value.values()) if isinstance(value, dict) else value
        for part in inner if isinstance(inner, (list, tuple)) else [inner]:
            if isinstance(part, BaseModel):
                yield from marked(part, mark)


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
