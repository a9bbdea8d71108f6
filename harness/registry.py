"""Named functions that a scenario file can choose: splits, data sets, models, checks, ...

An entry is a plain function. Its keyword-only parameters *are* its keys in the scenario file:
their annotations are validated by pydantic, their defaults are the file's defaults.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, Literal, Optional, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from harness.settings import Section, problem

F = TypeVar("F", bound=Callable[..., Any])


def suggest(word: object, allowed: Iterable[str]) -> str:
    """The tail of an error message: what is allowed, and the nearest spelling if one comes near."""
    names = list(allowed)
    close = difflib.get_close_matches(str(word).lower(), names, n=1, cutoff=0.6)
    return f"allowed: {', '.join(names)}" + (f"; did you mean {close[0]!r}?" if close else "")


@dataclass(frozen=True)
class Entry(Generic[F]):
    """A registered function, with the pydantic model of its parameters.

    `keywords` are the parameters that the function itself takes; the model may have more
    (``kind``, and keys that the framework handles for every entry of a concept).
    """

    name: str
    function: F
    params: type[Section]
    keywords: tuple[str, ...]
    traits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def call(self, chosen: BaseModel, *args: Any) -> Any:
        """Calls the function with positional `args` and the parameters that the file chose."""
        return self.function(*args, **{n: getattr(chosen, n) for n in self.keywords})


class Registry(Generic[F]):
    """The functions of one concept, by the name that scenario files use."""

    def __init__(self, what: str, base: type[Section] = Section) -> None:
        """`what` names the concept in messages; `base` adds keys common to all entries."""
        self.what = what
        self._base = base
        self._entries: dict[str, Entry[F]] = {}
        self._is_describing = False

    def __call__(self, name: str, **traits: Any) -> Callable[[F], F]:
        """Decorator that registers a function under `name`.

        Args:
            name: the word for it in scenario files.
            **traits: facts about the entry that other modules read, such as ``has_test_set``.

        Raises:
            ValueError: the name is taken by a function of another module.

        """

        def register(function: F) -> F:
            taken = self._entries.get(name)
            if taken and taken.function.__module__ != function.__module__:
                raise ValueError(
                    f"{self.what} {name!r} is already registered by {taken.function.__module__}"
                )
            keywords = [
                p
                for p in inspect.signature(function).parameters.values()
                if p.kind is p.KEYWORD_ONLY
            ]
            # Only these annotations are evaluated: the others may name TensorFlow's types.
            annotated = type(
                name, (), {"__annotations__": {p.name: p.annotation for p in keywords}}
            )
            hints = get_type_hints(annotated, function.__globals__, include_extras=True)
            fields: dict[str, Any] = {"kind": (Literal[name], name)}  # pyright: ignore
            fields |= {
                p.name: (hints[p.name], ... if p.default is p.empty else p.default)
                for p in keywords
            }
            params = create_model(name, __base__=self._base, **fields)
            self._entries[name] = Entry(
                name, function, params, tuple(p.name for p in keywords), traits
            )
            return function

        return register

    def __getitem__(self, name: str) -> Entry[F]:
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def get(self, name: str) -> Optional[Entry[F]]:
        """The entry of that name, or None."""
        return self._entries.get(name)

    def names(self) -> list[str]:
        """The registered names, in order of registration."""
        return list(self._entries)

    def entry(self, chosen: BaseModel) -> Entry[F]:
        """The entry that a validated choice stands for."""
        return self._entries[kind(chosen)]

    def normalise(self, value: Any) -> Any:
        """Writes the short forms out: ``iid`` and ``{keras: "m:f"}`` become ``{kind: ...}``."""
        if isinstance(value, str):
            return {"kind": value}
        if isinstance(value, Mapping) and "kind" not in value:
            own = [k for k in value if k in self and k in self[k].keywords]
            if len(own) == 1:
                return {"kind": own[0], **value}
        return value

    def parse(self, value: Any) -> Section:
        """Validates one choice, given as a name, a mapping or an already validated model.

        Raises:
            pydantic.ValidationError: bad parameters.
            PydanticCustomError: no mapping, no ``kind``, or an unknown one.

        """
        if isinstance(value, Section):
            return value
        value = self.normalise(value)
        if not isinstance(value, Mapping):
            raise problem("", "must be a name, or a mapping with 'kind'")
        if "kind" not in value:
            raise problem("", f"needs the key 'kind'; allowed: {', '.join(self.names())}")
        if not isinstance(value["kind"], str) or value["kind"] not in self:
            raise problem(
                "kind" if len(value) > 1 else "",
                f"got {value['kind']!r}; no such {self.what}; "
                f"{suggest(value['kind'] if isinstance(value['kind'], str) else '', self.names())}",
            )
        return self[value["kind"]].params.model_validate(dict(value))

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of a choice, for editors."""
        names = {"enum": self.names()}
        if self._is_describing:  # an entry that chooses from its own registry, such as inner
            return {"anyOf": [names, {"type": "object", "properties": {"kind": names}}]}
        self._is_describing = True
        try:
            entries = [e.params.model_json_schema() for e in self._entries.values()]
        finally:
            self._is_describing = False
        return {"anyOf": [names, *entries]}


def kind(chosen: BaseModel) -> str:
    """The name under which a validated choice is registered."""
    return chosen.kind  # type: ignore[attr-defined]  # made by create_model


class Choice:
    """Annotation for a pydantic field whose value is chosen from a registry, or for each item of
    a list of such values; None is allowed where the field is `optional`.
    """

    def __init__(self, registry: Registry[Any], *, optional: bool = False) -> None:
        self.registry = registry
        self._optional = optional

    def _parse(self, value: Any) -> Optional[Section]:
        return None if value is None and self._optional else self.registry.parse(value)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda chosen: None if chosen is None else chosen.model_dump(mode="json")
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        chosen = self.registry.json_schema()
        return {"anyOf": [*chosen["anyOf"], {"type": "null"}]} if self._optional else chosen


def choice_of(field: FieldInfo) -> Optional[Choice]:
    """The choice that a field, or each item of its list, is annotated with, if it is."""
    items = [n for t in get_args(field.annotation) for n in getattr(t, "__metadata__", ())]
    return next((note for note in (*field.metadata, *items) if isinstance(note, Choice)), None)


def chosen_in(section: BaseModel) -> Iterator[tuple[Registry[Any], Section]]:
    """All choices of a validated section, with their registries; also those inside of choices."""
    for name, described in type(section).model_fields.items():
        value, choice = getattr(section, name), choice_of(described)
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, Section):
                if choice:
                    yield choice.registry, one
                yield from chosen_in(one)


class Choices:
    """Annotation for a mapping from registered names to their parameters (``expect:``)."""

    def __init__(self, registry: Registry[Any]) -> None:
        self.registry = registry

    def model(self) -> type[Section]:
        """A model with one optional key for each entry that is registered by now."""
        fields: dict[str, Any] = {
            name: (self.registry[name].params, None) for name in self.registry.names()
        }
        return create_model(self.registry.what, __base__=Section, **fields)

    def _parse(self, value: Any) -> dict[str, Section]:
        chosen = self.model().model_validate(dict(value) if isinstance(value, Mapping) else value)
        return {name: getattr(chosen, name) for name in value if getattr(chosen, name) is not None}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda chosen: {
                    n: p.model_dump(mode="json", exclude={"kind"}, exclude_none=True)
                    for n, p in chosen.items()
                }
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                n: self.registry[n].params.model_json_schema() for n in self.registry.names()
            },
            "additionalProperties": False,
        }
