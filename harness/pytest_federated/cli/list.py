"""``pytest-federated list``: what scenario files can choose."""

from __future__ import annotations

import argparse
from typing import Any

from pytest_federated.registry.concepts import concepts


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    listing = commands.add_parser("list", help="what scenario files can choose")
    listing.add_argument("concept", choices=list(concepts()))
    listing.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from tabulate import tabulate

    registry = concepts()[chosen.concept]
    rows = [
        [name, ", ".join(registry[name].keywords), registry[name].summary]
        for name in registry.names()
    ]
    print(tabulate(rows, ["name", "keys", ""]))
    return 0
