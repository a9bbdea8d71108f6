"""``pytest-federated prune``: what is left of scenarios that are gone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pytest_federated.core.errors import FederatedError


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    prune = commands.add_parser(
        "prune", help="name, or delete, the baselines and records of scenarios that are gone"
    )
    prune.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file or folder")
    prune.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="also the records and plots there of scenarios that are nowhere below the PATHs",
    )
    prune.add_argument("--delete", action="store_true", help="delete them, not only name them")
    prune.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from pytest_federated.report import leftovers
    from pytest_federated.scenario.files import load_all

    cases = load_all(chosen.paths)
    if not cases:  # a misspelled folder would make everything a leftover
        raise FederatedError(f"no scenario files in {', '.join(map(str, chosen.paths))}")
    found = leftovers.baselines(chosen.paths)
    if chosen.report:
        gone = leftovers.records(chosen.report, (case.id for case in cases))
        found += [*gone, *leftovers.plots(chosen.report, gone)]
    for file in found:
        print(file)
        if chosen.delete:
            file.unlink()
    told = "deleted" if chosen.delete else "left; --delete deletes them"
    print(f"{len(found)} file(s) {told}" if found else "nothing is left of scenarios that are gone")
    return 0
