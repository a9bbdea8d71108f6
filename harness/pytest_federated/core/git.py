"""Calls of git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from pytest_federated.core.errors import FederatedError


def git(
    *arguments: str,
    stdin: bytes = b"",
    folder: Optional[Path] = None,
    variables: Mapping[str, str] = {},
) -> bytes:
    """Returns what git prints.

    Args:
        arguments: the command and its arguments.
        stdin: what it reads.
        folder: where it runs; the current folder when None.
        variables: of its environment, besides those of this process.

    Raises:
        FederatedError: git failed, with the first line of what it says, or it is not installed.

    """
    command = ["git", *arguments]
    environment = {**os.environ, **variables}
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, check=False, cwd=folder, env=environment
        )
    except OSError:
        raise FederatedError("git is not installed") from None
    if done.returncode:
        message = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise FederatedError(message.removeprefix("fatal: ") or f"git {arguments[0]} failed")
    return done.stdout


def git_text(*arguments: str, folder: Optional[Path] = None) -> str:
    """Returns what git prints, as text without line ends around it; raises as `git`."""
    return git(*arguments, folder=folder).decode("utf-8", "replace").strip("\n")
