"""``pytest-federated list``: what scenario files can choose."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pytest_federated.cli.parameters import LazyChoice


def _names() -> Sequence[str]:
    from pytest_federated.registry.concepts import concepts

    return list(concepts())


class _ListCommand(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text(f"A CONCEPT is one of {', '.join(_names())}.")


@click.command("list", cls=_ListCommand, short_help="Show what scenario files can choose.")
@click.argument("concept", type=LazyChoice(_names), metavar="CONCEPT")
def command(concept: str) -> None:
    """Show what scenario files can choose."""
    from tabulate import tabulate

    from pytest_federated.registry.concepts import concepts

    registry = concepts()[concept]
    rows = [
        [name, ", ".join(registry[name].keywords), registry[name].summary]
        for name in registry.names()
    ]
    print(tabulate(rows, ["name", "keys", ""]))
