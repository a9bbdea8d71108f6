"""The fields of a scenario that choose from a registry."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from pytest_federated.core.schema import Section
from pytest_federated.registry.entry import Entry
from pytest_federated.registry.registry import Registry

# What pydantic's JSON Schema has in place of the entries of a registry, with the plural of these;
# scenario/json_schema.py describes them.
CHOICE, ENTRIES = "x-choice", "x-entries"


class Choice:
    """Annotation for a pydantic field whose value is chosen from a registry, or for each item of
    a list of such values; None is allowed where the field is `optional`.
    """

    def __init__(self, registry: Registry[Any, ..., Any], *, optional: bool = False) -> None:
        self.registry = registry
        self.is_optional = optional

    def _parse(self, value: Any) -> Optional[Section]:
        return None if value is None and self.is_optional else self.registry.parse(value)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda section: None if section is None else section.model_dump(mode="json")
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        choice = {CHOICE: self.registry.plural}
        return {"anyOf": [choice, {"type": "null"}]} if self.is_optional else choice


def choice_of(field: FieldInfo) -> Optional[Choice]:
    """The choice that a field, or each item of its list, is annotated with, if it is."""
    items = [n for t in get_args(field.annotation) for n in getattr(t, "__metadata__", ())]
    return next((note for note in (*field.metadata, *items) if isinstance(note, Choice)), None)


def is_list(field: FieldInfo) -> bool:
    """Whether a field with a choice holds a list of them."""
    return not any(isinstance(note, Choice) for note in field.metadata)


@functools.lru_cache(maxsize=1 << 12)
def _choices_of(section: type[BaseModel]) -> list[tuple[str, Optional[Choice]]]:
    """The keys of a section, each with the choice that it is."""
    return [(name, choice_of(field)) for name, field in section.model_fields.items()]


def choices_in(section: BaseModel) -> Iterator[tuple[Registry[Any, ..., Any], Section]]:
    """All choices of a validated section, with their registries; also those inside of choices."""
    for name, choice in _choices_of(type(section)):
        value = getattr(section, name)
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, Section):
                if choice:
                    yield choice.registry, one
                yield from choices_in(one)


def user_entries(section: BaseModel) -> dict[str, Entry[Any, Any]]:
    """What is chosen in a validated section, and was not registered by us, by concept and name."""
    entries = ((registry.what, registry.entry(one)) for registry, one in choices_in(section))
    return {f"{what} {entry.name}": entry for what, entry in entries if entry.code}


@functools.lru_cache(maxsize=256)  # which entries there are differs between folders
def _mapping_of(what: str, *keys: tuple[str, type[Section]]) -> type[Section]:
    """A model with these optional keys; pydantic takes long to build one."""
    fields: dict[str, Any] = {name: (params, None) for name, params in keys}
    return create_model(what, __base__=Section, **fields)


class Choices:
    """Annotation for a mapping from registered names to their parameters (``expect:``)."""

    def __init__(self, registry: Registry[Any, ..., Any]) -> None:
        self.registry = registry

    def model(self) -> type[Section]:
        """A model with one optional key for each entry that is registered by now."""
        return self._model(self.registry.names())

    def _model(self, names: Iterable[str]) -> type[Section]:
        registry = self.registry
        return _mapping_of(registry.what, *((name, registry[name].params) for name in names))

    def _parse(self, value: Any) -> dict[str, Section]:
        value = dict(value) if isinstance(value, Mapping) else value
        # Only with the keys that are used: there are many entries, and few are.
        used = filter(value.__contains__, self.registry.names()) if isinstance(value, dict) else ()
        mapping = self._model(used).model_validate(value)
        sections = {name: getattr(mapping, name) for name in value}
        return {name: section for name, section in sections.items() if section is not None}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda sections: {
                    n: p.model_dump(mode="json", exclude={"kind"}, exclude_none=True)
                    for n, p in sections.items()
                }
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {ENTRIES: self.registry.plural}
