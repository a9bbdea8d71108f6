"""The user's functions that scenarios name: finding, importing and recognizing them by code.

Two scenario folders may each have a module of the same name, and a module may change between two
runs. So a function is identified by its code, not by its name.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import re
import textwrap
import traceback
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel, Field

from pytest_federated.core.errors import FederatedError
from pytest_federated.user.installed import is_installed, versions_of
from pytest_federated.user.modules import place, space, space_of
from pytest_federated.user.permitted import NotPermitted, load_permitted, permitted
from pytest_federated.user.sources import Source, Sources
from pytest_federated.user.sys_modules import outside

# Stands for code that cannot be read: the same within this process, different in any other, also in
# one that is forked from this.
_unreadable = uuid.uuid4().hex


def _renew_unreadable() -> None:
    global _unreadable
    _unreadable = uuid.uuid4().hex


os.register_at_fork(after_in_child=_renew_unreadable)


class _IsCode:
    """Marks a key as one that names code."""


# The annotation of a key that names one of the user's functions.
UserFunction = Annotated[
    str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), AfterValidator(permitted), _IsCode()
]

_OURS = Path(__file__).resolve().parents[1]

# Keras wraps the message of an error in a layer's call. Autograph writes the lines that led to an
# error, as "File ..., line ..., in ...", and then the error.
_KERAS = re.compile(
    r"Exception encountered when calling [^\n]*\n\n(.*?)(?:\n\nCall arguments received by .*)?$",
    re.DOTALL,
)
_REWRITTEN = "in user code:"
_FRAME = re.compile(r'^ *File "([^"]+)", line (\d+), in [^\n]*\n +([^\n]*)', re.MULTILINE)
_AUTOGRAPH = re.compile(r"\n\n    ([A-Za-z_][\w.]*): (.*)$", re.DOTALL)


def load(reference: str) -> Callable[..., Any]:
    """Returns the function of ``"module:function"``, from the first module of that name.

    It is looked for in the scenario's folders, then on `sys.path`. A module that has changed since
    it was imported is imported again, and so are the user's modules that it imports.

    Raises:
        NotPermitted: it is Python's own.
        ModuleNotFoundError: there is no such module.
        AttributeError: the module has no such function.
        Exception: whatever importing the module raises.

    """
    return load_permitted(reference)


def require(reference: str, key: str, kind: type[FederatedError]) -> Callable[..., Any]:
    """Returns the function of ``"module:function"``, as `load` does.

    Raises:
        FederatedError: it cannot be loaded; of this `kind`, and naming the scenario's `key`.

    """
    module, _, name = reference.partition(":")
    try:
        return load(reference)
    except NotPermitted as error:
        raise kind(f"{key}: {error}") from error
    except ModuleNotFoundError as error:
        raise kind(
            f"{key}: {first_line(error)}; looked in the scenario's folder, the folder where pytest "
            "runs, and the installed packages"
        ) from error
    except AttributeError as error:
        raise kind(f"{key}: the module {module!r} has no function {name!r}") from error
    except Exception as error:
        raise kind(f"{key}: importing {module!r} raised {blamed(error)}") from error


def call(
    function: Callable[..., Any],
    context: Mapping[str, Any],
    args: Mapping[str, Any],
    what: str,
    kind: type[FederatedError],
) -> Any:
    """Calls a function of the user's and returns its result.

    Args:
        function: what to call.
        context: arguments that it is passed where it has parameters of these names.
        args: arguments that it is always passed.
        what: the function's key and name, for the message.
        kind: the class of the error.

    Raises:
        FederatedError: the function raised; an error of this `kind` that says what.

    """
    try:
        parameters = inspect.signature(function).parameters
        return function(**{k: v for k, v in context.items() if k in parameters}, **args)
    except Exception as error:
        raise kind(f"{what} raised {blamed(error)}") from error


def first_line(error: BaseException) -> str:
    """Returns the kind and the first line of an exception, for one line of a message."""
    kind, text = cause(error)
    line = text.strip().partition("\n")[0]
    return f"{kind}: {line}" if line else kind


def blamed(error: BaseException) -> str:
    """Returns the error's first line, and the innermost line of the user's code that led to it."""
    line = user_line(error)
    return (
        f"{first_line(error)} (line {line[1]} of {line[0]}: {line[2]})"
        if line
        else first_line(error)
    )


def user_line(error: BaseException) -> Optional[tuple[str, int, str]]:
    """Returns file, number and text of the innermost user's line that led to an error."""
    frames = [
        (f.filename, f.lineno or 0, f.line or "") for f in traceback.extract_tb(error.__traceback__)
    ]
    # Code that autograph rewrote has no frames: the error's message names the lines.
    return user_line_of(frames + _unwrapped(error)[2])


def user_line_of(frames: Iterable[tuple[str, int, str]]) -> Optional[tuple[str, int, str]]:
    """Returns the innermost of these frames (file, number, text) that is of the user's code."""
    return next((f for f in reversed(list(frames)) if _is_users(f[0])), None)


def is_for_the_reader(error: BaseException) -> bool:
    """Returns whether an error is a `FederatedError` as raised, not as autograph rewrote it."""
    return isinstance(error, FederatedError) and not str(error).startswith(_REWRITTEN)


def cause(error: BaseException) -> tuple[str, str]:
    """Returns kind and message of an exception, without what Keras and autograph put around it."""
    return _unwrapped(error)[:2]


def _unwrapped(error: BaseException) -> tuple[str, str, list[tuple[str, int, str]]]:
    """Returns the same, and the lines (file, number, text) that autograph says led to it."""
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
    """Returns whether a file of a traceback is neither Python's, nor a package's, nor ours."""
    return not (
        file.startswith("<")
        or "__autograph_generated_file" in file
        or is_installed(file)
        or _OURS in Path(file).resolve().parents
    )


def fingerprint(module: str) -> str:
    """Returns a hash of a module's source and of all the user's modules that it imports.

    They are read, not imported. Of the installed packages that they import it has the versions, and
    the source of the package that the module itself belongs to. What code imports by computed
    names, or reads from files, is not seen. Code that exists only in compiled form cannot be read,
    and counts as different code in each process.

    Returns:
        64 hexadecimal digits; the same ones for every module that cannot be found.
    """
    sources, imported = space().look(module)
    return _digest(sources, imported - set(sources))


def fingerprint_of(files: Iterable[str]) -> str:
    """Returns a hash of Python files that others have imported, and of all that they import.

    Where the file's folder, the scenario's folders and what is already imported have different
    modules of one name, all of them count. A file that does not exist is code that cannot be read.
    Installed packages count with their versions.
    """
    sources: dict[str, Source] = {}
    names: set[str] = set()
    todo = sorted(files)
    seen: set[str] = set()
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        if not Path(file).is_file():
            sources[file] = Source(Path(file).with_suffix(""), b"")
            continue
        near, name = space_of(Path(file))
        modules, imported = near.look(name)
        sources[file] = Source(Path(file), Path(file).read_bytes())
        sources |= {str(s.file): s for s in modules.values()}
        names |= imported - set(modules)
        for other in imported - {name}:
            other_file = getattr(outside(other), "__file__", None)
            if other_file and not is_installed(other_file):
                todo.append(other_file)
            sources |= {str(s.file): s for s in space().look(other, requested="")[0].values()}
    return _digest({place(source.file): source for source in sources.values()}, names)


def files_of(function: Any) -> set[str]:
    """Returns the files of a function's code, and of what it wraps, binds, inherits or closes over.

    Code that comes from no file has the name that Python gives it, such as ``<string>``.
    """
    files: set[str] = set()
    todo: list[Any] = [function]
    seen: set[int] = set()
    while todo:
        code = todo.pop()
        if id(code) in seen:
            continue
        seen.add(id(code))
        if isinstance(code, functools.partial):
            partial = cast(functools.partial[Any], code)
            todo += [partial.func, *filter(callable, (*partial.args, *partial.keywords.values()))]
        elif isinstance(code, types.MethodType):
            todo += [code.__func__, code.__self__]
        elif isinstance(code, types.FunctionType):
            wrapped = getattr(code, "__wrapped__", None)
            if wrapped is None or Path(code.__code__.co_filename).is_file():
                files.add(code.__code__.co_filename)
            cells = [cell.cell_contents for cell in code.__closure__ or () if _is_filled(cell)]
            todo += [wrapped, *filter(callable, cells)]
        elif isinstance(code, type):
            methods = _files_of_methods(code)
            if methods:
                files |= methods
                todo += code.__bases__
        elif callable(code):
            todo += [type(code), getattr(code, "__wrapped__", None)]
            if _files_of_methods(type(code)):
                todo += filter(callable, vars(code).values())
    return {f for f in files if not is_installed(f)}


def _files_of_methods(cls: type) -> set[str]:
    """Returns the files of the methods that a class defines; none for an installed class."""
    inner = (getattr(v, "__func__", getattr(v, "fget", v)) for v in vars(cls).values())
    files = {f.__code__.co_filename for f in inner if isinstance(f, types.FunctionType)}
    files.discard("<string>")  # as dataclasses have
    return set() if any(map(is_installed, files)) else files


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _digest(sources: Sources, imported: Iterable[str]) -> str:
    digest = hashlib.sha256(repr(versions_of(imported)).encode())
    for name, source in sorted(sources.items()):
        where = "" if is_installed(source.file) else place(source.file)
        digest.update(repr((name, where, len(source.content))).encode() + source.content)
        if not source.is_python:
            digest.update(_unreadable.encode())
    return digest.hexdigest()


def fingerprints(section: BaseModel) -> dict[str, str]:
    """Returns the module's `fingerprint` for each function that a section names, by reference."""
    return {name: fingerprint(name.partition(":")[0]) for _, name in marked(section, _IsCode)}


def named_functions(section: BaseModel) -> Iterator[tuple[str, str]]:
    """Yields the dotted key of each function that a section names, and ``"module:function"``."""
    yield from marked(section, _IsCode)


@functools.lru_cache(maxsize=1 << 12)  # read for each seed of each scenario
def _marks(section: type[BaseModel], mark: type) -> list[tuple[str, bool, list[Any]]]:
    """Returns each key of a section, whether it has the `mark`, and the literals that it takes."""
    marks: list[tuple[str, bool, list[Any]]] = []
    for name, field in section.model_fields.items():
        kinds = get_args(field.annotation)
        optional = [note for kind in kinds for note in getattr(kind, "__metadata__", ())]
        words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
        is_marked = any(isinstance(note, mark) for note in (*field.metadata, *optional))
        marks.append((name, is_marked, words))
    return marks


def marked(section: BaseModel, mark: type, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the keys of a section that are annotated with a `mark`, dotted, and their values.

    Those without a value are left out. A key may take literals besides, of which none is yielded.
    """
    for name, is_marked, words in _marks(type(section), mark):
        value: Any = getattr(section, name)
        if is_marked and value is not None and value not in words:
            yield above + name, value
        values: Iterable[tuple[Any, Any]] = [("", value)]
        if isinstance(value, dict):
            values = cast(dict[str, Any], value).items()
        elif isinstance(value, (list, tuple)):
            values = enumerate(cast(Sequence[Any], value))
        for key, inner in values:
            if isinstance(inner, BaseModel):
                inside = f"{above}{name}." if key == "" else f"{above}{name}.{key}."
                yield from marked(inner, mark, inside)
