"""``pytest-federated check``: every mistake in scenario files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from pytest_federated.cli.parameters import PATH


@click.command("check", short_help="Read scenario files and show every mistake in them.")
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
def command(paths: Sequence[Path]) -> None:
    """Read scenario files and show every mistake in them.

    A PATH is a file or a folder, of which those files are read that pytest would run.
    """
    from pytest_federated.cli.collecting import collected

    cases = collected(paths)
    files = len({c.file for c in cases})
    print(f"{len(cases)} scenario(s) in {files} file(s): no mistakes found")
