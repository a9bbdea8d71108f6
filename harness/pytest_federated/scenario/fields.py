"""The fields that describe the keys of a scenario's settings."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional, Union, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from pytest_federated.registry.choice import Choices, choice_of
from pytest_federated.scenario.schema import Scenario


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Returns the fields of a section by the names of their keys."""
    return {f.alias or name: f for name, f in model.model_fields.items()}


def model_at(path: Sequence[Union[str, int]], data: Any) -> Optional[type[BaseModel]]:
    """Returns the model of the section at a path of settings; None if there is none.

    Args:
        path: keys, and positions in lists.
        data: the whole settings, which decide what a choice is.

    """
    model: Optional[type[BaseModel]] = Scenario
    field: Optional[FieldInfo] = None
    for depth, part in enumerate(path):
        if isinstance(part, str):  # not a position in a list, whose items the field describes
            field = fields_of(model).get(part) if model else None
        model = _model_of(field, value_at(data, path[: depth + 1])) if field else None
    return model


def value_at(data: Any, path: Sequence[Union[str, int]], otherwise: Any = None) -> Any:
    """Returns the value at a path of settings; `otherwise` if there is none."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return otherwise
    return data if data is not None else otherwise


def with_defaults(settings: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a scenario's settings with the keys that `like` has besides, if by default.

    So the settings that an older version recorded can be compared with those of a newer one, which
    has more keys. A key that has another value than its default is not added.
    """
    return _with_defaults(settings, like, (), like)


def _with_defaults(
    settings: Mapping[str, Any], like: Mapping[str, Any], path: tuple[str, ...], whole: Any
) -> dict[str, Any]:
    model = model_at(path, whole)
    fields = fields_of(model) if model else {}
    filled = dict(settings)
    for key, value in like.items():
        if key in settings:
            ours = settings[key]
            if isinstance(ours, Mapping) and isinstance(value, Mapping):
                one, other = cast("Mapping[str, Any]", ours), cast("Mapping[str, Any]", value)
                if one.get("kind") == other.get("kind"):
                    filled[key] = _with_defaults(one, other, (*path, key), whole)
        elif key in fields and not fields[key].is_required():
            default = fields[key].get_default(call_default_factory=True)
            if to_jsonable_python(default, by_alias=True) == value:
                filled[key] = value
    return filled


def types_in(annotation: Any) -> Iterator[type]:
    """Yields the classes in an annotation such as Optional[Annotated[X, ...]]."""
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        yield annotation
    for part in typing.get_args(annotation):
        yield from types_in(part)


def _model_of(field: FieldInfo, value: Any) -> Optional[type[BaseModel]]:
    for note in field.metadata:
        if isinstance(note, Choices):
            return note.model()
    if choice := choice_of(field):
        settings = choice.registry.normalize(value)
        usual = choice.registry.usual
        name = settings.get("kind", usual) if isinstance(settings, dict) else None
        is_known = isinstance(name, str) and name in choice.registry
        return choice.registry[str(name)].params if is_known else None
    return next((t for t in types_in(field.annotation) if issubclass(t, BaseModel)), None)
