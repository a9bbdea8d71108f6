"""``pytest-federated schema``: JSON Schema of scenario files."""

from __future__ import annotations

import json

import click


@click.command("schema", short_help="Print the JSON Schema of scenario files, for editors.")
def command() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from pytest_federated.scenario.schema import Scenario

    schema = Scenario.model_json_schema()
    schema["properties"]["matrix"] = {
        "type": "object",
        "additionalProperties": {"type": "array", "minItems": 1},
        "description": "Dotted keys and the values to run, one scenario for each combination.",
    }
    print(json.dumps(schema, indent=2))
