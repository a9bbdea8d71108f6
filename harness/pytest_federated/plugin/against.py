"""``--fed-against``: the same scenarios with the code of a revision of git, to compare with."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import pytest

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.parent import ending_with_this
from pytest_federated.plugin.options import session_options
from pytest_federated.results.record import Result
from pytest_federated.results.store import read_result, record_file
from pytest_federated.user.revision import commit_of, repository, search_path, write_tree

_AGAINST = pytest.StashKey["Against"]()
_FOLDER = "fed_against_folder"  # what xdist's processes are told


# Runs pytest without the current folder on the search path, unless it is there otherwise.
_PYTEST = "import sys; sys.path.pop(0); import pytest; raise SystemExit(pytest.main())"
_ERROR = re.compile(r"^(?:E|ERROR) +(.+)$", re.MULTILINE)  # of a traceback, of a file


class Against:
    """The results of a revision: of the session's scenarios, run in a pytest of its own.

    It has the code of the revision and all other files of the working tree, the options of this
    session, and its cache, so that nothing is trained twice. All is in a temporary folder, which
    is shared with xdist's processes.
    """

    def __init__(self, config: pytest.Config, revision: str, folder: Optional[str] = None) -> None:
        """`folder` is the one that xdist's controller made; without it a new one is made.

        Raises:
            FederatedError: this is no git repository, or it has no such revision.

        """
        self._config, self._revision = config, revision
        self._root = repository(config.rootpath)
        self._commit = commit_of(revision, self._root)
        self._folder = Path(folder or tempfile.mkdtemp(prefix="pytest-federated-"))

    @property
    def name(self) -> str:
        """The revision with its commit, as ``main (1a2b3c4)``."""
        return f"{self._revision} ({self._commit[:7]})"

    def start(self, files: Sequence[Path]) -> None:
        """Runs the scenarios of these files at the revision, on their own seeds.

        Raises:
            FederatedError: its pytest could not run them at all.

        """
        given = {"--cache-clear", *map(str, self._config.args)}
        options = [text for text in self._config.invocation_params.args if text not in given]
        write_tree(self._commit, self._root, self._tree)
        self._options.write_text(json.dumps(options), encoding="utf-8")
        self._run(self._folder / "first", [str(file) for file in files])

    def result(self, scenario: str) -> Optional[Result]:
        """Returns the result of a scenario at the revision; None where it did not run there."""
        return _result(scenario, self._folder / "first")

    def result_on_seeds(self, scenario: str, file: Path, seeds: int) -> Optional[Result]:
        """Runs a scenario at the revision on so many seeds, and returns its result.

        Raises:
            FederatedError: as `start`.

        """
        folder = self._folder / f"more-{os.getpid()}"
        alone = ["-n0"] if hasattr(self._config.option, "numprocesses") else []
        self._run(folder, [f"{file}::{scenario}", f"--fed-seeds={seeds}", *alone])
        return _result(scenario, folder)

    def tell(self, workerinput: dict[str, Any]) -> None:
        """Tells one of xdist's processes where the folder is."""
        workerinput[_FOLDER] = str(self._folder)

    def close(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _tree(self) -> Path:
        return self._folder / "tree"

    @property
    def _options(self) -> Path:
        return self._folder / "options.json"

    def _run(self, report: Path, arguments: Sequence[str]) -> None:
        root, tree = self._root, self._tree
        start = self._config.invocation_params.dir.resolve()
        inside = tree / start.relative_to(root) if start.is_relative_to(root) else tree
        options = [
            *json.loads(self._options.read_text(encoding="utf-8")),
            *(f"--rootdir={self._config.rootpath.resolve()}", *arguments),
            *(
                "--fed-against=",
                "--fed-baseline=ignore",
                "--fed-mlflow=",
                "--fed-tensorboard=",
                "--fed-save-models=",
            ),
            *("--maxfail=0", "-q", "--color=no", "--tb=no"),
        ]
        options = [option.replace(str(root), str(tree)) for option in options]
        options += [f"--fed-report={report}", f"--basetemp={report}-tmp"]
        if cache := getattr(self._config, "cache", None):
            options.append(f"-ocache_dir={Path(cache.mkdir('federated')).parents[1]}")
        inherited = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        path = [*search_path(sys.path, root, tree), *inherited]
        # The summary of a job on GitHub is that of this session alone.
        variables = {k: v for k, v in os.environ.items() if k != "GITHUB_STEP_SUMMARY"}
        done = subprocess.run(
            ending_with_this([sys.executable, "-c", _PYTEST, *options]),
            cwd=inside if inside.is_dir() else tree,
            env={**variables, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            text = f"{done.stdout.strip()}\n{done.stderr}".strip() or "it says nothing"
            errors = _ERROR.findall(text)
            why = errors[-1] if errors else text.splitlines()[-1].strip().removeprefix("ERROR: ")
            raise FederatedError(
                f"--fed-against: pytest at {self.name} ended with code {done.returncode}: "
                f"{why.replace(str(tree), root.name)}"
            )


def _result(scenario: str, folder: Path) -> Optional[Result]:
    path = record_file(scenario, folder)
    return read_result(path) if path.is_file() else None


def against(config: pytest.Config) -> Optional[Against]:
    """Returns what the session's scenarios are compared with; None without ``--fed-against``.

    Raises:
        pytest.UsageError: this is no git repository, or it has no such revision.

    """
    revision = session_options(config).against
    if revision and _AGAINST not in config.stash:
        told: dict[str, str] = getattr(config, "workerinput", {})
        try:
            config.stash[_AGAINST] = Against(config, revision, told.get(_FOLDER))
        except FederatedError as error:
            raise pytest.UsageError(f"--fed-against: {error}") from None
    return config.stash.get(_AGAINST, None)
