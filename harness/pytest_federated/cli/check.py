"""``pytest-federated check``: every mistake in scenario files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click

from pytest_federated.cli.parameters import PATH, no_user_code
from pytest_federated.core.errors import FederatedError


@click.command("check", short_help="Read scenario files and show every mistake in them.")
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@no_user_code
def command(paths: Sequence[Path], no_user_code: Optional[str]) -> None:
    """Read scenario files and show every mistake in them.

    A PATH is a file or a folder.
    """
    from pytest_federated.scenario.files import load_all
    from pytest_federated.user.permitted import no_code

    with no_code(no_user_code):
        cases = load_all(paths)
    if not cases:
        raise FederatedError(f"no scenario files in {', '.join(map(str, paths))}")
    files = len({c.file for c in cases})
    print(f"{len(cases)} scenario(s) in {files} file(s): no mistakes found")
