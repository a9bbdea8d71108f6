"""Files and functions that scenarios name and that do not exist; imports and reads nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from pytest_federated.core.errors import Problem
from pytest_federated.core.suggestions import suggest
from pytest_federated.scenario.case import Case
from pytest_federated.user.files import named_files, nearest, of_seed, paths_of
from pytest_federated.user.functions import named_functions
from pytest_federated.user.modules import own_folders, space


def missing(cases: Iterable[Case]) -> list[Problem]:
    """Lists the files and functions that scenarios name and that pytest would not find either."""
    problems: dict[str, Problem] = {}
    for case in cases:
        with own_folders(case.file.resolve().parent, Path.cwd()):
            for message in _missing(case):
                problem = Problem(case.file, case.line, "", message)
                problems[str(problem)] = problem  # variants of a matrix name the same ones
    return list(problems.values())


def _missing(case: Case) -> Iterator[str]:
    scenario = case.scenario
    model = [scenario.model] if scenario.model else []
    for section in (scenario.data, scenario.clients, *model, scenario.training):
        for name in named_files(section):
            for path in sorted({of_seed(name, seed) for seed in scenario.seeds}):
                candidates = paths_of(path)
                if not any(candidate.exists() for candidate in candidates):
                    yield f"there is no file {path!r}{nearest(candidates)}"
        for reference in named_functions(section):
            yield from _missing_function(*reference.split(":"))


def _missing_function(module: str, name: str) -> Iterator[str]:
    """Says what is missing of a function, as far as the source shows it."""
    if not space().is_users(module):
        top = module.partition(".")[0]
        if find_spec(top) is None:
            yield f"there is no module {module!r}, beside the scenario or among the packages"
        return
    if not space().has(module):
        yield f"there is no module {module!r}"
        return
    file = Path(space().spec(module).origin or "")
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        yield f"{file} cannot be imported: {error}"
        return
    names = set(_names(tree))
    if name not in names and not names & {"*", "__getattr__", "globals"}:
        yield f"{file} has no function {name!r}; {suggest(name, sorted(names))}"


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
