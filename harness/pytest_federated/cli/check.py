"""``pytest-federated check``: every mistake in scenario files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click

from pytest_federated.cli.parameters import PATH, no_user_code
from pytest_federated.core.errors import ScenarioError


@click.command("check", short_help="Read scenario files and show every mistake in them.")
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@no_user_code
def command(paths: Sequence[Path], no_user_code: Optional[str]) -> None:
    """Read scenario files and show every mistake in them.

    A PATH is a file or a folder, of which those files are read that pytest would run. Files and
    functions that a scenario names must exist; they are not read or imported.
    """
    from pytest_federated.cli.collecting import collected
    from pytest_federated.cli.existing import missing

    cases = collected(paths, forbidding=no_user_code)
    if problems := missing(cases):
        raise ScenarioError(problems)
    files = len({c.file for c in cases})
    points = [len(case.points) for case in cases if case.points]
    tuned = f", {len(points)} of them tuned over {sum(points)} points" if points else ""
    print(f"{len(cases)} scenario(s) in {files} file(s){tuned}: no mistakes found")
