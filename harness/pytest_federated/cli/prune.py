"""``pytest-federated prune``: what is left of scenarios that are gone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click

from pytest_federated.cli.parameters import PATH


@click.command("prune", short_help="Name, or delete, what is left of scenarios that are gone.")
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@click.option(
    "--report",
    type=PATH,
    metavar="DIR",
    help="Also the records and plots there of scenarios that are nowhere below the PATHs.",
)
@click.option(
    "--cache",
    type=PATH,
    metavar="DIR",
    help="Also the checkpoints in this cache folder of pytest (.pytest_cache) of such scenarios.",
)
@click.option("--delete", is_flag=True, help="Delete the files instead of only naming them.")
def command(
    paths: Sequence[Path], report: Optional[Path], cache: Optional[Path], delete: bool
) -> None:
    """Name, or delete, the baselines, records and checkpoints of scenarios that are gone.

    A PATH is a file or a folder.
    """
    from pytest_federated.cli.collecting import collected
    from pytest_federated.report import leftovers
    from pytest_federated.running.store import leftover_checkpoints

    cases = collected(paths)  # raises for a misspelled folder, which makes everything a leftover
    files = leftovers.baselines(paths)
    if report:
        records = leftovers.records(report, (case.id for case in cases))
        files += [*records, *leftovers.plots(report, records)]
    if cache:
        files += leftover_checkpoints(
            cache, (name for case in cases for name in case.checkpoint_names)
        )
    for file in files:
        print(file)
        if delete:
            shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
    outcome = "deleted" if delete else "left; --delete deletes them"
    counted = f"{len(files)} file(s) or folder(s) {outcome}"
    print(counted if files else "nothing is left of scenarios that are gone")
