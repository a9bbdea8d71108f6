"""Hypothesis strategies for scenario files: valid documents, mutated ones, and damaged bytes.

Valid documents are drawn from the models and the registries, so new keys and new entries are drawn
without being named here.
"""

from __future__ import annotations

import copy
import functools
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple

from hypothesis import strategies as st
from paths import ROOT
from pydantic import BaseModel, ValidationError
from pytest_federated.core.errors import FederatedError
from pytest_federated.registry.choice import CHOICE, ENTRIES
from pytest_federated.registry.concepts import concepts
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.references import compared
from pytest_federated.scenario.schema import Scenario
from ruamel.yaml import YAML

Draw = Callable[[Any], Any]

_YAML = YAML(typ="safe", pure=True)
FILES = sorted((ROOT / "scenarios").rglob("*.yaml"))


@functools.cache
def documents_of(file: Path) -> list[Any]:
    """Returns the documents of a shipped file as plain data."""
    return [d for d in _YAML.load_all(file.read_text(encoding="utf-8")) if d is not None]


def as_yaml(*documents: Any) -> bytes:
    """Returns a file with these documents."""
    out = io.BytesIO()
    _YAML.dump_all(documents, out)
    return out.getvalue()


# Valid documents


class Valid(NamedTuple):
    """A document that loads, with the defaults of its folder."""

    document: dict[str, Any]
    defaults: dict[str, Any]


@st.composite
def valid_documents(draw: Draw) -> Valid:
    """A document that loads below its defaults."""
    scenario = _object(draw, *_schema_of(Scenario))
    scenario["schema"] = 1
    for key in ("tune", "comparison"):  # which name other keys
        scenario.pop(key, None)
    while mistake := _mistake(scenario):
        _mend(scenario, mistake)
    sections = [key for key in ("data", "clients", "training") if key in scenario]
    dotted = {f"{s}.{key}": value for s in sections for key, value in scenario[s].items()}
    if varied := draw(st.lists(st.sampled_from(sorted(dotted)), unique=True, max_size=2)):
        scenario["matrix"] = {key: [dotted[key]] for key in varied}
        if len(varied) > 1 and draw(st.booleans()):
            scenario["matrix"] = {", ".join(varied): [[dotted[key] for key in varied]]}
    if scenario["data"].get("validation_fraction") and "training.batch_size" not in varied:
        tuned = {"keys": {"training.batch_size": [1, 2]}, "by": "validation"}
        scenario |= draw(st.sampled_from([{}, {"tune": tuned}]))
    defaults: dict[str, Any] = {}
    moved = st.lists(st.sampled_from(sorted(scenario.keys() - {"name", "matrix"})), unique=True)
    for key in draw(moved):
        if key in sections and scenario[key] and draw(st.booleans()):
            inner = draw(st.sampled_from(sorted(scenario[key])))
            defaults[key] = {inner: scenario[key].pop(inner)}
        else:
            defaults[key] = scenario.pop(key)
    return Valid(scenario, defaults)


def _mistake(scenario: dict[str, Any]) -> tuple[str, ...]:
    """Returns the key that the first problem of a scenario blames; empty if there is none."""
    try:
        compared(Case(Scenario.model_validate(scenario)))
    except ValidationError as error:
        details = error.errors()[0]
        blamed: str = details.get("ctx", {})["key"]
        return (*_keys(scenario, details["loc"]), *filter(None, blamed.split(".")))
    except FederatedError as error:
        return tuple(str(error).partition(":")[0].split("."))
    return ()


def _keys(scenario: dict[str, Any], place: Sequence[Any]) -> Iterator[str]:
    """Yields the keys of a place, without what pydantic adds for the members of a union."""
    around: Any = scenario
    for key in place:
        if isinstance(around, dict) and key in around:
            yield key
            around = around[key]


# What other keys ask for, where it is missing.
_ADDED: dict[str, Any] = {
    "validation_fraction": 0.1,
    "unseen": 0.1,
    "server_optimizer": {"learning_rate": 0.1},
}
_REPLACED = {"count": 5, "rounds": 2, "share": 1.0}  # which have no default, or are too few
_PERMITTED = "my_own:function"


def _mend(scenario: dict[str, Any], blamed: tuple[str, ...]) -> None:
    """Leaves out what the other keys of a scenario do not allow, and adds what they need."""
    if blamed[0] == "expect":
        del scenario["expect"][blamed[1]]
        return
    around: Any = scenario
    for key in blamed[:-1]:
        around = around[int(key) if isinstance(around, list) else key]
    last = blamed[-1]
    if last in _ADDED and last not in around:
        around[last] = copy.deepcopy(_ADDED[last])
    elif last in _REPLACED:
        around[last] = _REPLACED[last]
    elif blamed == ("model",) and scenario["model"] is None:
        scenario["model"] = "linear"
    elif last not in around and scenario.get("expect"):
        scenario["expect"].popitem()  # one of them is measured on what is missing
    elif isinstance(around[last], str) and ":" in around[last] and around[last] != _PERMITTED:
        around[last] = _PERMITTED  # the drawn one may not be
    else:
        del around[last]


@functools.cache
def _schema_of(model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, Any]]:
    schema = model.model_json_schema()
    return schema, schema.pop("$defs", {})


def _object(draw: Draw, schema: dict[str, Any], defined: dict[str, Any]) -> dict[str, Any]:
    properties, required = schema["properties"], schema.get("required", ())
    optional = [key for key in properties if key not in required]
    keys = [*required]
    if optional:
        keys += draw(st.lists(st.sampled_from(optional), unique=True, max_size=4))
    return {key: _value(draw, properties[key], defined) for key in keys}


def _value(draw: Draw, schema: dict[str, Any], defined: dict[str, Any]) -> Any:
    if CHOICE in schema:
        return _choice(draw, schema[CHOICE])
    if ENTRIES in schema:
        registry = concepts()[schema[ENTRIES]]
        names = draw(st.lists(st.sampled_from(registry.names()), unique=True, max_size=2))
        return {name: _object(draw, *_schema_of(registry[name].params)) for name in names}
    if "$ref" in schema:
        return _value(draw, defined[schema["$ref"].rpartition("/")[2]], defined)
    if "anyOf" in schema:
        return _value(draw, draw(st.sampled_from(schema["anyOf"])), defined)
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    if "const" in schema:
        return schema["const"]
    return _OF_TYPE[schema["type"]](draw, schema, defined)


def _choice(draw: Draw, plural: str) -> Any:
    """Draws a choice in its long form or, if there is one, in a short form."""
    registry = concepts()[plural]
    name = draw(st.sampled_from(registry.names()))
    settings = {**_object(draw, *_schema_of(registry[name].params)), "kind": name}
    if not draw(st.booleans()):
        return settings
    if len(settings) == 1:
        return name
    if name in settings and sum(key in registry for key in settings) == 1:
        del settings["kind"]
    return settings


def _mapping(draw: Draw, schema: dict[str, Any], defined: dict[str, Any]) -> dict[str, Any]:
    if "properties" in schema:
        return _object(draw, schema, defined)
    names = schema.get("propertyNames", {}).get("enum", ["width", "depth"])
    keys = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
    values = schema.get("additionalProperties")
    if not isinstance(values, dict):  # any
        values = {"type": "integer"}
    return {key: _value(draw, values, defined) for key in keys}


def _number(draw: Draw, schema: dict[str, Any], _: Any) -> float:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    return draw(
        st.floats(
            -100.0 if low is None and above is None else above if low is None else low,
            100.0 if high is None and below is None else below if high is None else high,
            exclude_min=above is not None,
            exclude_max=below is not None,
            allow_subnormal=False,
        )
    )


def _integer(draw: Draw, schema: dict[str, Any], _: Any) -> int:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -4) + 1)
    return draw(st.integers(low, schema.get("maximum", low + 30)))


def _list(draw: Draw, schema: dict[str, Any], defined: dict[str, Any]) -> list[Any]:
    size = draw(st.integers(schema.get("minItems", 0), schema.get("maxItems", 3)))
    values = [_value(draw, schema["items"], defined) for _ in range(size)]
    return list(dict.fromkeys(values)) if schema.get("uniqueItems") else values


def _text(draw: Draw, schema: dict[str, Any], _: Any) -> str:
    if pattern := schema.get("pattern"):
        return draw(st.from_regex(pattern.replace("$", r"\Z"), alphabet=_ASCII))
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 12)
    texts = st.text(_WRITABLE, min_size=shortest, max_size=longest)
    return draw(texts.filter(lambda text: not text.startswith(":")))  # as of ?, below


# Without ?: ruamel.yaml writes plain text that begins with it but cannot read it.
_WRITABLE = st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="?")
_ASCII = st.characters(max_codepoint=127)
_OF_TYPE: dict[str, Callable[..., Any]] = {
    "object": _mapping,
    "number": _number,
    "integer": _integer,
    "array": _list,
    "string": _text,
    "boolean": lambda draw, schema, defined: draw(st.booleans()),
    "null": lambda draw, schema, defined: None,
}


# Mutated documents and damaged bytes

_TEXTS = st.one_of(
    st.sampled_from(["kind", "iid", "digits", "dirichlet", "mlp", "sgd", "m:f", "[alpha=1]", ""]),
    st.text(max_size=8),
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.integers(-3, 12).map(float),
    st.floats(),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=4),
    _TEXTS,
)
_KEYS = st.one_of(_TEXTS, _SCALARS, st.tuples(_TEXTS))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=4)),
    max_leaves=6,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Returns all pairs of a collection and a key, or a position, in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    inner = [(value, key) for key, _ in items]
    below = value.values() if isinstance(value, dict) else value
    return inner + [pair for v in below if isinstance(v, (dict, list)) for pair in _places(v)]


@functools.cache
def _shipped() -> list[Any]:
    """Returns all values of all shipped documents, small and large."""
    return [around[key] for f in FILES for d in documents_of(f) for around, key in _places(d)]


_OTHERS = st.one_of(_VALUES, st.deferred(lambda: st.sampled_from(_shipped()).map(copy.deepcopy)))


def _mutate(draw: Draw, document: Any) -> None:
    """Replaces, adds or deletes one to three values of a document."""
    for _ in range(draw(st.integers(1, 3))):
        around, key = draw(st.sampled_from(_places(document) or [(document, "name")]))
        change = draw(st.sampled_from(["replace", "replace", "nearby", "add", "delete"]))
        if change == "replace":
            around[key] = draw(_OTHERS)
        elif change == "nearby" and key in (around if isinstance(around, dict) else range(9999)):
            around[key] = draw(_nearby(around[key]))
        elif change == "delete":
            around.pop(key, None) if isinstance(around, dict) else around.pop(key)
        elif isinstance(around, dict):
            near = st.sampled_from([f"{key}", f"{key}.kind", f"{key}.0", "matrix", "kind"])
            around[draw(st.one_of(_KEYS, near))] = draw(_OTHERS)
        else:
            around.append(draw(_OTHERS))


def _nearby(value: Any) -> Any:
    """Draws what people may write in place of a value."""
    others: list[Any] = [None, [value], {"kind": value}, str(value)]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        others += [-value, 0, value + 1, float(value), value * 1000, value / 1000]
    if isinstance(value, str):
        others += [value[:-1], value.upper(), f"{value} ", {value: value}]
    if isinstance(value, list):
        others += [*value, value + value, {"0": value}]
    if isinstance(value, dict):
        others += [list(value), *value.values(), *value]
    return st.sampled_from(others).map(copy.deepcopy)


class Mutated(NamedTuple):
    """A document with mistakes, and the folder whose defaults apply to it."""

    document: Any
    folder: Path


@st.composite
def mutated_documents(draw: Draw) -> Mutated:
    """A shipped or drawn document with changed values."""
    if draw(st.booleans()):
        valid = draw(valid_documents())
        folder, document = ROOT, {**valid.defaults, **valid.document}
    else:
        file = draw(st.sampled_from(FILES))
        folder, document = file.parent, copy.deepcopy(draw(st.sampled_from(documents_of(file))))
    _mutate(draw, document)
    return Mutated(document, folder)


_SIGNS = st.sampled_from(
    [
        *(b"&a ", b"*a", b"<<: ", b"!!", b"? ", b": ", b"- ", b"[", b"}", b"'", b'"', b"|\n"),
        *(b"\t", b"\n", b"---\n", b"%", b"#", b"null", b"~", b"\x00", b"\xff", b"\xef\xbb\xbf"),
    ]
)


@st.composite
def damaged_files(draw: Draw) -> tuple[bytes, Path]:
    """The changed bytes of a shipped file, and the folder of that file."""
    file = draw(st.sampled_from(FILES))
    data = file.read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 20)))
        data = data[:begin] + draw(st.one_of(_SIGNS, st.binary(max_size=4))) + data[end:]
    return data, file.parent
