"""Entries that a project's conftest.py registers, for commands that run without pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from pytest_federated.core.errors import FederatedError, ScenarioError
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.loader import load_file
from pytest_federated.user.modules import import_file
from pytest_federated.user.permitted import no_code


def read(file: Path, *, forbidding: Optional[str] = None) -> list[Case]:
    """Reads the scenarios of a file, with the entries that conftest.py files register.

    `forbidding` is the option by which scenarios must not name code; no conftest.py is imported
    then.

    Raises:
        ScenarioError: with every problem of the file.
        FederatedError: a conftest.py cannot be imported.

    """
    with no_code(forbidding):
        try:
            return load_file(file)
        except ScenarioError:
            if forbidding is not None:
                raise
    import_conftests(file.parent)
    return load_file(file)


def import_conftests(folder: Path) -> None:
    """Imports the conftest.py files of a folder and of the folders above it, up to the current one.

    Raises:
        FederatedError: one of them cannot be imported.

    """
    start, folder = Path.cwd().resolve(), folder.resolve()
    for above in reversed((folder, *folder.parents)):
        conftest = above / "conftest.py"
        if conftest.is_file() and (above == folder or start in (above, *above.parents)):
            try:
                import_file(conftest)
            except Exception as error:
                raise FederatedError(f"{conftest}: {type(error).__name__}: {error}") from error
