"""Which code a scenario file may name: the user's own and that of installed packages, or none."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Generator
from typing import Any, Optional

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import problem
from pytest_federated.user.installed import STANDARD
from pytest_federated.user.lookup import find_in
from pytest_federated.user.modules import folders, space
from pytest_federated.user.reading import scenario_folder

_forbidden_by: list[Optional[str]] = []  # options, the current one last


class NotPermitted(FederatedError):
    """A scenario names code that it may not."""


@contextlib.contextmanager
def no_code(option: Optional[str]) -> Generator[None, None, None]:
    """Refuses all code that scenarios name which the block reads, because of an option if given."""
    _forbidden_by.append(option)
    try:
        yield
    finally:
        _forbidden_by.pop()


def permitted(reference: str) -> str:
    """Returns the reference, ``"module:function"``, if a scenario may name it; imports nothing.

    Raises:
        PydanticCustomError: it may not.

    """
    if _forbidden_by and (option := _forbidden_by[-1]):
        raise problem("", f"got {reference!r}; no code of the user may be named ({option})")
    if _top(reference) in STANDARD and not _is_file(_top(reference)):
        raise problem("", _of_python(reference))
    return reference


def load_permitted(reference: str) -> Any:
    """Returns what a reference names, from the first module of that name.

    Raises:
        NotPermitted: it is Python's own.
        ModuleNotFoundError: there is no such module.
        AttributeError: the module has no such function.
        Exception: whatever importing the module raises.

    """
    module, _, name = reference.partition(":")
    is_users = space().is_users(module)
    if not is_users and _top(reference) in STANDARD:
        raise NotPermitted(_of_python(reference))
    function = getattr(space().load(module), name)
    kinds = (types.FunctionType, types.BuiltinFunctionType, type)
    if not is_users and isinstance(function, kinds) and _top(function.__module__ or "") in STANDARD:
        raise NotPermitted(_of_python(reference))  # which a package has imported
    return function


def _top(reference: str) -> str:
    return reference.partition(":")[0].partition(".")[0]


def _is_file(top: str) -> bool:
    """Whether there may be a module of that name beside the scenario, or above, or in a folder."""
    folder = scenario_folder()
    above = () if folder is None else (folder, *folder.parents)
    place = find_in(top, map(str, (*above, *folders())))
    return place is not None and place.file is not None


def _of_python(reference: str) -> str:
    return (
        f"got {reference!r}, which is a part of Python; name a function of your own, or of an "
        "installed package"
    )
