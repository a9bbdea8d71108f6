"""JSON Schema of scenario files, for editors and for programs that write such files.

It describes a document as it is in its file. A ``defaults.yaml`` and a ``matrix`` may supply what
the document leaves out, so keys are required in lists and in ``expect`` only, which are taken
whole. What keys ask of each other is described where a document has all of them and no matrix.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Callable, NamedTuple, get_origin

from pydantic import BaseModel

from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.clients.dropout.dropout import dropouts
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.clients.stragglers.straggler import stragglers
from pytest_federated.core.grids import EXCLUDE
from pytest_federated.core.schema import Section
from pytest_federated.data.datasets.dataset import datasets
from pytest_federated.data.splits.partition import splits
from pytest_federated.registry.choice import CHOICE, ENTRIES, choice_of, is_list
from pytest_federated.registry.registry import REGISTRIES, Registry
from pytest_federated.scenario.fields import types_in
from pytest_federated.scenario.matrix import MAX_EXCLUSIONS, MAX_KEYS, is_tunable, is_variable
from pytest_federated.scenario.schema import Scenario, model_is_refused_by
from pytest_federated.scenario.source import MAX_INTEGER
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.models.model import models
from pytest_federated.training.optimizers.optimizer import optimizers
from pytest_federated.training.schema import Training

Schema = dict[str, Any]
AnyRegistry = Registry[Any, ..., Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NULL: Schema = {"type": "null"}
_PRESENT: Schema = {"not": _NULL}


def json_schema() -> Schema:
    """Returns the JSON Schema of a document of a scenario file, or of a ``defaults.yaml``."""
    definitions = _Definitions()
    root = definitions.described(Scenario, is_whole=False)
    matrix = _grid(definitions, root["properties"], is_variable)
    whole = {"properties": {"matrix": {"allOf": matrix.pop("allOf")}}}
    root["properties"]["matrix"] = matrix
    definitions.schemas["Tune"]["properties"]["keys"] = _grid(
        definitions, root["properties"], is_tunable
    )
    return {
        "$schema": _DRAFT,
        **root,
        "if": {"anyOf": [{"required": ["matrix"]}, {"required": ["tune"]}]},
        "else": {"allOf": [{"if": r.where, "then": r.then} for r in _relations()]},
        "allOf": [{"if": {"required": ["tune"]}, "else": whole}],  # which may add what lacks
        "$defs": definitions.schemas,
    }


def schema_text() -> str:
    """Returns the JSON Schema as text with a line for each key and definition, to be reviewed."""
    return f"{_lines(json_schema(), ('properties', '$defs'))}\n"


def _lines(mapping: Schema, opened: Sequence[str] = ()) -> str:
    """Returns JSON with a line for each key of a mapping, and of those in it that are `opened`."""
    lines = [
        f"{json.dumps(key)}: {_lines(value) if key in opened else json.dumps(value)}"
        for key, value in mapping.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}"


class _Definitions:
    """The schemas that several places refer to: sections, choices and their entries."""

    def __init__(self) -> None:
        self.schemas: Schema = {}

    def described(self, model: type[BaseModel], *, is_whole: bool) -> Schema:
        """Returns the schema of a section; where it is not `is_whole`, keys may be missing."""
        schema = model.model_json_schema()
        for name, section in schema.pop("$defs", {}).items():
            if name not in self.schemas:
                self.schemas[name] = {}  # it may refer to itself
                self.schemas[name] = self._resolved(section, is_whole)
        return self._resolved(schema, is_whole)

    def choice(self, registry: AnyRegistry, *, is_whole: bool) -> Schema:
        """Returns a reference to the schema of a choice from a registry."""
        name = f"whole-{registry.plural}" if is_whole else registry.plural
        if name not in self.schemas:
            self.schemas[name] = {}  # an entry may choose from its own registry
            names = registry.names()
            describe = self._whole_entry if is_whole else self._entry
            entries = [describe(registry, known) for known in names]
            if is_whole:
                names = [known for known in names if not _needed(registry, known)]
            self.schemas[name] = {"anyOf": [{"enum": names}, *entries]}
        return {"$ref": f"#/$defs/{name}"}

    def _entry(self, registry: AnyRegistry, name: str) -> Schema:
        defined = f"{registry.plural}.{name}"
        self.schemas[defined] = self.described(registry[name].params, is_whole=False)
        return {"$ref": f"#/$defs/{defined}"}

    def _whole_entry(self, registry: AnyRegistry, name: str) -> Schema:
        self.choice(registry, is_whole=False)
        entry = registry[name]
        needed = _needed(registry, name)
        if name not in (*entry.keywords, registry.usual):  # else `kind` may be left out
            needed.append("kind")
        chosen = {
            key: {"anyOf": [whole, _NULL]} if choice.is_optional else whole
            for key, field in entry.params.model_fields.items()
            if (choice := choice_of(field))
            for whole in [self.choice(choice.registry, is_whole=True)]
        }
        schema: Schema = {"$ref": f"#/$defs/{registry.plural}.{name}", "required": needed}
        return {**schema, "properties": chosen} if chosen else schema

    def _resolved(self, schema: Any, is_whole: bool) -> Any:
        """Replaces what stands for the entries of registries, and leaves titles out."""
        if isinstance(schema, list):
            return [self._resolved(part, is_whole) for part in schema]
        if not isinstance(schema, dict):
            return schema
        if CHOICE in schema:
            return self.choice(REGISTRIES[schema[CHOICE]], is_whole=is_whole)
        if ENTRIES in schema:
            registry = REGISTRIES[schema[ENTRIES]]
            described = {
                name: self.described(registry[name].params, is_whole=True)
                for name in registry.names()
            }
            return {"type": "object", "properties": described, "additionalProperties": False}
        resolved: Schema = {}
        for key, value in schema.items():
            if key == "properties":
                resolved[key] = {n: self._resolved(v, is_whole) for n, v in value.items()}
            elif key in ("default", "enum", "const"):
                resolved[key] = value
            elif key != "title" and (key != "required" or is_whole):
                resolved[key] = self._resolved(value, is_whole or key == "items")
        if resolved.get("type") == "integer":
            resolved.setdefault("maximum", MAX_INTEGER)
        return resolved


def _needed(registry: AnyRegistry, name: str) -> list[str]:
    """Returns the keys of an entry that have no default."""
    return [k for k, field in registry[name].params.model_fields.items() if field.is_required()]


# Grids: ``matrix``, and the keys of ``tune``


def _grid(
    definitions: _Definitions, properties: Schema, is_allowed: Callable[[str], bool]
) -> Schema:
    """Returns the schema of a grid: for each dotted key, what its values may be."""
    paths = _Paths(definitions, is_allowed)
    paths.add(Scenario, (), properties)
    row: Schema = {"type": "array", "minItems": 2}
    return {
        "type": "object",
        "description": "Dotted keys and the values to run: all combinations.",
        "minProperties": 1,
        "maxProperties": MAX_KEYS + 1,
        "not": {"properties": {EXCLUDE: True}, "additionalProperties": False},  # nothing else
        "properties": {**paths.keys, EXCLUDE: _EXCLUSIONS},
        "patternProperties": {**paths.patterns, _SEVERAL_KEYS: _values(row)},
        "additionalProperties": False,
        "allOf": paths.whole,
    }


_SEVERAL_KEYS = r"^[^,]*[^, ][^,]*(,[^,]*[^, ][^,]*)+$"
_EXCLUSIONS: Schema = {
    "type": "array",
    "description": "Combinations that are left out: dotted keys with one value each.",
    "maxItems": MAX_EXCLUSIONS,
    "items": {"type": "object", "minProperties": 1},
}


class _Paths:
    """The dotted keys of a matrix, with their values."""

    def __init__(self, definitions: _Definitions, is_allowed: Callable[[str], bool]) -> None:
        self.keys: Schema = {}
        self._is_allowed = is_allowed
        self.patterns: Schema = {}
        self.whole: list[Schema] = []  # choices to which no other key of the matrix adds
        self._definitions = definitions

    def add(self, section: type[Section], path: tuple[str, ...], properties: Schema) -> None:
        """Adds the keys of a section."""
        for name, field in section.model_fields.items():
            key = field.alias or name
            if key not in properties:
                continue
            here = (*path, key)
            self._value(here, properties[key])
            choice = choice_of(field)
            if choice and not is_list(field):
                self._choice(here, choice.registry, choice.is_optional)
            for inner in types_in(field.annotation):
                if not choice and issubclass(inner, Section) and inner is not Section:
                    described = self._definitions.described(inner, is_whole=False)
                    self.add(inner, here, described["properties"])

    def _choice(self, path: tuple[str, ...], registry: AnyRegistry, is_optional: bool) -> None:
        whole = self._definitions.choice(registry, is_whole=True)
        dotted = ".".join(path)
        if not self._is_allowed(dotted):
            return
        self.whole.append(
            {
                "if": {"propertyNames": {"not": {"pattern": rf"(^|, *){re.escape(dotted)}\."}}},
                "then": {
                    "properties": {
                        dotted: {"items": {"anyOf": [whole, _NULL]} if is_optional else whole}
                    }
                },
            }
        )
        values: dict[str, list[Schema]] = {"kind": [{"enum": registry.names()}]}
        described: dict[str, list[Schema]] = {}
        for name in registry.names():
            params = registry[name].params
            properties = self._definitions.schemas[f"{registry.plural}.{name}"]["properties"]
            for key, field in params.model_fields.items():
                if key == "kind":
                    continue
                if properties[key] not in described.setdefault(key, []):
                    described[key].append(properties[key])
                    reference = {"$ref": f"#/$defs/{registry.plural}.{name}/properties/{key}"}
                    values.setdefault(key, []).append(reference)
                if choice_of(field) or get_origin(field.annotation) is dict:
                    pattern = f"^{re.escape('.'.join((*path, key)))}(\\.[^.]+)+$"
                    self.patterns[pattern] = _values({})
        for key, allowed in values.items():
            self._value((*path, key), allowed[0] if len(allowed) == 1 else {"anyOf": allowed})

    def _value(self, path: tuple[str, ...], schema: Schema) -> None:
        if self._is_allowed(".".join(path)):
            self.keys[".".join(path)] = _values(schema)


def _values(schema: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": schema}


# What keys ask of each other


class _Relation(NamedTuple):
    """A document that matches `where` has to match `then`."""

    where: Schema
    then: Schema


def _relations() -> Iterator[_Relation]:
    """Yields what the traits of entries say of other keys."""
    algorithm, holdout = ("training", "algorithm"), ("data", "holdout")
    nothing = {"enum": [None, 0]}
    for name, entry in algorithms.entries().items():
        where = _having((algorithm, _one_of(algorithms, [name])))
        for key in entry.spec.refuses:
            yield _Relation(where, _keeping(key, _NULL))
        for key in entry.spec.fixes:
            default = Training.model_fields[key].get_default(call_default_factory=True)
            yield _Relation(where, _keeping(f"training.{key}", _only(default)))
        if entry.spec.has_no_global_model:
            yield _Relation(where, _keeping("training.personalize", _NULL))
        if entry.spec.aggregates_itself:
            default = aggregators.parse("mean")
            yield _Relation(where, _keeping("training.aggregator", _only(default)))
        if entry.spec.client_sgd is not None:
            own = [n for n in optimizers.names() if optimizers[n].spec.of_the_user]
            yield _Relation(
                where, _keeping("training.client_optimizer", _one_of(optimizers, ["sgd", *own]))
            )
        if entry.spec.client_sgd == "plain":
            yield _Relation(where, _keeping("training.client_optimizer.momentum", nothing))
        if entry.spec.server_step:
            yield _Relation(
                where, _keeping("training.server_optimizer", _one_of(optimizers, ["sgd"]))
            )
            for key in ("momentum", "weight_decay"):
                yield _Relation(where, _keeping(f"training.server_optimizer.{key}", nothing))
    trained = [n for n in algorithms.names() if not model_is_refused_by(n)]
    yield _Relation(_having((algorithm, _one_of(algorithms, trained))), _keeping("model", _PRESENT))
    tested = {"anyOf": [_having((("data", "dataset"), own)) for own in _of_own_test_sets()]}
    apart = [n for n in algorithms.names() if algorithms[n].spec.has_no_global_model]
    for judging in (
        _having((("training", "personalize"), _PRESENT)),
        _having(
            (("training", "eval_clients_every"), _PRESENT),
            (algorithm, _one_of(algorithms, apart)),
        ),
    ):
        yield _Relation(  # the data set may be that of defaults.yaml
            {"allOf": [judging, _having((("data", "dataset"), _PRESENT)), {"not": tested}]},
            _keeping("data.holdout", {"not": {"const": "global"}}),
        )
    yield from _relations_of_attacks()
    for name, entry in models.entries().items():
        if entry.spec.has_own_loss:
            where = _having((("model",), _one_of(models, [name])))
            for key in ("training.loss", "training.class_weights"):
                yield _Relation(where, _keeping(key, _NULL))
    in_steps = _having((("training", "local_steps"), {"type": "integer"}))
    yield _Relation(in_steps, _keeping("training.local_epochs", {"const": 1}))
    by_epochs = [n for n in stragglers.names() if stragglers[n].spec.by_epochs]
    yield _Relation(
        in_steps, _keeping("clients.stragglers", {"not": _one_of(stragglers, by_epochs)})
    )
    yield from _relations_of_aggregators()
    sizeless = [n for n in splits.names() if not splits[n].spec.sizes]
    yield _Relation(
        _having((("clients", "split"), _one_of(splits, sizeless))), _keeping("clients.size", _NULL)
    )
    unsized = [n for n in samplers.names() if not samplers[n].spec.sized]
    yield _Relation(
        _having((("clients", "sampling"), _one_of(samplers, unsized))),
        _keeping("clients.per_round", _NULL),
    )
    listing = [n for n in samplers.names() if samplers[n].spec.lists]
    per_client = [n for n in dropouts.names() if dropouts[n].spec.per_client]
    for key, choice in (
        ("clients.sampling", _one_of(samplers, listing)),
        ("clients.dropout", _one_of(dropouts, per_client)),
    ):
        yield _Relation(
            _having((("clients", "unseen"), {"type": "number"})), _keeping(key, {"not": choice})
        )
    for own in _of_own_test_sets():
        yield _Relation(
            _having((("data", "dataset"), own), (holdout, {"const": "global"})),
            _keeping("data.test_fraction", _NULL),
        )


def _relations_of_attacks() -> Iterator[_Relation]:
    """Yields that updates cannot be changed where an algorithm, or its execution, fixes them."""
    changing = [n for n in attacks.names() if attacks[n].spec.changes_updates]
    honest = _keeping("clients.attacks", {"not": _one_of(attacks, changing)})
    for fixed, *conditions in (
        (True,),
        ("standard", (("training", "execution"), {"const": "standard"})),
    ):
        names = [n for n in algorithms.names() if algorithms[n].spec.fixes_updates == fixed]
        algorithm = (("training", "algorithm"), _one_of(algorithms, names))
        yield _Relation(_having(algorithm, *conditions), honest)


def _of_own_test_sets() -> Iterator[Schema]:
    """Yields a schema of each kind of data set with a test set of its own."""
    for name, entry in datasets.entries().items():
        trait = entry.spec.has_test_set
        own_test_set = _one_of(datasets, [name])
        if isinstance(trait, str):  # a key that says so
            says_so = {"not": {"enum": [None, False, ""]}}
            own_test_set = {"allOf": [own_test_set, _having(((trait,), says_so))]}
        if trait:
            yield own_test_set


def _relations_of_aggregators() -> Iterator[_Relation]:
    aggregator, algorithm = ("training", "aggregator"), ("training", "algorithm")
    specs = {name: entry.spec for name, entry in aggregators.entries().items()}
    private = [name for name, spec in specs.items() if spec.private is not None]
    unweighted = [name for name, spec in specs.items() if spec.unweighted]
    yield _Relation(
        _having((aggregator, _one_of(aggregators, unweighted))),
        _keeping("training.algorithm.weighting", {"const": "uniform"}),
    )
    public = [name for name in specs if name not in private]
    yield _Relation(
        _having((aggregator, _one_of(aggregators, public))), _keeping("expect.epsilon", False)
    )
    unprotected = [n for n in algorithms.names() if algorithms[n].spec.unprotected]
    yield _Relation(
        _having((aggregator, _one_of(aggregators, private))),
        _keeping(".".join(algorithm), {"not": _one_of(algorithms, unprotected)}),
    )
    repeating = [name for name in samplers.names() if samplers[name].spec.repeats]
    always = [name for name in repeating if "replacement" not in samplers[name].keywords]
    asked = {"allOf": [_one_of(samplers, repeating), _having((("replacement",), {"const": True}))]}
    yield _Relation(
        _having((aggregator, _one_of(aggregators, private))),
        _keeping("clients.sampling", {"not": {"anyOf": [_one_of(samplers, always), asked]}}),
    )


def _one_of(registry: AnyRegistry, names: Sequence[str]) -> Schema:
    """Returns the schema of a choice of one of these entries, in its short form or its long one."""
    by_key = [
        {"required": [name], "not": {"required": ["kind"]}}
        for name in names
        if name in registry[name].keywords
    ]
    by_kind = {"properties": {"kind": {"enum": list(names)}}, "required": ["kind"]}
    if registry.usual in names:
        others = [name for name in registry.names() if name in registry[name].keywords]
        without = [{"required": [key]} for key in ("kind", *others)]
        by_key.append({"not": {"anyOf": without}})
    return {
        "anyOf": [
            {"enum": list(names)},
            *({"type": "object", **one} for one in (by_kind, *by_key)),
        ]
    }


def _only(default: Any) -> Schema:
    """Returns the schema of a value that does not differ from the default."""
    if not isinstance(default, Section):
        return {"const": default}
    settings = default.model_dump(mode="json")
    keys = {key: {"const": value} for key, value in settings.items()}
    return {"anyOf": [{"const": settings["kind"]}, {"type": "object", "properties": keys}]}


def _having(*conditions: tuple[tuple[str, ...], Schema]) -> Schema:
    """Returns the schema of a document that has all these keys, with such values."""
    schemas = []
    for path, schema in conditions:
        for key in reversed(path):
            schema = {"type": "object", "properties": {key: schema}, "required": [key]}
        schemas.append(schema)
    return schemas[0] if len(schemas) == 1 else {"allOf": schemas}


def _keeping(dotted: str, schema: Any) -> Schema:
    """Returns the schema of a document in which a key, if there, has such a value."""
    for key in reversed(dotted.split(".")):
        schema = {"properties": {key: schema}}
    return schema
