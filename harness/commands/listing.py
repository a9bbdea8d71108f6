"""``fedharness list``: what scenario files can choose."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    listing = commands.add_parser("list", help="what scenario files can choose")
    listing.add_argument("concept", choices=sorted(registries()))
    listing.set_defaults(run=_run)


def registries() -> dict[str, Any]:
    """All registries, by the name of what they hold."""
    from harness.checks import checks
    from harness.data.datasets import datasets
    from harness.data.shifts import shifts
    from harness.data.sizes import sizes
    from harness.data.splits import splits
    from harness.systems.dropout import dropouts
    from harness.systems.malicious import attacks
    from harness.systems.sampling import samplers
    from harness.systems.stragglers import stragglers
    from harness.training.aggregators import aggregators
    from harness.training.algorithms import algorithms
    from harness.training.models import models
    from harness.training.optimizers import optimizers
    from harness.training.schedules import schedules

    return {
        "aggregators": aggregators,
        "algorithms": algorithms,
        "attacks": attacks,
        "checks": checks,
        "datasets": datasets,
        "dropouts": dropouts,
        "models": models,
        "optimizers": optimizers,
        "samplers": samplers,
        "schedules": schedules,
        "shifts": shifts,
        "sizes": sizes,
        "splits": splits,
        "stragglers": stragglers,
    }


def _run(chosen: argparse.Namespace) -> int:
    from tabulate import tabulate

    registry = registries()[chosen.concept]
    rows = [
        [name, ", ".join(registry[name].keywords), registry[name].summary]
        for name in registry.names()
    ]
    print(tabulate(rows, ["name", "keys", ""]))
    return 0
