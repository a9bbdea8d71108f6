"""Scenario files as pytest collectors."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Optional

import pytest

from pytest_federated.core import collector
from pytest_federated.core.errors import FederatedError, Problem, ScenarioError
from pytest_federated.plugin.finding import files_to_read
from pytest_federated.plugin.item import ScenarioItem
from pytest_federated.plugin.options import is_on
from pytest_federated.plugin.selection import require_known_tags
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.files import duplicates
from pytest_federated.scenario.loader import load_file
from pytest_federated.user.modules import import_file
from pytest_federated.user.permitted import no_code

PROBLEMS = pytest.StashKey[list[Problem]]()


class ScenarioFile(pytest.File):
    """One scenario file; its items are the scenarios, one for each variant of a matrix."""

    def collect(self) -> Iterable[ScenarioItem]:
        try:
            with no_code(_forbidding(self.config)), collector.paused():
                cases = load_file(self.path, self.config.rootpath)
        except ScenarioError as error:
            # Kept until all files are read, so that every mistake is shown at once.
            self.config.stash.setdefault(PROBLEMS, []).extend(error.problems)
            return
        except FederatedError as error:
            raise self.CollectError(str(error)) from None
        for case in cases:
            for tag in case.scenario.tags:
                self.config.addinivalue_line("markers", f"{tag}: a tag of federated scenarios")
            yield ScenarioItem.from_parent(  # pyright: ignore[reportUnknownMemberType]  # **kw
                self, name=case.id, case=case
            )


def _forbidding(config: pytest.Config) -> Optional[str]:
    """Returns the option by which scenario files must not name code, or None."""
    flag = "--fed-no-user-code"
    return flag if is_on(config, flag) else None


def raise_problems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Stops pytest with exit code 4 where scenario files are wrong.

    Raises:
        pytest.UsageError: with every problem of every file.

    """
    problems = list(config.stash.setdefault(PROBLEMS, []))
    cases = (i.case for i in items if isinstance(i, ScenarioItem))
    problems += duplicates(cases, config.rootpath)
    if problems:
        raise pytest.UsageError(_message(problems))


def require_known_selection(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Stops pytest where ``-m`` selects by a tag that no scenario has, if there are scenarios.

    Raises:
        pytest.UsageError: with the tag and the nearest one.

    """
    items = list(items)
    scenarios = [item.case.scenario for item in items if isinstance(item, ScenarioItem)]
    if scenarios:
        tags = {tag for scenario in scenarios for tag in scenario.tags}
        markers = {marker.name for item in items for marker in item.iter_markers()}
        require_known_tags(config, tags, markers)


def note_problems(file: Path, config: pytest.Config) -> None:
    """Reads a scenario file for the problems alone, which are kept until all files are read."""
    try:
        with no_code(_forbidding(config)):
            load_file(file, config.rootpath)
    except ScenarioError as error:
        config.stash.setdefault(PROBLEMS, []).extend(error.problems)


def check_files(config: pytest.Config) -> list[Case]:
    """Reads the scenario files below pytest's arguments; returns the scenarios that they hold.

    For xdist's controller, which does not collect: it stops before it starts any worker.

    Raises:
        pytest.UsageError: with every problem of every file.

    """
    problems: list[Problem] = []
    cases: list[Case] = []
    for file in files_to_read(config):
        try:
            with no_code(_forbidding(config)):
                cases += _with_conftests(file, config.rootpath)
        except ScenarioError as error:
            problems += error.problems
        except FederatedError as error:
            raise pytest.UsageError(str(error)) from None
    if problems:
        raise pytest.UsageError(_message(problems))
    return cases


def _with_conftests(file: Path, root: Path) -> list[Case]:
    """Returns the scenarios of a file, which may need a conftest.py that is not loaded yet.

    Raises:
        ScenarioError: with every problem of the file.

    """
    try:
        return load_file(file, root)
    except ScenarioError:
        for folder in reversed(file.parents):
            if (conftest := folder / "conftest.py").is_file() and root in (folder, *folder.parents):
                try:
                    module = import_file(conftest)
                except Exception:  # pytest itself says what is wrong, in the worker's process
                    return []
                if _ignores(module, folder, file):
                    return []
        return load_file(file, root)


def _ignores(conftest: ModuleType, folder: Path, file: Path) -> bool:
    """Returns whether a conftest.py, which the controller has not loaded, ignores a file."""
    paths = (file, *file.parents)
    names = [folder / name for name in getattr(conftest, "collect_ignore", ())]
    globs = [str(folder / glob) for glob in getattr(conftest, "collect_ignore_glob", ())]
    return any(p in names or any(fnmatch(str(p), glob) for glob in globs) for p in paths)


def _message(problems: Iterable[Problem]) -> str:
    unique = ScenarioError({str(problem): problem for problem in problems}.values()).problems
    lines = "\n".join(f"  {problem}" for problem in unique)
    return f"{len(unique)} problem(s) in scenario files\n{lines}"
