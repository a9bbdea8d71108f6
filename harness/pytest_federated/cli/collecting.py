"""What pytest would do: which scenario files it runs, and which plugins and conftest.py it loads.

It does so with its ini file, PYTEST_ADDOPTS and PYTEST_PLUGINS: whatever they name by ``-p`` is
loaded, and so is what a conftest.py names under ``pytest_plugins``.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional, Union

import pytest

from pytest_federated.core.errors import FederatedError, Problem, ScenarioError
from pytest_federated.plugin.collection import PROBLEMS, ScenarioFile
from pytest_federated.plugin.finding import skipped_files
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.files import load_all
from pytest_federated.scenario.loader import load_file
from pytest_federated.scenario.naming import DEFAULTS, is_yaml
from pytest_federated.user.permitted import no_code

# What of an ini file makes pytest import or run something.
_CODE_IN_INI = ("addopts", "filterwarnings", "pythonpath")
_WITHOUT_CODE = ("--noconftest", *(word for key in _CODE_IN_INI for word in ("-o", f"{key}=")))

# What costs time at the end of a session and has nothing to say about a collection.
_UNUSED = ("-p", "no:unraisableexception", "-p", "no:threadexception")


def collected(paths: Sequence[Path], *, forbidding: Optional[str] = None) -> list[Case]:
    """Reads the scenarios that pytest would run at and below `paths`.

    Prints which files seem to hold scenarios and are not read. What a conftest.py registers is
    known; tests in Python are not imported.

    Args:
        paths: files and folders.
        forbidding: the option by which scenarios must not name code, which keeps pytest from
            running any of the project's code, too, its conftest.py files included.

    Raises:
        ScenarioError: with every problem of every file.
        FederatedError: there are no scenarios, or pytest itself cannot start there.

    """
    collection = _Collection()
    problems = [p for path in paths for p in _problems_of(path)]
    if not problems:
        _run_pytest(paths, collection, [] if forbidding is None else _WITHOUT_CODE)
        problems = collection.problems
    cases: list[Case] = []
    try:
        with no_code(forbidding):
            cases = load_all(collection.files)
    except ScenarioError as error:
        problems += error.problems
    if problems:
        raise ScenarioError({str(p): p for p in problems}.values())
    if not cases:
        none = f"no scenario files in {', '.join(map(str, paths))}"
        raise FederatedError("\n".join([none, *collection.skipped]))
    for line in collection.skipped:
        print(line)
    return cases


def read(file: Path, *, forbidding: Optional[str] = None) -> list[Case]:
    """Reads the scenarios of a file, with the entries that plugins and conftest.py files register.

    `forbidding` is the option by which scenarios must not name code; none of the project's code is
    imported then.

    Raises:
        ScenarioError: with every problem of the file.
        FederatedError: pytest itself cannot start there.

    """
    if file.is_file():
        load_plugins(file, forbidding=forbidding)
    with no_code(forbidding):
        return load_file(file)


def load_plugins(path: Path, *, forbidding: Optional[str] = None) -> None:
    """Loads the plugins and conftest.py files that pytest would for this file or folder.

    Raises:
        FederatedError: one of them cannot be imported, or pytest cannot start for another reason.

    """
    _run_pytest([path], _Nothing(), [] if forbidding is None else _WITHOUT_CODE)


class _Nothing:
    """A plugin that collects nothing."""

    def pytest_collection(self) -> bool:
        return True


class _Collection:
    """A plugin that goes through the folders as pytest does, and collects scenario files alone."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        self.problems: list[Problem] = []
        self.skipped: list[str] = []

    def pytest_collection(self, session: pytest.Session) -> bool:
        for arg in session.config.args:
            path = Path(arg)
            hooks = session.gethookproxy(path.parent)
            if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir may raise
                self._collect(hooks.pytest_collect_directory(path=path, parent=session))
            else:
                for node in hooks.pytest_collect_file(file_path=path, parent=session):
                    self._collect(node)
        self.problems += session.config.stash.setdefault(PROBLEMS, [])
        self.skipped += skipped_files(session.config)
        return True  # pytest itself collects nothing

    def _collect(self, node: Union[pytest.Item, pytest.Collector]) -> None:
        if isinstance(node, ScenarioFile):
            self.files.append(node.path)
        elif isinstance(node, pytest.Directory):
            report = node.ihook.pytest_make_collect_report(collector=node)
            if report.failed:
                reason = str(report.longrepr).strip().splitlines()[-1]
                self.problems.append(Problem(node.path, 0, "", f"cannot be collected: {reason}"))
            for inner in report.result or ():
                self._collect(inner)


class _KeptPath:
    """A plugin that remembers `sys.path`, of which pytest takes out `pythonpath` at its end."""

    def __init__(self) -> None:
        self.folders: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        self.folders = list(sys.path)


def _problems_of(path: Path) -> Iterator[Problem]:
    """Yields why a path that was named cannot be collected."""
    if not os.path.lexists(path):
        yield Problem(path, 0, "", "cannot be read: No such file or directory")
    elif os.path.isdir(path):  # noqa: PTH112 - Path.is_dir may raise
        return
    elif path.name == DEFAULTS or not is_yaml(path):
        yield Problem(
            path, 0, "", f"is no scenario file by its name: .yaml or .yml, and not {DEFAULTS}"
        )


def _run_pytest(paths: Sequence[Path], collection: object, options: Sequence[str]) -> None:
    """Has pytest collect, and show nothing. The folders that it adds to `sys.path` remain.

    Raises:
        FederatedError: it cannot start, as a conftest.py or the ini file is wrong.

    """
    arguments = ["--collect-only", "--capture=no", *_UNUSED, *options]
    arguments += [str(path.absolute()) for path in paths]
    output = io.StringIO()
    path = _KeptPath()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(arguments, [collection, path])
    sys.path[:0] = [folder for folder in path.folders if folder not in sys.path]
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise FederatedError(output.getvalue().strip())
