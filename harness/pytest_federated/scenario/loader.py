"""Loads scenario files as validated scenarios."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Optional

from pytest_federated.core.errors import FederatedError, Problem, ScenarioError
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.matrix import (
    MATRIX,
    MAX_VARIANTS,
    TUNED,
    Variant,
    expand,
    labels_in,
    unknown_variant,
    varied_keys,
)
from pytest_federated.scenario.naming import DEFAULTS, is_misnamed_defaults
from pytest_federated.scenario.points import read_points, varied_twice
from pytest_federated.scenario.references import compared
from pytest_federated.scenario.schema import Scenario, choices, default_choices
from pytest_federated.scenario.source import MAX_PROBLEMS, Document, Place, read_documents
from pytest_federated.user.reading import read_from

_ROOT_MARKERS = (".git", "pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg")


def load_file(file: Path, root: Optional[Path] = None) -> list[Case]:
    """Reads all scenarios of a file, with the ``defaults.yaml`` of its folder applied.

    The defaults of the folders above apply too, the nearest first, up to the root of the project:
    the first folder with a ``.git``, ``pyproject.toml``, ``pytest.ini``, ``tox.ini`` or
    ``setup.cfg``.

    Args:
        file: the YAML file.
        root: messages show paths below this folder relative to it.

    Raises:
        ScenarioError: the file has problems; it lists all of them.

    """
    with read_from(file.parent):
        return _load_file(file, root)


def _load_file(file: Path, root: Optional[Path]) -> list[Case]:
    shown = shown_path(file, root)
    if is_misnamed_defaults(file):
        message = f"is no scenario file by its name; rename it to {DEFAULTS}, or otherwise"
        raise ScenarioError([Problem(shown, 0, "", message)])
    cases: list[Case] = []
    problems: dict[str, Problem] = {}
    first_line: dict[str, int] = {}
    for line, document in _documents(file, shown, root):
        name = document.data.get("name")
        new_cases, new_problems = _cases(document, file, line)
        if len(cases) + len(new_cases) > MAX_VARIANTS:
            message = f"has more than {MAX_VARIANTS:,} scenarios; put some into another file"
            raise ScenarioError([Problem(shown, line, "", message)])
        if isinstance(name, str) and name in first_line:
            place = document.place(("name",))
            message = f"got {name!r}; taken in line {first_line[name]}"
            new_problems.append(Problem(place.file, place.line, "name", message))
        elif isinstance(name, str):
            first_line[name] = document.place(("name",)).line
        cases += new_cases
        problems.update((str(p), p) for p in new_problems)
    if problems:
        raise ScenarioError(problems.values())
    return cases


def _documents(file: Path, shown: Path, root: Optional[Path]) -> Iterator[tuple[int, Document]]:
    """Yields the documents of a file, with the defaults applied, and the first line of each."""
    defaults = _defaults(file, root)
    for document in read_documents(file, shown):
        line = document.place(()).line
        _write_out_choices(document)
        for default in defaults:
            document = document.over(default)
        _write_out_defaults(document)
        yield line, document


def place_of(case: Case, key: str, point: str = "") -> Place:
    """Returns where a case has its value of a dotted key: in its file, or in a ``defaults.yaml``.

    `point` is the name of a point of its grid, where it is tuned.

    Raises:
        ScenarioError: the file was changed and has problems now.

    """
    shown = shown_path(case.file, None)
    path = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
    for line, document in _documents(case.file, shown, None):
        if line == case.line:
            for variant in expand(document)[0]:
                if variant.name != case.variant:
                    continue
                points = {one.name: one for one in expand(variant.document, TUNED)[0]}
                return points.get(point, variant).document.place(path)
    return Place(shown, case.line)


def _write_out_choices(document: Document) -> None:
    """Replaces the short forms of choices, so that defaults are compared by kind."""
    for path, registry in choices():
        document.rewrite(path, registry.normalize)


def _write_out_defaults(document: Document) -> None:
    """Writes out the default of each choice that is left out and that a grid only adds keys to.

    So ``training.client_optimizer.learning_rate`` in a matrix changes that of the default, SGD.
    """
    varied = varied_keys(document, MATRIX, TUNED)
    for path, default in default_choices().items():
        inner = [key[len(path)] for key in varied if key[: len(path)] == path and key != path]
        if inner and all(key != "kind" and key in default for key in inner):
            document.add(path, default)


def _cases(document: Document, file: Path, line: int) -> tuple[list[Case], list[Problem]]:
    variants, problems = expand(document)
    problems += varied_twice(document)
    if not variants:  # the problems of the rest are shown too
        variants = [Variant("", document.without("matrix"), {})]
    cases: list[Case] = []
    siblings: dict[str, Scenario] = {}
    for variant, filled, values in variants:
        if len(problems) >= MAX_PROBLEMS:
            break
        if "schema" not in filled.data:
            place = filled.place(())
            problems.append(
                Problem(
                    place.file,
                    place.line,
                    "schema",
                    "missing; the first line should be 'schema: 1'",
                )
            )
        points, more = read_points(filled)
        problems += more
        if len(points) * len(variants) > MAX_VARIANTS:
            place = document.place(TUNED)
            message = f"makes more than {MAX_VARIANTS:,} scenarios, of all variants together"
            return [], [Problem(place.file, place.line, ".".join(TUNED), message)]
        if not points:
            continue
        scenario = next(iter(points.values())).scenario
        grid = points if scenario.tune else {}
        cases.append(Case(scenario, variant, file, line, values, siblings, grid))
        if variant:
            siblings[variant] = scenario
    if not problems:
        problems += [*_uncomparable(cases, document), *_without_reference(cases, document)]
    return cases, problems


def _uncomparable(cases: Iterable[Case], document: Document) -> list[Problem]:
    """Returns a problem for each expectation that cannot be compared as it asks."""
    problems = []
    for case in cases:
        try:
            compared(case)
        except FederatedError as error:
            key, _, message = str(error).partition(": ")
            place = document.place(tuple(key.split(".")))
            problems.append(Problem(place.file, place.line, key, message))
    return problems


def _without_reference(cases: Sequence[Case], document: Document) -> Iterator[Problem]:
    """Yields a problem if the variants cannot be compared with what ``comparison`` says."""
    comparison = cases[0].scenario.comparison if cases else None
    if comparison is None:
        return
    key, message = "comparison", ""
    variants = [labels_in(case.variant) for case in cases]
    if len(cases) == 1:
        message = "compares the variants of a matrix, and there are none"
    elif comparison.reference and (wrong := unknown_variant(comparison.reference, variants)):
        key, message = "comparison.reference", wrong
    elif published := comparison.published:
        parts = [("order", part) for order in published.orders for part in order]
        parts += [("figures", part) for part in published.figures]
        for name, part in parts:
            if wrong := unknown_variant(part, variants):
                key, message = f"comparison.published.{name}", wrong
                break
    if message:
        place = document.place(tuple(key.split(".")))
        yield Problem(place.file, place.line, key, message)


def _defaults(file: Path, root: Optional[Path]) -> list[Document]:
    documents = []
    for folder in resolved(file).parents:
        if os.path.lexists(folder / DEFAULTS):  # a broken link is reported, not passed over
            documents.append(_default(folder / DEFAULTS, root))
            _write_out_choices(documents[-1])
        if any(os.path.lexists(folder / marker) for marker in _ROOT_MARKERS):
            break
    return documents


def _default(file: Path, root: Optional[Path]) -> Document:
    documents = read_documents(file, shown_path(file, root), may_be_empty=True)
    if len(documents) > 1:
        place = documents[1].place(())
        raise ScenarioError([Problem(place.file, place.line, "", "defaults are one document only")])
    return documents[0] if documents else Document({}, {})


def shown_path(file: Path, root: Optional[Path]) -> Path:
    """Returns the path for messages: relative to `root`, or the current folder, if below it."""
    try:
        absolute = resolved(file.parent) / file.name  # a link is shown by its own name
        return absolute.relative_to(resolved(root or Path.cwd()))
    except ValueError:
        return file


def resolved(path: Path) -> Path:
    """Returns the path without links; links in a circle are followed as far as they lead."""
    return Path(os.path.realpath(path))  # Path.resolve would raise
