"""``pytest-federated schema``: JSON Schema of scenario files."""

from __future__ import annotations

import json

import click


@click.command("schema", short_help="Print the JSON Schema of scenario files, for editors.")
def command() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from pytest_federated.scenario.json_schema import json_schema

    print(json.dumps(json_schema(), indent=2))
