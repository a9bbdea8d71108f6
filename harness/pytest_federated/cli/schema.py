"""``pytest-federated schema``: JSON Schema of scenario files."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    schema = commands.add_parser("schema", help="JSON Schema of scenario files, for editors")
    schema.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from pytest_federated.scenario.schema import Scenario

    schema = Scenario.model_json_schema()
    schema["properties"]["matrix"] = {
        "type": "object",
        "additionalProperties": {"type": "array", "minItems": 1},
        "description": "Dotted keys and the values to run, one scenario for each combination.",
    }
    print(json.dumps(schema, indent=2))
    return 0
