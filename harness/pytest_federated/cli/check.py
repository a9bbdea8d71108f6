"""``pytest-federated check``: every mistake in scenario files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pytest_federated.core.errors import FederatedError


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    check = commands.add_parser("check", help="read scenario files and show every mistake in them")
    check.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file or folder")
    check.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from pytest_federated.scenario.files import load_all

    cases = load_all(chosen.paths)
    if not cases:
        raise FederatedError(f"no scenario files in {', '.join(map(str, chosen.paths))}")
    files = len({c.file for c in cases})
    print(f"{len(cases)} scenario(s) in {files} file(s): no mistakes found")
    return 0
