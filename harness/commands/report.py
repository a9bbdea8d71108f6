"""``fedharness report``: the report of records, without running anything."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    report = commands.add_parser("report", help="write report.md anew from the records of a folder")
    report.add_argument("folder", type=Path, metavar="DIR")
    report.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from harness.report.markdown import write_report
    from harness.results import read_results

    print(write_report(read_results(chosen.folder), chosen.folder))
    return 0
