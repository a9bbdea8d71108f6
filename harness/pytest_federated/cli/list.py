"""``pytest-federated list``: what scenario files can choose."""

from __future__ import annotations

from typing import Any

import click

from pytest_federated.cli.parameters import LazyChoice


def registries() -> dict[str, Any]:
    """All registries, by the name of what they hold."""
    from pytest_federated.clients.attacks.attack import attacks
    from pytest_federated.clients.dropout.dropout import dropouts
    from pytest_federated.clients.sampling.sampler import samplers
    from pytest_federated.clients.stragglers.straggler import stragglers
    from pytest_federated.data.datasets.dataset import datasets
    from pytest_federated.data.shifts.shift import shifts
    from pytest_federated.data.sizes.size import sizes
    from pytest_federated.data.splits.partition import splits
    from pytest_federated.expectations.judging import checks
    from pytest_federated.training.aggregators.aggregator import aggregators
    from pytest_federated.training.algorithms.algorithm import algorithms
    from pytest_federated.training.models.model import models
    from pytest_federated.training.optimizers.optimizer import optimizers
    from pytest_federated.training.schedules.schedule import schedules

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


class _ListCommand(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text(f"A CONCEPT is one of {', '.join(sorted(registries()))}.")


@click.command("list", cls=_ListCommand, short_help="Show what scenario files can choose.")
@click.argument("concept", type=LazyChoice(lambda: sorted(registries())), metavar="CONCEPT")
def command(concept: str) -> None:
    """Show what scenario files can choose."""
    from tabulate import tabulate

    registry = registries()[concept]
    rows = [
        [name, ", ".join(registry[name].keywords), registry[name].summary]
        for name in registry.names()
    ]
    print(tabulate(rows, ["name", "keys", ""]))
