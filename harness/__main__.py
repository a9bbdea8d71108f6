"""The `fedharness` command: what can be done without training."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from harness.errors import HarnessError


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command; returns its exit code: 0, 1 for what is wrong in files, 2 for usage."""
    parser = argparse.ArgumentParser("fedharness", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="read scenario files and show every mistake in them")
    check.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file or folder")
    check.set_defaults(run=_check)

    report = commands.add_parser("report", help="write report.md anew from the records of a folder")
    report.add_argument("folder", type=Path, metavar="DIR")
    report.set_defaults(run=_report)

    listing = commands.add_parser("list", help="what scenario files can choose")
    listing.add_argument("concept", choices=sorted(_registries()))
    listing.set_defaults(run=_list)

    schema = commands.add_parser("schema", help="JSON Schema of scenario files, for editors")
    schema.set_defaults(run=_schema)

    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except HarnessError as bad:
        print(bad, file=sys.stderr)
        return 1
    except BrokenPipeError:  # `fedharness list splits | head`
        sys.stderr.close()
        return 0


def _check(chosen: argparse.Namespace) -> int:
    from harness.scenario.files import load_all

    cases = load_all(chosen.paths)
    if not cases:
        raise HarnessError(f"no scenario files in {', '.join(map(str, chosen.paths))}")
    files = len({c.file for c in cases})
    print(f"{len(cases)} scenario(s) in {files} file(s): no mistakes found")
    return 0


def _report(chosen: argparse.Namespace) -> int:
    from harness.report.markdown import write_report
    from harness.results import read_results

    print(write_report(read_results(chosen.folder), chosen.folder))
    return 0


def _registries() -> dict[str, Any]:
    from harness.checks import checks
    from harness.data.datasets import datasets
    from harness.data.shifts import shifts
    from harness.data.sizes import sizes
    from harness.data.splits import splits
    from harness.training.algorithms import algorithms
    from harness.training.models import models
    from harness.training.optimizers import optimizers

    return {
        "algorithms": algorithms,
        "checks": checks,
        "datasets": datasets,
        "models": models,
        "optimizers": optimizers,
        "shifts": shifts,
        "sizes": sizes,
        "splits": splits,
    }


def _list(chosen: argparse.Namespace) -> int:
    from tabulate import tabulate

    registry = _registries()[chosen.concept]
    rows = [
        [name, ", ".join(registry[name].keywords), registry[name].summary]
        for name in registry.names()
    ]
    print(tabulate(rows, ["name", "keys", ""]))
    return 0


def _schema(chosen: argparse.Namespace) -> int:
    from harness.scenario.schema import Scenario

    schema = Scenario.model_json_schema()
    schema["properties"]["matrix"] = {
        "type": "object",
        "additionalProperties": {"type": "array", "minItems": 1},
        "description": "Dotted keys and the values to run, one scenario for each combination.",
    }
    print(json.dumps(schema, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
