"""``pytest-federated check``: every mistake in scenario files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from pytest_federated.cli.parameters import PATH
from pytest_federated.core.errors import FederatedError


@click.command("check", short_help="Read scenario files and show every mistake in them.")
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
def command(paths: Sequence[Path]) -> None:
    """Read scenario files and show every mistake in them.

    A PATH is a file or a folder.
    """
    from pytest_federated.scenario.files import load_all

    cases = load_all(paths)
    if not cases:
        raise FederatedError(f"no scenario files in {', '.join(map(str, paths))}")
    files = len({c.file for c in cases})
    print(f"{len(cases)} scenario(s) in {files} file(s): no mistakes found")
