"""The user's own functions that scenarios name: finding, importing and telling them apart.

Two scenario folders may each have a module of the same name, and a module may change between two
runs. So a function is known by its code, not by its name.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import textwrap
import traceback
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Optional, get_args

from pydantic import BaseModel, Field

from pytest_federated.core.errors import FederatedError
from pytest_federated.user.installed import is_installed
from pytest_federated.user.modules import place, space, space_of
from pytest_federated.user.sources import Source, Sources
from pytest_federated.user.sys_modules import outside

# Of code that cannot be read: the same in this process, and never again.
_UNREADABLE = uuid.uuid4().hex


class _IsCode:
    """Marks a key as one that names code."""


# The annotation of a key that names a function of the user's.
UserFunction = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), _IsCode()]

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


def load(reference: str) -> Callable[..., Any]:
    """The function of ``"module:function"``, from the first module of that name.

    It is looked for in the scenario's folders, then on `sys.path`. A module that has changed since
    it was imported is imported again, with those of the user's own that it imports.

    Raises:
        ModuleNotFoundError: there is no such module.
        AttributeError: the module has no such function.
        Exception: whatever importing the module raises.

    """
    module, _, name = reference.partition(":")
    return getattr(space().load(module), name)


def demand(reference: str, key: str, error: type[FederatedError]) -> Callable[..., Any]:
    """The function of ``"module:function"``, as `load`.

    Raises:
        FederatedError: an `error` that says what is wrong with the `key` of the scenario.

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
    error: type[FederatedError],
) -> Any:
    """What a function returns for `args`, and for those of `known` that it has parameters for.

    Raises:
        FederatedError: an `error` that says what the function raised; `what` are its key and name.

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
    return isinstance(error, FederatedError) and not str(error).startswith(_REWRITTEN)


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
    files, is not seen. Code that cannot be read, as it is only there compiled, is taken for other
    code in each process.

    Returns:
        64 hexadecimal digits; the same for a module that cannot be found.
    """
    return _digest(space().sources(module))


def fingerprint_of(files: Iterable[str]) -> str:
    """Hash of Python files, which others have imported, and of all that they import.

    Where a file's own folder, the scenario's folders and what is imported already have different
    modules of one name, all of them count. A file that is not there is code that cannot be read.
    """
    sources: dict[str, Source] = {}
    todo, seen = sorted(files), set()
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        if not Path(file).is_file():
            sources[file] = Source(Path(file).with_suffix(""), b"")
            continue
        near, name = space_of(Path(file))
        found, imported = near.look(name)
        sources[file] = Source(Path(file), Path(file).read_bytes())
        sources |= {str(s.file): s for s in found.values()}
        for other in imported - {name}:
            module = outside(other)
            if (there := getattr(module, "__file__", None)) and not is_installed(there):
                todo.append(there)
            sources |= {str(s.file): s for s in space().look(other, asked="")[0].values()}
    return _digest({place(source.file): source for source in sources.values()})


def files_of(function: Any) -> set[str]:
    """The files of a function's own code, also of what it wraps, binds, inherits or closes over.

    Code that comes from no file has the name that Python gives it, such as ``<string>``.
    """
    files: set[str] = set()
    todo, seen = [function], set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, functools.partial):
            todo += [one.func, *filter(callable, (*one.args, *one.keywords.values()))]
        elif isinstance(one, types.MethodType):
            todo += [one.__func__, one.__self__]
        elif isinstance(one, types.FunctionType):
            wrapped = getattr(one, "__wrapped__", None)
            if wrapped is None or Path(one.__code__.co_filename).is_file():
                files.add(one.__code__.co_filename)
            cells = [cell.cell_contents for cell in one.__closure__ or () if _is_filled(cell)]
            todo += [wrapped, *filter(callable, cells)]
        elif isinstance(one, type):
            if own := _files_of_methods(one):
                files |= own
                todo += one.__bases__
        elif callable(one):
            todo += [type(one), getattr(one, "__wrapped__", None)]
            if _files_of_methods(type(one)):
                todo += filter(callable, vars(one).values())
    return {f for f in files if not is_installed(f)}


def _files_of_methods(one: type) -> set[str]:
    """The files of a class's own methods; none for an installed class."""
    inner = (getattr(v, "__func__", getattr(v, "fget", v)) for v in vars(one).values())
    files = {f.__code__.co_filename for f in inner if isinstance(f, types.FunctionType)}
    files.discard("<string>")  # as dataclasses have
    return set() if any(map(is_installed, files)) else files


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _digest(sources: Sources) -> str:
    digest = hashlib.sha256()
    for name, source in sorted(sources.items()):
        where = "" if is_installed(source.file) else place(source.file)
        digest.update(repr((name, where, len(source.content))).encode() + source.content)
        if not source.is_python:
            digest.update(_UNREADABLE.encode())
    return digest.hexdigest()


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
