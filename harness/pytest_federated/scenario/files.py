"""Finds scenario files, and reads many of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional

from pytest_federated.core.errors import Problem, ScenarioError
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.loader import load_file, resolved, shown_path
from pytest_federated.scenario.naming import may_hold_scenarios


def find_files(path: Path) -> list[Path]:
    """Returns the scenario files at or below `path`, sorted; without defaults and hidden files.

    Unreadable folders are among them, so that reading them reports the problem.
    """
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir may raise
        return [path]
    unreadable: list[Path] = []
    names: list[Path] = []
    for folder, folders, files in os.walk(
        path, onerror=lambda error: unreadable.append(Path(error.filename))
    ):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names += [Path(folder) / name for name in files]
    return sorted([*unreadable, *filter(may_hold_scenarios, names)])


def load_all(paths: Sequence[Path], root: Optional[Path] = None) -> list[Case]:
    """Reads all scenarios at and below `paths`.

    Raises:
        ScenarioError: files have problems, or use a name twice; it lists all problems.

    """
    cases: list[Case] = []
    problems: list[Problem] = []
    files = {resolved(f): f for p in reversed(paths) for f in reversed(find_files(p))}
    for file in reversed(files.values()):
        try:
            cases += load_file(file, root)
        except ScenarioError as error:
            problems += error.problems
    problems += duplicates(cases, root)
    if problems:
        raise ScenarioError(problems)
    return cases


def duplicates(cases: Iterable[Case], root: Optional[Path] = None) -> list[Problem]:
    """Returns a problem for each scenario whose name another file has already used."""
    first: dict[str, Case] = {}
    problems: dict[tuple[Path, str], Problem] = {}
    for case in cases:
        name = case.scenario.name
        other = first.setdefault(name, case)
        if other.file != case.file:
            message = f"got {name!r}; taken in {shown_path(other.file, root)}:{other.line}"
            shown = shown_path(case.file, root)
            problems[case.file, name] = Problem(shown, case.line, "name", message)
    return list(problems.values())
