"""Named functions that a scenario file can choose: splits, data sets, models, checks, ...

An entry is a plain function. Its keyword-only parameters *are* its keys in the scenario file:
their annotations are validated by pydantic, their defaults are the file's defaults.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Generic, Literal, Optional, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from pytest_federated.core.schema import Section, problem
from pytest_federated.registry.discovery import import_package, load_entry_points
from pytest_federated.user.functions import files_of
from pytest_federated.user.modules import is_installed, scenario_folder

_OWN = Path(__file__).parent.parent

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
    (``kind``, and keys that the framework handles for every entry of a concept). `registered_in` is
    the file that registered it.
    """

    name: str
    function: F
    params: type[Section]
    keywords: tuple[str, ...]
    traits: Mapping[str, Any] = field(default_factory=dict)
    registered_in: Path = Path()

    @property
    def folder(self) -> Optional[Path]:
        """The folder of the user's own file that registered it; None for ours and installed ones.

        A scenario prefers what is registered in its own folder, or in the nearest one above.
        """
        file = self.registered_in
        is_users = file.name == "conftest.py" or not is_installed(file)
        return file.parent if is_users and _OWN not in file.parents else None

    @property
    def code(self) -> frozenset[str]:
        """The files of its code, without ours."""
        files = {*files_of(self.function), str(self.registered_in)}
        return frozenset(f for f in files if _OWN not in Path(f).parents)

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def call(self, chosen: BaseModel, *args: Any) -> Any:
        """Calls the function with positional `args` and the parameters that the file chose."""
        return self.function(*args, **{n: getattr(chosen, n) for n in self.keywords})


class Registry(Generic[F]):
    """The functions of one concept, by the name that scenario files use."""

    def __init__(
        self, what: str, base: type[Section] = Section, *, package: Optional[str] = None
    ) -> None:
        """A registry without entries.

        Args:
            what: names the concept in messages.
            base: has the keys that all entries share.
            package: all modules of this package are imported before the first lookup, so that a
                file that registers an entry needs no mention elsewhere.

        """
        self.what = what
        self._base = base
        self._package = package
        self._entries: dict[str, Entry[F]] = {}  # those that were registered last
        self._by_folder: dict[str, dict[Path, Entry[F]]] = {}
        self._by_params: dict[type[BaseModel], Entry[F]] = {}
        self._is_describing = False
        self._is_discovered = package is None

    def _discover(self) -> None:
        """Imports the modules that register entries: ours, and those of other distributions."""
        if self._is_discovered or self._package is None:
            return
        self._is_discovered = True  # first, as what is imported may look something up
        import_package(self._package)
        load_entry_points()

    def __call__(self, name: str, **traits: Any) -> Callable[[F], F]:
        """Decorator that registers a function under `name`.

        Args:
            name: the word for it in scenario files.
            **traits: facts about the entry that other modules read, such as ``has_test_set``.

        Raises:
            ValueError: the name is taken by another file; files in different folders may each
                have their own.

        """
        caller = Path(sys._getframe(1).f_code.co_filename).resolve()

        def register(function: F) -> F:
            inner = _plain(function)
            file = caller
            if _OWN in file.parents and inner is not None:  # a decorator of ours registers it
                file = Path(inner.__code__.co_filename).resolve()
            keywords = [
                p
                for p in inspect.signature(function).parameters.values()
                if p.kind is p.KEYWORD_ONLY
            ]
            # Only these annotations are evaluated: the others may name TensorFlow's types.
            annotated = type(
                name, (), {"__annotations__": {p.name: p.annotation for p in keywords}}
            )
            names = inner.__globals__ if inner is not None else {}
            hints = get_type_hints(annotated, names, include_extras=True)
            fields: dict[str, Any] = {"kind": (Literal[name], name)}  # pyright: ignore
            fields |= {
                p.name: (hints[p.name], ... if p.default is p.empty else p.default)
                for p in keywords
            }
            params = create_model(name, __base__=self._base, **fields)
            self._add(Entry(name, function, params, tuple(p.name for p in keywords), traits, file))
            return function

        return register

    def _add(self, entry: Entry[F]) -> None:
        for taken in (self._entries.get(entry.name), *self._near(entry.name).values()):
            if (
                taken
                and taken.registered_in != entry.registered_in
                and (taken.folder is None or taken.folder == entry.folder or entry.folder is None)
            ):
                raise ValueError(
                    f"{self.what} {entry.name!r} is already registered by {taken.registered_in}"
                )
        self._entries[entry.name] = self._by_params[entry.params] = entry
        if entry.folder is not None:
            self._by_folder.setdefault(entry.name, {})[entry.folder] = entry

    def _near(self, name: str) -> dict[Path, Entry[F]]:
        """The user's own entries of that name, by the folder they are registered in."""
        return self._by_folder.get(name, {})

    def _nearest(self, name: str) -> Optional[Entry[F]]:
        """The entry for the scenario that is read or run: that of its own folder, or above it."""
        self._discover()
        folder = scenario_folder()
        known = self._near(name) if name in self._entries and folder else {}
        for above in (folder, *folder.parents) if folder else ():
            if above in known:
                return known[above]
        return self._entries.get(name)

    def __getitem__(self, name: str) -> Entry[F]:
        entry = self._nearest(name)
        if entry is None:
            raise KeyError(name)
        return entry

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def get(self, name: str) -> Optional[Entry[F]]:
        """The entry of that name, or None."""
        return self._nearest(name)

    def names(self) -> list[str]:
        """The registered names, in alphabetical order."""
        self._discover()
        return sorted(self._entries)

    def entry(self, chosen: BaseModel) -> Entry[F]:
        """The entry that a validated choice stands for."""
        return self._by_params.get(type(chosen)) or self[kind(chosen)]

    def normalize(self, value: Any) -> Any:
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
        value = self.normalize(value)
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
        if rivals := self._rivals(value["kind"]):
            raise problem(
                "kind" if len(value) > 1 else "",
                f"got {value['kind']!r}; {rivals} each register {self.what} of that name, and none "
                "of them is in the scenario's folder or above it",
            )
        return self[value["kind"]].params.model_validate(dict(value))

    def _rivals(self, name: str) -> str:
        """The files that register that name, where none is nearer to the scenario than another."""
        folder, known = scenario_folder(), self._near(name)
        if (
            folder is None
            or len(known) < 2
            or not known.keys().isdisjoint((folder, *folder.parents))
        ):
            return ""
        return " and ".join(sorted(str(entry.registered_in) for entry in known.values()))

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of a choice, for editors."""
        names = {"enum": self.names()}
        if self._is_describing:  # an entry that chooses from its own registry, such as inner
            return {"anyOf": [names, {"type": "object", "properties": {"kind": names}}]}
        self._is_describing = True
        try:
            entries = [self._entries[n].params.model_json_schema() for n in self.names()]
        finally:
            self._is_describing = False
        return {"anyOf": [names, *entries]}


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


def registered_in(section: BaseModel) -> dict[str, Entry[Any]]:
    """What is chosen in a validated section, and was not registered by us, by concept and name."""
    entries = ((registry.what, registry.entry(one)) for registry, one in chosen_in(section))
    return {f"{what} {entry.name}": entry for what, entry in entries if entry.code}


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
