"""What scenarios name and what does not exist: files, functions, and columns of tables.

Imports nothing, and reads no more than the headers of files.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Optional

from pytest_federated.core.errors import DataError, DataUnavailable, Problem
from pytest_federated.core.schema import Section
from pytest_federated.core.suggestions import suggest
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.loader import place_of
from pytest_federated.scenario.schema import Scenario, choices
from pytest_federated.user.files import named_files, nearest, of_seed, paths_of
from pytest_federated.user.functions import named_functions
from pytest_federated.user.modules import own_folders, space


def missing(cases: Iterable[Case]) -> list[Problem]:
    """Lists what scenarios name and what pytest would not find either."""
    problems: dict[str, Problem] = {}
    for case in cases:
        with own_folders(case.file.resolve().parent, Path.cwd()):
            scenarios = {name: point.scenario for name, point in case.points.items()}
            for point, scenario in (scenarios or {"": case.scenario}).items():
                for key, message in _missing(scenario):
                    place = place_of(case, key, point)
                    problem = Problem(place.file, place.line, key, message)
                    problems[str(problem)] = problem  # variants of a grid name the same ones
    return list(problems.values())


def _missing(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yields the dotted key of what is missing, and a message."""
    without_file: list[str] = []
    for key, name in named_files(scenario):
        for path in sorted({of_seed(name, seed) for seed in scenario.seeds}):
            candidates = paths_of(path)
            if not any(candidate.exists() for candidate in candidates):
                without_file.append(key)
                yield key, f"there is no file {path!r}{nearest(candidates)}"
    for key, reference in named_functions(scenario):
        for message in _missing_function(*reference.split(":")):
            yield key, message
    for path, registry in choices():
        section = functools.reduce(lambda part, name: getattr(part, name, None), path, scenario)
        at = ".".join(path)
        if isinstance(section, Section) and not any(k.startswith(f"{at}.") for k in without_file):
            for key, message in _glance(registry.entry(section).spec.glance, section):
                stated, _, rest = message.partition(": ")
                if stated == at or stated.startswith(f"{at}."):  # by its own key
                    yield stated, rest
                else:
                    yield f"{at}.{key}" if key else at, message


def _glance(
    glance: Optional[Callable[[Any], Iterable[tuple[str, str]]]], section: Section
) -> Iterator[tuple[str, str]]:
    """Yields what does not fit the files that a section names, see `Spec.glance`."""
    if glance is None:
        return
    try:
        yield from glance(section)
    except DataUnavailable:  # pytest skips the scenario
        return
    except DataError as error:
        yield "", str(error)


def _missing_function(module: str, name: str) -> Iterator[str]:
    """Says what is missing of a function, as far as the source shows it."""
    if module.endswith(".py"):
        yield f"got {module!r}, a file; give the module's name, {module[:-3]!r}"
        return
    top = module.partition(".")[0]
    is_beside = space().is_users(module) and space().has(top)
    if is_beside and not space().has(module):
        yield f"there is no module {module!r}"
        return
    spec = space().spec(module) if is_beside else find_spec(top)
    if spec is None:
        yield f"there is no module {module!r}, beside the scenario or among the packages"
        return
    if not space().is_users(module) or not (is_beside or module == top):
        return
    file = Path(spec.origin or "")
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        yield f"{file} cannot be imported: {error}"
        return
    names = set(_names(tree))
    if name not in names and not names & {"*", "__getattr__", "globals"}:
        yield f"{file} has no function {name!r}; {suggest(name, _functions(tree))}"


def _functions(tree: ast.Module) -> list[str]:
    """Returns what a module offers at its top level: what it defines, and imports by name."""
    own = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            own.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):  # such as a partial function
            own.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return sorted(name for name in own if not name.startswith("_"))


def _names(tree: ast.AST) -> Iterator[str]:
    """Yields all names that a module may define, and a few by which it may define others."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and (
            isinstance(node.ctx, ast.Store) or node.id == "globals"
        ):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
