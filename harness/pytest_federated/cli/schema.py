"""``pytest-federated schema``: JSON Schema of scenario files."""

from __future__ import annotations

import click


@click.command("schema", short_help="Print the JSON Schema of scenario files, for editors.")
def command() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from pytest_federated.scenario.json_schema import schema_text

    print(schema_text(), end="")
