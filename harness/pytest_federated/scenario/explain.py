"""Explains pydantic's errors to the author of a scenario file."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any, Union

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pytest_federated.core.errors import Problem
from pytest_federated.core.suggestions import suggest
from pytest_federated.scenario.fields import fields_of, model_at, value_at
from pytest_federated.scenario.schema import Scenario
from pytest_federated.scenario.source import MAX_PROBLEMS, Document, Key, brief

_TYPES = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def explain(error: ValidationError, document: Document) -> list[Problem]:
    """Returns one problem for each error of pydantic, of which only the first are shown."""
    problems: dict[tuple[Key, str], Problem] = {}
    members: dict[Key, list[str]] = {}  # the types that the members of a union accept
    for details in error.errors()[:MAX_PROBLEMS]:
        path = _path(details, document.data)
        is_of_union = len(path) < len(details["loc"])
        if is_of_union and details["type"] == "literal_error" and ":" in str(details["input"]):
            continue  # the other member, a user's function, says more
        if is_of_union and details["type"] in _TYPES:
            members.setdefault(path, []).append(_TYPES[details["type"]])
            message = f"got {brief(details['input'])}; must be {' or '.join(members[path])}"
            problems = {k: v for k, v in problems.items() if k[0] != path}
        else:
            message = _message(details, path, document.data)
        place = document.place(path)
        key = ".".join(str(p) for p in path)
        problems[path, message] = Problem(place.file, place.line, key, message)
    return [p for (path, _), p in problems.items() if not _is_outdone(path, problems, members)]


def _is_outdone(path: Key, problems: Iterable[tuple[Key, str]], members: Container[Key]) -> bool:
    """Returns whether one member of a union has a problem inside of a value.

    Then the value is of its type, and that it is not of another member's says nothing.
    """
    return path in members and any(
        len(other) > len(path) and other[: len(path)] == path for other, _ in problems
    )


def _path(details: ErrorDetails, data: Any) -> Key:
    """Returns the key path of an error.

    It is without what pydantic adds for the members of a union, and with the key, or dotted path of
    keys, that a validator of a whole section blames.
    """
    path: list[Union[str, int]] = []
    for part in details["loc"]:
        here = value_at(data, path)
        is_key = isinstance(here, dict) and (part in here or details["type"] == "missing")
        if is_key or (isinstance(here, list) and isinstance(part, int)):
            path.append(part)
    if details["type"] == "missing" and path[-1:] != [details["loc"][-1]]:
        path.append(details["loc"][-1])  # for a choice in its short form, such as split: dirichlet
    blamed = details.get("ctx", {}).get("key")
    return (*path, *blamed.split(".")) if blamed else tuple(path)


def _message(details: ErrorDetails, path: Key, data: Any) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind in ("extra_forbidden", "invalid_key"):
        return f"unknown key; {suggest(path[-1], _allowed_keys(path[:-1], data))}"
    if kind == "missing":
        return "missing; it has no default"
    if kind == "scenario":
        message, value = details["msg"], value_at(data, path, value)
        return (
            message if message.startswith(("got ", "missing")) else f"got {brief(value)}; {message}"
        )
    if kind in _BOUNDS:
        words, limit = _BOUNDS[kind]
        return f"got {brief(value)}; must be {words} {context[limit]:g}"
    if kind in _TYPES:
        return f"got {brief(value)}; must be {_TYPES[kind]}"
    if kind == "literal_error":
        allowed = [w.strip("'") for w in context["expected"].replace(" or ", ", ").split(", ")]
        return f"got {brief(value)}; {suggest(value, allowed)}"
    if kind == "string_pattern_mismatch":  # user_code.UserFunction is the only one with a pattern
        return f'got {brief(value)}; must be "module:function", such as "my_pkg.models:build"'
    if kind == "too_short":
        return f"got {brief(value)}; must have at least {context['min_length']} item(s)"
    return f"got {brief(value)}; {details['msg'][:1].lower()}{details['msg'][1:]}"


def _allowed_keys(path: Key, data: Any) -> list[str]:
    """Returns the keys that the mapping at `path` may have."""
    model = model_at(path, data)
    names = list(fields_of(model)) if model else []
    if model is not Scenario:
        return names
    place = names.index("tune")
    return [*names[:place], "matrix", *names[place:]]
