"""pydantic's errors, written for the reader of a scenario file."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, Optional, Union

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from harness.errors import Problem
from harness.registry import Choice, Choices, suggest
from harness.scenario.schema import Scenario
from harness.scenario.source import Document, Key

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
    """One problem for each thing that pydantic found wrong with a document."""
    problems: dict[tuple[Key, str], Problem] = {}
    unions: dict[Key, list[str]] = {}
    for found in error.errors():
        path = _path(found["loc"], document.data)
        extra = found.get("ctx", {}).get("key", "")
        if extra and extra in _at(document.data, path, {}):
            path = (*path, extra)
        message = _message(found, path, document.data)
        if path != found["loc"] and found["type"] in _TYPES:
            unions.setdefault(path, []).append(_TYPES[found["type"]])
            allowed = " or ".join(dict.fromkeys(unions[path]))
            message = f"got {found['input']!r}; must be {allowed}"
            problems = {k: v for k, v in problems.items() if k[0] != path}
        missing_parent = found["type"] == "missing" or not _exists(document.data, path)
        place = document.place(path[:-1] if missing_parent else path)
        key = ".".join(str(p) for p in path)
        problems[path, message] = Problem(place.file, place.line, key, message)
    return list(problems.values())


def _path(loc: tuple[Union[str, int], ...], data: Any) -> Key:
    """The key path without what pydantic adds for the members of a union."""
    path: list[Union[str, int]] = []
    for part in loc:
        here = _at(data, tuple(path), None)
        last = part == loc[-1]
        if (
            isinstance(here, dict)
            or (isinstance(here, list) and isinstance(part, int))
            or (here is None and last)
        ):
            path.append(part)
    return tuple(path)


def _at(data: Any, path: Key, otherwise: Any) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return otherwise
    return data if data is not None else otherwise


def _exists(data: Any, path: Key) -> bool:
    parent = _at(data, path[:-1], None)
    return not path or (isinstance(parent, dict) and path[-1] in parent) or isinstance(parent, list)


def _message(found: Any, path: Key, data: Any) -> str:
    kind, given, context = found["type"], found["input"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key; {suggest(path[-1], _allowed_keys(path[:-1], data))}"
    if kind == "missing":
        return "missing; it has no default"
    if kind == "scenario":
        message = found["msg"]
        return (
            message
            if message.startswith(("got ", "missing"))
            else f"got {_brief(given)}; {message}"
        )
    if kind in _BOUNDS:
        words, limit = _BOUNDS[kind]
        return f"got {_brief(given)}; must be {words} {context[limit]:g}"
    if kind in _TYPES:
        return f"got {_brief(given)}; must be {_TYPES[kind]}"
    if kind == "literal_error":
        allowed = [w.strip("'") for w in context["expected"].replace(" or ", ", ").split(", ")]
        return f"got {_brief(given)}; {suggest(given, allowed)}"
    if kind == "string_pattern_mismatch" and path[-1:] == ("keras",):
        return f'got {_brief(given)}; must be "module:function", such as "my_pkg.models:build"'
    if kind == "too_short":
        return f"got {_brief(given)}; must have at least {context['min_length']} item(s)"
    return f"got {_brief(given)}; {found['msg'][:1].lower()}{found['msg'][1:]}"


def _brief(value: Any) -> str:
    text = repr(list(value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _allowed_keys(path: Key, data: Any) -> list[str]:
    """The keys that the mapping at `path` may have."""
    model: Optional[type[BaseModel]] = Scenario
    for depth, part in enumerate(path):
        if model is None:
            return []
        field = _fields(model).get(str(part))
        model = _model_of(field, _at(data, path[: depth + 1], None)) if field else None
    return list(_fields(model)) if model else []


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {f.alias or name: f for name, f in model.model_fields.items()}


def _model_of(field: FieldInfo, value: Any) -> Optional[type[BaseModel]]:
    for note in field.metadata:
        if isinstance(note, Choices):
            return note.model()
        if isinstance(note, Choice):
            chosen = note.registry.normalise(value)
            name = chosen.get("kind") if isinstance(chosen, dict) else None
            return note.registry[name].params if name and name in note.registry else None
    return next((t for t in _types(field.annotation) if issubclass(t, BaseModel)), None)


def _types(annotation: Any) -> Iterator[type]:
    """The classes in an annotation such as Optional[Annotated[X, ...]]."""
    if isinstance(annotation, type):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _types(part)
