"""YAML as plain data, with the line of each key and value."""

from __future__ import annotations

import contextlib
import copy
import datetime
import functools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, NoReturn, Union

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scanner import Scanner

from pytest_federated.core.errors import Problem, ScenarioError, printable
from pytest_federated.core.files import read_bytes

Key = tuple[Union[str, int], ...]

# Limits, far above real use, of what one file can make this process read, nest and copy.
MAX_BYTES = 1_000_000
MAX_NODES = 100_000  # keys' values and items of lists, with aliases and merge keys written out
MAX_DEPTH = 50  # of mappings and lists in each other
MAX_INTEGER = 2**63 - 1
MAX_PROBLEMS = 100  # that are shown of a document


@dataclass(frozen=True)
class Place:
    """The line of something in a file."""

    file: Path
    line: int


@dataclass
class Document:
    """One YAML document.

    Attributes:
        data: plain dicts, lists and scalars.
        places: place of each key path; () is the document itself.

    """

    data: Any
    places: dict[Key, Place]

    def place(self, path: Key) -> Place:
        """Returns the place of `path`, or of the innermost thing around it that has one."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def over(self, defaults: Document) -> Document:
        """Returns the document, with keys that it leaves out taken from `defaults`.

        Mappings are merged key by key. A mapping with another ``kind`` replaces that of the
        defaults as a whole, and so do lists, ``expect``, ``matrix`` and ``tune``.
        """
        merged = Document(copy.deepcopy(self.data), dict(self.places))
        added = set(_fill((), merged.data, defaults.data))
        merged.places.update((k, v) for k, v in defaults.places.items() if _is_below(k, added))
        return merged

    def without(self, key: str) -> Document:
        """Returns the document without one of its top-level keys."""
        return Document({k: v for k, v in self.data.items() if k != key}, self.places)

    def rewrite(self, path: Key, rewritten: Callable[[Any], Any]) -> None:
        """Replaces the value at `path`, if any: the short form of a choice by the long one."""
        at = self.data
        for key in path[:-1]:
            at = at.get(key) if isinstance(at, dict) else None
        if isinstance(at, dict) and path[-1] in at:
            at[path[-1]] = rewritten(at[path[-1]])

    def add(self, path: tuple[str, ...], value: Any) -> None:
        """Adds a value at `path` unless there is one, or something around it is no mapping."""
        at = self.data
        for key in path[:-1]:
            at = at.setdefault(key, {}) if isinstance(at, dict) else None
        if isinstance(at, dict):
            at.setdefault(path[-1], copy.deepcopy(value))

    def with_values(self, values: Mapping[tuple[str, ...], tuple[Any, Place]]) -> Document:
        """Returns a copy with the value at each path replaced or added, in order."""
        places = {k: v for k, v in self.places.items() if not _is_below(k, values)}
        changed = Document(copy.deepcopy(self.data), places)
        for path, (value, place) in values.items():
            changed._set(path, value, place)
        return changed

    def _set(self, path: tuple[str, ...], value: Any, place: Place) -> None:
        at = self.data
        for depth, key in enumerate(path[:-1], start=1):
            if isinstance(at.get(key), str):
                at[key] = {"kind": at[key]}  # a choice in its short form
            elif not isinstance(at.get(key), dict):
                if at.get(key) is not None:
                    self.places.setdefault(path[:depth], place)
                    if depth < len(path) - 1 or isinstance(at[key], list):
                        return  # validation reports the mistake
                at[key] = {}
                self.places[path[:depth]] = place
            at = at[key]
        at[path[-1]] = copy.deepcopy(value)
        self.places[path] = place


def _is_below(path: Key, tops: Container[Key]) -> bool:
    """Returns whether `path` is one of `tops`, or is below one of them."""
    return any(path[:length] in tops for length in range(1, len(path) + 1))


def brief(value: Any) -> str:
    """Returns a value as messages show it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.date):
        return str(value)
    text = repr(list(value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_WHOLE = {("expect",), ("matrix",), ("tune",)}


def _fill(path: Key, mapping: dict[Any, Any], defaults: Mapping[Any, Any]) -> Iterator[Key]:
    """Adds missing keys to a mapping; yields their paths."""
    for key, value in defaults.items():
        here = (*path, key)
        if key not in mapping:
            mapping[key] = copy.deepcopy(value)
            yield here
        elif isinstance(mapping[key], dict) and isinstance(value, dict) and here not in _WHOLE:
            if "kind" in mapping[key] and mapping[key]["kind"] != value.get("kind"):
                continue
            yield from _fill(here, mapping[key], value)


def read_documents(file: Path, shown: Path, may_be_empty: bool = False) -> list[Document]:
    """Reads a YAML file; `shown` is its path in messages.

    Merge keys and aliases are expanded, each into a separate copy.

    Raises:
        ScenarioError: the file is missing, not UTF-8, not YAML or empty, a document is not a
            mapping, or one of the limits above is exceeded.

    """
    parsed = _parsed(_text(file, shown), shown, may_be_empty)
    return [Document(copy.deepcopy(one.data), dict(one.places)) for one in parsed]


@functools.lru_cache(maxsize=16)  # as all files of a folder take the same defaults
def _parsed(text: str, shown: Path, may_be_empty: bool) -> tuple[Document, ...]:
    """Parses a text as `read_documents` does; what it returns must not be changed."""
    yaml = _yaml()
    nodes = _Nodes(shown, yaml)
    documents: list[Document] = []
    problems: list[Problem] = []
    for root in _composed(yaml, text, shown):
        line = root.start_mark.line + 1
        if isinstance(root, ScalarNode) and root.tag == _NULL:
            continue  # a trailing --- opens an empty document
        if not isinstance(root, MappingNode):
            actual = "a list" if isinstance(root, SequenceNode) else "a line of text"
            problems.append(Problem(shown, line, "", f"must be a mapping of keys, not {actual}"))
            continue
        places: dict[Key, Place] = {(): Place(shown, line)}
        documents.append(Document(nodes.value(root, (), places), places))
    if problems := [*problems, *nodes.problems]:
        raise ScenarioError(problems)
    if not documents and not may_be_empty:
        raise ScenarioError([Problem(shown, 0, "", "is empty; a scenario needs at least a name")])
    return tuple(documents)


def _text(file: Path, shown: Path) -> str:
    try:
        return read_bytes(file, MAX_BYTES).decode("utf-8")
    except OSError as error:
        raise ScenarioError([Problem(shown, 0, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ScenarioError([Problem(shown, 0, "", f"is not UTF-8: {error.reason}")]) from error


class _TooDeep(Exception):
    """More brackets are open than allowed."""


class _Scanner(Scanner):
    """Limits open brackets, as the time that YAML's scanner takes grows with their square."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:
        if len(self.flow_context) > MAX_DEPTH:
            raise _TooDeep
        super().fetch_flow_collection_start(TokenClass, to_push)


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _Scanner
    return yaml


def _composed(yaml: YAML, text: str, shown: Path) -> Iterator[Node]:
    """Yields the root node of each document."""
    try:
        yield from yaml.compose_all(text)
        return
    except (RecursionError, _TooDeep):
        raise ScenarioError([Problem(shown, _first_too_deep(text), "", _TOO_DEEP)]) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, what = mark.line + 1 if mark else 0, error.problem or error.context
    except YAMLError as error:  # a character that YAML does not allow
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 0
        what = getattr(error, "reason", None) or error
    except Exception as error:  # what YAML's parser did not foresee
        line, what = 0, error
    message = f"not YAML: {' '.join(str(what).split())}"
    raise ScenarioError([Problem(shown, line, "", message)])


def _first_too_deep(text: str) -> int:
    """Returns the line that is nested too deeply, from YAML's events, which need no recursion."""
    depth, line = 0, 0
    with contextlib.suppress(_TooDeep):
        for event in _yaml().parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            line = event.start_mark.line + 1
            if depth > MAX_DEPTH:
                break
    return line


_NULL, _MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"
_KINDS = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:int": "a whole number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:bool": "true or false",
    "tag:yaml.org,2002:timestamp": "a date",
    _NULL: "null",
}
_KEYS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:int"}
_TAGS = {
    ScalarNode: _KINDS.keys(),
    SequenceNode: {"tag:yaml.org,2002:seq"},
    MappingNode: {"tag:yaml.org,2002:map"},
}
_TOO_DEEP = f"is nested too deeply; allowed: at most {MAX_DEPTH} mappings and lists in each other"


class _Nodes:
    """Turns YAML's nodes into plain data, and collects the problems."""

    def __init__(self, file: Path, yaml: YAML) -> None:
        self.problems: list[Problem] = []
        self._file, self._yaml = file, yaml
        self._left = MAX_NODES
        self._around: list[Node] = []  # the collections that are being read, the innermost last

    def value(self, node: Node, path: Key, places: dict[Key, Place]) -> Any:
        """Returns the data of a node, and adds to `places`.

        Raises:
            ScenarioError: a limit is exceeded, or a collection contains itself.

        """
        self._spend(1, node, path)
        if node.tag not in _TAGS[type(node)]:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._note(node, path, f"got the tag {tag}; leave it out")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if any(node is other for other in self._around):
            self._stop(node, path, "contains itself, by an alias")
        if len(self._around) == MAX_DEPTH:
            self._stop(node, path, _TOO_DEEP)
        self._around.append(node)
        value: Any = {}
        if isinstance(node, MappingNode):
            self._fill(value, node, path, places)
        else:
            value = []
            for position, item in enumerate(node.value):
                here = (*path, position)
                places[here] = self._place(item)
                value.append(self.value(item, here, places))
        self._around.pop()
        return value

    def _fill(
        self, mapping: dict[Any, Any], node: MappingNode, path: Key, places: dict[Key, Place]
    ) -> None:
        """Adds the keys of a node to a mapping, whose present keys take precedence."""
        seen: dict[Any, Node] = {}
        merged: list[MappingNode] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged += self._merged(key_node, value_node, path)
                continue
            if not isinstance(key_node, ScalarNode) or key_node.tag not in _KEYS:
                self._note(key_node, path, f"got {_in_words(key_node)} as a key; keys are text")
                continue
            key = self._scalar(key_node, path)
            if key is None:  # the problem is noted
                continue
            if key in seen:
                values = [_in_words(v) for v in (value_node, seen[key])]
                self._note(
                    key_node,
                    (),
                    f'not YAML: found duplicate key "{key}" with value "{values[0]}" '
                    f'(original value: "{values[1]}")',
                )
            elif key not in mapping:
                here = (*path, key)
                places[here] = self._place(key_node)
                mapping[key] = self.value(value_node, here, places)
            seen.setdefault(key, value_node)
        for other in merged:
            if any(other is around for around in self._around):
                self._stop(other, path, "contains itself, by an alias")
            self._around.append(other)
            self._fill(mapping, other, path, places)
            self._around.pop()

    def _merged(self, key_node: Node, value_node: Node, path: Key) -> list[MappingNode]:
        """Returns the mappings that a merge key names: one, or a list of them."""
        is_list = isinstance(value_node, SequenceNode)
        nodes = value_node.value if is_list else [value_node]
        mappings = [n for n in nodes if isinstance(n, MappingNode)]
        self._spend(sum(1 + len(n.value) for n in nodes), key_node, path)
        if len(mappings) < len(nodes):
            self._note(key_node, path, "got << without a mapping; allowed: an alias of one")
        return mappings

    def _scalar(self, node: ScalarNode, path: Key) -> Any:
        is_too_large = len(node.value) > 4000 and node.tag == "tag:yaml.org,2002:int"
        try:
            value = 0 if is_too_large else self._yaml.constructor.construct_object(node)
        except Exception:  # 2020-13-45 has the form of a date
            what = f"is not {_KINDS[node.tag]}; if it is text, put it in quotes"
            self._note(node, path, f"got {_in_words(node)}; {what}")
            return None
        if is_too_large or (isinstance(value, int) and abs(value) > MAX_INTEGER):
            message = f"got {_in_words(node)}; a whole number has at most 64 bits"
            self._note(node, path, message)
            return None
        if isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
            self._note(node, path, "got text with a character that cannot be written to a file")
            return None
        return value

    def _spend(self, count: int, node: Node, path: Key) -> None:
        self._left -= count
        if self._left < 0:
            message = "is too large, with its aliases written out; allowed: at most "
            self._stop(node, path, f"{message}{MAX_NODES:,} values in a file")

    def _place(self, node: Node) -> Place:
        return Place(self._file, node.start_mark.line + 1)

    def _note(self, node: Node, path: Key, message: str) -> None:
        key = ".".join(map(str, path))
        self.problems.append(Problem(self._file, self._place(node).line, key, message))
        if len(self.problems) == MAX_PROBLEMS:
            raise ScenarioError(self.problems)

    def _stop(self, node: Node, path: Key, message: str) -> NoReturn:
        self._note(node, path[:1], message)
        raise ScenarioError(self.problems)


def _in_words(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        return "a list" if isinstance(node, SequenceNode) else "a mapping"
    text = printable(node.value) or "null"
    return text if len(text) <= 60 else f"{text[:57]}..."
