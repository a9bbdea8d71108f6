"""Specs: the typed traits of an entry, which other modules read."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pytest_federated.core.suggestions import suggest


@dataclass(frozen=True)
class Spec:
    """What is known of an entry besides its function; each concept has a subclass of its own.

    Attributes:
        example: keys of a use of the entry that its page in the docs shows, as a scenario file has
            them; by default none, which fits an entry whose keys all have defaults.
        glance: looks at the files that the keys name, no further than their headers, and yields
            each key that does not fit them, with the reason. None if there is nothing to look at.

    """

    example: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    glance: Optional[Callable[[Any], Iterable[tuple[str, str]]]] = None


S = TypeVar("S", bound=Spec)


def build_spec(entry: str, spec: Callable[..., S], traits: Mapping[str, Any]) -> S:
    """Builds the spec of an entry, which messages call `entry`.

    Raises:
        TypeError: a trait that the concept does not have, or a value of another type.

    """
    hints = _hints(spec)
    for trait, value in traits.items():
        if trait not in hints:
            raise TypeError(f"{entry}: has no trait {trait!r}; {suggest(trait, hints)}")
        try:
            _adapter(spec, trait).validate_python(value, strict=True)
        except ValidationError as error:
            problems = "; ".join(dict.fromkeys(e["msg"] for e in error.errors()))
            raise TypeError(f"{entry}: trait {trait}: got {value!r}; {problems}") from error
    try:
        return spec(**traits)
    except TypeError as error:
        raise TypeError(f"{entry}: {error}") from error


@functools.cache
def _hints(spec: Callable[..., Spec]) -> dict[str, Any]:
    """The type of each trait, by name."""
    assert isinstance(spec, type) and dataclasses.is_dataclass(spec)
    hints = get_type_hints(spec, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(spec)}


@functools.cache
def _adapter(spec: Callable[..., Spec], trait: str) -> TypeAdapter[Any]:
    """What validates a trait; those of many are never given."""
    hint = _hints(spec)[trait]
    return TypeAdapter(hint, config=_config(hint, ConfigDict(arbitrary_types_allowed=True)))


def _config(hint: Any, config: ConfigDict) -> Optional[ConfigDict]:
    """The config for a type; pydantic takes none for dataclasses, which have their own."""
    return None if dataclasses.is_dataclass(hint) else config
