"""One registered function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Callable,
    Generic,
    Literal,
    NamedTuple,
    Optional,
    TypeVar,
    get_type_hints,
)

from pydantic import BaseModel, create_model

from pytest_federated.core.errors import FederatedError, about
from pytest_federated.core.schema import Section
from pytest_federated.registry.spec import Spec
from pytest_federated.user.functions import blamed, files_of
from pytest_federated.user.installed import is_installed

OWN_FOLDER = Path(__file__).parent.parent  # of this package

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound=Spec)


class Keys(NamedTuple):
    """The keys of a scenario file that choose an entry and set its parameters.

    Attributes:
        params: validates them: ``kind``, the function's keyword-only parameters, and those that the
            framework handles for all entries of the concept.
        keywords: the parameters that the function itself takes.
        required: those of them without a default.

    """

    params: type[Section]
    keywords: tuple[str, ...]
    required: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Entry(Generic[F, S]):
    """A registered function, with its traits and the keys of its parameters.

    Attributes:
        name: the word for it in scenario files.
        function: what was registered.
        spec: its traits.
        keys: returns its keys; a session uses few entries, and those of many take long to make.
        registered_in: the file that registered it.
        what: names the concept in messages.
        error: what an error of a function that is not ours becomes.
        passes: errors of functions that mean something, and pass as they are.

    """

    name: str
    function: F
    spec: S
    keys: Callable[[], Keys]
    registered_in: Path = Path()
    what: str = "entry"
    error: type[FederatedError] = FederatedError
    passes: tuple[type[Exception], ...] = ()

    @property
    def params(self) -> type[Section]:
        """Validates its keys, see `Keys`."""
        return self.keys().params

    @property
    def keywords(self) -> tuple[str, ...]:
        """The parameters that the function itself takes."""
        return self.keys().keywords

    @property
    def folder(self) -> Optional[Path]:
        """The folder of the user's own file that registered it; None for ours and installed ones.

        A scenario prefers what is registered in its own folder, or in the nearest one above.
        """
        file = self.registered_in
        is_others = _is_ours(file) or (file.name != "conftest.py" and is_installed(file))
        return None if is_others else file.parent

    @property
    def code(self) -> frozenset[str]:
        """The files of its code, without ours."""
        if _is_ours(self.registered_in):
            return frozenset()
        files = {*files_of(self.function), str(self.registered_in)}
        return frozenset(f for f in files if not _is_ours(Path(f)))

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def call(self, choice: BaseModel, *args: Any) -> Any:
        """Calls the function with `args`, and with the parameters of a validated choice.

        Raises:
            FederatedError: as `run`.
        """
        with about(self.what, self.name):
            return self.run(*args, **{n: getattr(choice, n) for n in self.keywords})

    def gave(self, value: Any, needed: str) -> FederatedError:
        """Returns the error that the function gave this value, and what it has to give."""
        text = type(value).__name__
        if isinstance(value, (str, int, float)):
            text = repr(value)
        elif hasattr(value, "dtype"):
            text = f"{value.dtype} {value.shape}"
        error = self.error(f"the {self.what} {self.name!r} gave {text}; it must give {needed}")
        error.about = (self.what, self.name)
        return error

    def run(self, *args: Any, **keys: Any) -> Any:
        """Calls the function.

        Raises:
            FederatedError: the function is not ours, and raised; of the concept's kind.
        """
        try:
            return self.function(*args, **keys)
        except Exception as error:
            passes = isinstance(error, (FederatedError, *self.passes))
            if passes or _is_ours(self.registered_in):
                raise
            raise self.error(f"the {self.what} {self.name!r} raised {blamed(error)}") from error


def make_entry(
    name: str, function: F, spec: S, base: type[Section], registering_file: Path
) -> Entry[F, S]:
    """Makes an entry, whose keys are the function's keyword-only parameters and those of `base`.

    Args:
        name: the word for it in scenario files.
        function: its annotations are what values are validated by.
        spec: its traits.
        base: has the keys that all entries of the concept share.
        registering_file: the file that called the decorator; where that is one of ours, the entry
            belongs to the file that has the function.

    """
    inner = _plain(function)
    file = registering_file
    if _is_ours(file) and inner is not None:  # a decorator of ours registers it
        file = resolved(inner.__code__.co_filename)
    names: Mapping[str, Any] = inner.__globals__ if inner is not None else {}
    keys = functools.lru_cache(maxsize=1)(functools.partial(_keys, name, function, base, names))
    if not _is_ours(file):
        keys().params.model_rebuild()  # an annotation that cannot be used fails here, not later
    return Entry(name, function, spec, keys, file)


def _keys(
    name: str, function: Callable[..., Any], base: type[Section], names: Mapping[str, Any]
) -> Keys:
    """Makes the keys of a function, whose annotations are evaluated with `names`."""
    keywords = [
        p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY
    ]
    # Only these annotations are evaluated: the others may name TensorFlow's types.
    annotated = type(name, (), {"__annotations__": {p.name: p.annotation for p in keywords}})
    hints = get_type_hints(annotated, dict(names), include_extras=True)
    fields: dict[str, Any] = {"kind": (Literal[name], name)}  # pyright: ignore
    fields |= {
        p.name: (hints[p.name], ... if p.default is p.empty else p.default) for p in keywords
    }
    params = create_model(name, __base__=base, **fields)
    required = frozenset(p.name for p in keywords if p.default is p.empty)
    return Keys(params, tuple(p.name for p in keywords), required)


@functools.lru_cache(maxsize=1 << 12)
def resolved(file: str) -> Path:
    """Returns the path of a file of code without links."""
    return Path(file).resolve()


@functools.lru_cache(maxsize=1 << 12)
def _is_ours(file: Path) -> bool:
    return OWN_FOLDER in file.parents


def _plain(function: Any) -> Any:
    """The plain function below wrappers, partial arguments, classes and callable objects."""
    while not inspect.isfunction(function):
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, type):
            function = function.__init__
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isfunction(call := vars(type(function)).get("__call__")):
            function = call
        else:
            return None
    return inspect.unwrap(function)
