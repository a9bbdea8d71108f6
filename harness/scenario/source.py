"""YAML as plain data, with the line that each key and value stood on."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Union

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from harness.errors import Problem, ScenarioError

Key = tuple[Union[str, int], ...]


@dataclass(frozen=True)
class Place:
    """Where something stands."""

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
        """The place of `path`, or of the nearest thing around it that has one."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def over(self, defaults: Document) -> Document:
        """The document, with what it leaves out taken from `defaults`.

        Mappings are merged key by key. A mapping that chooses another ``kind`` replaces the
        default's whole, and so do lists, ``expect`` and ``matrix``.
        """
        merged = Document(copy.deepcopy(self.data), dict(self.places))
        _fill(merged, defaults, (), merged.data, defaults.data)
        return merged

    def without(self, key: str) -> Document:
        """The document less one of its top-level keys."""
        return Document({k: v for k, v in self.data.items() if k != key}, self.places)

    def normalised(self, path: Key, rewrite: Callable[[Any], Any]) -> None:
        """Rewrites the value at `path`, where there is one: a choice's short form, written out."""
        at = self.data
        for key in path[:-1]:
            at = at.get(key) if isinstance(at, dict) else None
        if isinstance(at, dict) and path[-1] in at:
            at[path[-1]] = rewrite(at[path[-1]])

    def with_value(self, path: tuple[str, ...], value: Any, place: Place) -> Document:
        """A copy in which the value at the dotted `path` is replaced, or added."""
        changed = Document(copy.deepcopy(self.data), dict(self.places))
        at = changed.data
        for depth, key in enumerate(path[:-1], start=1):
            if isinstance(at.get(key), str):
                at[key] = {"kind": at[key]}  # the short form of a choice makes room for its keys
            elif not isinstance(at.get(key), dict):
                if at.get(key) is not None:
                    changed.places.setdefault(path[:depth], place)
                    if depth < len(path) - 1 or isinstance(at[key], list):
                        return changed  # it is shown as the mistake that it is
                at[key] = {}
                changed.places[path[:depth]] = place
            at = at[key]
        at[path[-1]] = copy.deepcopy(value)
        for known in [k for k in changed.places if k[: len(path)] == path]:
            del changed.places[known]
        changed.places[path] = place
        return changed


_WHOLE = {("expect",), ("matrix",)}


def _fill(merged: Document, defaults: Document, path: Key, own: Any, given: Any) -> None:
    for key, value in given.items():
        here = (*path, key)
        if key not in own:
            own[key] = copy.deepcopy(value)
            for known, place in defaults.places.items():
                if known[: len(here)] == here:
                    merged.places[known] = place
        elif isinstance(own[key], dict) and isinstance(value, dict) and here not in _WHOLE:
            if "kind" in own[key] and own[key]["kind"] != value.get("kind"):
                continue
            _fill(merged, defaults, here, own[key], value)


def read_documents(file: Path, shown: Path, may_be_empty: bool = False) -> list[Document]:
    """Reads a YAML file; `shown` is its path as messages should give it.

    Raises:
        ScenarioError: no such file, not UTF-8, not YAML, empty, or a document that is no mapping.

    """
    yaml = YAML(typ="rt")
    try:
        text = file.read_text(encoding="utf-8")
        parsed = [(d, d.lc.line + 1 if hasattr(d, "lc") else 1) for d in yaml.load_all(text)]
    except OSError as bad:
        raise ScenarioError([Problem(shown, 0, "", f"cannot be read: {bad.strerror}")]) from bad
    except UnicodeDecodeError as bad:
        raise ScenarioError([Problem(shown, 0, "", f"is not UTF-8: {bad.reason}")]) from bad
    except MarkedYAMLError as bad:
        mark = bad.problem_mark or bad.context_mark
        line = mark.line + 1 if mark else 0
        what = " ".join(str(bad.problem or bad.context or "not YAML").split())
        raise ScenarioError([Problem(shown, line, "", f"not YAML: {what}")]) from bad
    except YAMLError as bad:
        what = " ".join(str(bad).split())
        raise ScenarioError([Problem(shown, 0, "", f"not YAML: {what}")]) from bad
    documents, problems = [], []
    for value, line in parsed:
        if value is None:
            continue  # a trailing --- opens an empty document
        if not isinstance(value, CommentedMap):
            given = "a list" if isinstance(value, CommentedSeq) else "a line of text"
            problems.append(Problem(shown, line, "", f"must be a mapping of keys, not {given}"))
            continue
        places: dict[Key, Place] = {(): Place(shown, line)}
        documents.append(Document(_plain(value, (), shown, places), places))
    if problems:
        raise ScenarioError(problems)
    if not documents and not may_be_empty:
        raise ScenarioError([Problem(shown, 0, "", "is empty; a scenario needs at least a name")])
    return documents


def _plain(value: Any, path: Key, file: Path, places: dict[Key, Place]) -> Any:
    if isinstance(value, CommentedMap):
        for key in value:
            if key in (value.lc.data or {}):
                places[(*path, key)] = Place(file, value.lc.data[key][0] + 1)
        return {key: _plain(v, (*path, key), file, places) for key, v in value.items()}
    if isinstance(value, CommentedSeq):
        for i in range(len(value)):
            if i in (value.lc.data or {}):
                places[(*path, i)] = Place(file, value.lc.data[i][0] + 1)
        return [_plain(v, (*path, i), file, places) for i, v in enumerate(value)]
    for scalar in (bool, int, float, str):  # ruamel's own number types carry their layout
        if isinstance(value, scalar):
            return scalar(value)
    return value
