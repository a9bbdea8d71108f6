"""``pytest-federated report``: the report of records, without running anything."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pytest_federated.core.errors import FederatedError


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    from pytest_federated.report.export import FORMATS, ROWS

    report = commands.add_parser(
        "report",
        help="write report.md anew from the records of a folder, and what else is asked for",
    )
    report.add_argument("folder", type=Path, metavar="DIR")
    report.add_argument("--html", type=Path, metavar="FILE", help="also one HTML page")
    for name in FORMATS:
        report.add_argument(
            f"--{name}", type=Path, metavar="FILE", help=f"also the figures, as {name}"
        )
    report.add_argument(
        "--by", choices=list(ROWS), default="seed", help="what a row of those is (default: seed)"
    )
    report.add_argument(
        "--update",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="also fills in the blocks <!-- pytest-federated: ... --> of this page",
    )
    report.add_argument(
        "--check",
        action="store_true",
        help="write nothing; end with code 1 if one of these files is not current",
    )
    report.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from pytest_federated.report.export import FORMATS, ROWS
    from pytest_federated.report.html import page
    from pytest_federated.report.pages import REPORT, report_files
    from pytest_federated.report.update import updated
    from pytest_federated.results.store import read_results, write_bytes

    results = read_results(chosen.folder)
    files: dict[Path, bytes] = {
        chosen.folder / name: text.encode() for name, text in report_files(results).items()
    }
    if chosen.html:
        files[chosen.html] = page(results).encode()
    for name, made in FORMATS.items():
        if path := getattr(chosen, name):
            files[path] = made(list(ROWS[chosen.by](results)))
    for path in chosen.update:
        files[path] = updated(path, results, chosen.folder).encode()
    if chosen.check:
        _demand_current(files)
        return 0
    for path, data in files.items():
        write_bytes(path.resolve(), data)  # what a link names, and not in place of the link
    wanted = [getattr(chosen, name) for name in ("html", *FORMATS)]
    for path in [chosen.folder / REPORT, *filter(None, wanted), *chosen.update]:
        print(path)
    return 0


def _demand_current(files: dict[Path, bytes]) -> None:
    stale = [
        str(path) for path, data in files.items() if not path.is_file() or path.read_bytes() != data
    ]
    if stale:
        raise FederatedError(
            f"not current: {', '.join(stale)}\nthe same command without --check writes them anew"
        )
