"""Entries that a project's conftest.py registers, for commands that run without pytest."""

from __future__ import annotations

from pathlib import Path

from pytest_federated.core.errors import FederatedError
from pytest_federated.user.modules import import_file


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
