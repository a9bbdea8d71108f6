"""Named functions that a scenario file can choose: splits, data sets, models, expectations, ...

An entry is a plain function. Its keyword-only parameters *are* its keys in the scenario file:
their annotations are validated by pydantic, their defaults are the file's defaults.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Generic, Optional, TypeVar

from pydantic import BaseModel
from typing_extensions import ParamSpec

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import Section, problem
from pytest_federated.core.suggestions import suggest
from pytest_federated.registry.discovery import import_package, load_entry_points
from pytest_federated.registry.entry import Entry, make_entry, resolved
from pytest_federated.registry.spec import Spec, build_spec
from pytest_federated.user.reading import scenario_folder

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound=Spec)
P = ParamSpec("P")

# The registries that have a plural; `concepts` imports all that there are.
REGISTRIES: dict[str, Registry[Any, ..., Any]] = {}

_discovery = threading.RLock()  # one for all, as a module may look up entries of several


class Registry(Generic[F, P, S]):
    """The functions of one concept, by the name that scenario files use."""

    def __init__(
        self,
        what: str,
        function: type[F],
        spec: Callable[P, S],
        base: type[Section] = Section,
        *,
        plural: str = "",
        package: Optional[str] = None,
        usual: str = "",
        error: type[FederatedError] = FederatedError,
        passes: tuple[type[Exception], ...] = (),
    ) -> None:
        """A registry without entries.

        Args:
            what: names the concept in messages.
            function: the type of its entries, a protocol, which type checkers hold them to.
            spec: the class of its entries' traits, a frozen dataclass.
            base: has the keys that all entries share.
            plural: names the entries on the command line and in the docs; empty for a registry that
                neither knows.
            package: all modules of this package are imported before the first lookup, so that a
                file that registers an entry needs no mention elsewhere.
            usual: the entry that a mapping means which leaves `kind` out.
            error: what an error of a user's entry becomes.
            passes: errors of a user's entry that mean something, and pass as they are.

        """
        self.what = what
        self.plural = plural
        self.function = function
        self.spec = spec
        self._base = base
        self.package = package
        self.usual = usual
        self._error, self._passes = error, passes
        self._entries: dict[str, Entry[F, S]] = {}  # those that were registered last
        self._by_folder: dict[str, dict[Path, Entry[F, S]]] = {}
        self._by_params: dict[type[BaseModel], Entry[F, S]] = {}  # the user's own ones
        if plural:
            REGISTRIES[plural] = self
        self._is_discovered = package is None
        self._is_being_discovered = False

    def _discover(self) -> None:
        """Imports the modules that register entries: ours, and those of other distributions.

        Lookups in other threads wait for it; those of the modules that are imported do not.
        """
        if self._is_discovered or self.package is None:
            return
        with _discovery:
            if self._is_discovered or self._is_being_discovered:
                return
            self._is_being_discovered = True
            try:
                import_package(self.package)
                load_entry_points()
                # Where one fails, the next lookup says so again, not that a name is unknown.
                self._is_discovered = True
            finally:
                self._is_being_discovered = False

    def __call__(self, name: str, *args: P.args, **traits: P.kwargs) -> Callable[[F], F]:
        """Decorator that registers a function under `name`.

        Args:
            name: the word for it in scenario files.
            *args: none; traits are given by name.
            **traits: facts about the entry that other modules read, the fields of the concept's
                spec.

        Raises:
            TypeError: a trait that the concept does not have, or of another type.
            ValueError: the name is taken by another file; files in different folders may each
                have their own.

        """
        file = resolved(sys._getframe(1).f_code.co_filename)
        spec = build_spec(f"{self.what} {name!r}", self.spec, traits)

        def register(function: F) -> F:
            entry = make_entry(name, function, spec, self._base, file)
            self._add(replace(entry, what=self.what, error=self._error, passes=self._passes))
            return function

        return register

    def _add(self, entry: Entry[F, S]) -> None:
        for taken in (self._entries.get(entry.name), *self._near(entry.name).values()):
            if (
                taken
                and taken.registered_in != entry.registered_in
                and (taken.folder is None or taken.folder == entry.folder or entry.folder is None)
            ):
                raise ValueError(
                    f"{self.what} {entry.name!r} is already registered by {taken.registered_in}"
                )
        self._entries[entry.name] = entry
        if entry.folder is not None:
            self._by_params[entry.params] = entry
            self._by_folder.setdefault(entry.name, {})[entry.folder] = entry

    def _near(self, name: str) -> dict[Path, Entry[F, S]]:
        """The user's own entries of that name, by the folder they are registered in."""
        return self._by_folder.get(name, {})

    def _nearest(self, name: str) -> Optional[Entry[F, S]]:
        """The entry for the scenario that is read or run: that of its own folder, or above it."""
        if not self._is_discovered:
            self._discover()
        known = self._by_folder.get(name)
        if known and (folder := scenario_folder()) and name in self._entries:
            for above in (folder, *folder.parents):
                if above in known:
                    return known[above]
        return self._entries.get(name)

    def __getitem__(self, name: str) -> Entry[F, S]:
        entry = self._nearest(name)
        if entry is None:
            raise KeyError(name)
        return entry

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def get(self, name: str) -> Optional[Entry[F, S]]:
        """The entry of that name, or None."""
        return self._nearest(name)

    def names(self) -> list[str]:
        """The registered names, in alphabetical order."""
        self._discover()
        return sorted(self._entries)

    def entries(self) -> dict[str, Entry[F, S]]:
        """The entries by name in alphabetical order; of a name in several folders, the last."""
        self._discover()
        return dict(sorted(self._entries.items()))

    def nearest(self) -> dict[str, Entry[F, S]]:
        """The entries that lookups by name give, by name in alphabetical order."""
        entries = self.entries()
        return {n: self[n] for n in entries} if self._by_folder else entries

    def entry(self, choice: BaseModel) -> Entry[F, S]:
        """The entry that a validated choice stands for."""
        return self._by_params.get(type(choice)) or self[kind(choice)]

    def normalize(self, value: Any) -> Any:
        """Writes the short forms out: ``iid`` and ``{keras: "m:f"}`` become ``{kind: ...}``."""
        if isinstance(value, str):
            return {"kind": value}
        if isinstance(value, Mapping) and "kind" not in value:
            own = self._short_forms(value)
            if len(own) == 1:
                return {"kind": own[0], **value}
        return value

    def _short_forms(self, value: Mapping[Any, Any]) -> list[str]:
        """The keys of a mapping that are names of entries, too, and stand for their `kind`."""
        return [k for k in value if k in self and k in self[k].keywords]

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
        if "kind" not in value and self.usual:
            value = {"kind": self.usual, **value}
        if "kind" not in value and len(short := self._short_forms(value)) > 1:
            raise problem(
                "",
                f"got both {' and '.join(short)}, each a {self.what} of its own; give one of them",
            )
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


def kind(choice: BaseModel) -> str:
    """The name under which a validated choice is registered."""
    return choice.kind  # type: ignore[attr-defined]  # made by create_model
