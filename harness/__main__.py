"""The `fedharness` command: all but training itself."""

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

    describe = commands.add_parser(
        "describe", help="show the clients of a file's scenarios, and how non-IID they come out"
    )
    describe.add_argument("file", type=Path, metavar="FILE")
    describe.add_argument(
        "--seed", type=_seed, metavar="N", help="instead of the first of the scenario's seeds"
    )
    describe.add_argument(
        "--out",
        type=Path,
        metavar="PICTURE",
        help="also draw labels by client, as .svg or .png; of several scenarios, a file for each, "
        "with its name",
    )
    describe.add_argument(
        "--data-cache", type=Path, metavar="DIR", help="where downloaded data is kept"
    )
    describe.set_defaults(run=_describe)

    report = commands.add_parser("report", help="write report.md anew from the records of a folder")
    report.add_argument("folder", type=Path, metavar="DIR")
    report.set_defaults(run=_report)

    listing = commands.add_parser("list", help="what scenario files can choose")
    listing.add_argument("concept", choices=sorted(_registries()))
    listing.set_defaults(run=_list)

    schema = commands.add_parser("schema", help="JSON Schema of scenario files, for editors")
    schema.set_defaults(run=_schema)

    worker = commands.add_parser(
        "worker",
        help="run a TFF worker here, for --fed-workers elsewhere",
        description="Runs TFF's worker until Ctrl-C. It listens on all addresses of this machine "
        "and does what anyone who reaches the port tells it to: see docs/scaling.md.",
    )
    worker.add_argument("--port", type=_port, required=True, metavar="N", help="1 to 65535")
    worker.add_argument("--threads", type=int, metavar="N", help="compute threads (default: all)")
    worker.set_defaults(run=_worker)

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


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}; seeds are whole numbers, 0 or greater")
    return int(text)


def _describe(chosen: argparse.Namespace) -> int:
    from rich.console import Console

    from harness.data.datasets import Cache
    from harness.data.federate import federate
    from harness.pipeline import default_cache
    from harness.report.describe import describe
    from harness.report.plots import label_map
    from harness.results.store import file_name
    from harness.scenario import load_file

    console = Console()
    cases = load_file(chosen.file)
    cache = Cache(chosen.data_cache or default_cache())
    for number, case in enumerate(cases):
        seed = case.scenario.seeds[0] if chosen.seed is None else chosen.seed
        data = federate(case.scenario.data, case.scenario.clients, seed, cache)
        if number:
            console.print()
        describe(f"{case.id}, seed {seed}", data, console)
        if chosen.out:
            own = f"{chosen.out.stem}-{Path(file_name(case.id)).stem}{chosen.out.suffix}"
            path = chosen.out if len(cases) == 1 else chosen.out.with_name(own)
            label_map(data.label_counts, data.names, case.id, path)
            console.print(f"picture: {path}", markup=False, highlight=False)
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
    from harness.systems.dropout import dropouts
    from harness.systems.malicious import attacks
    from harness.systems.sampling import samplers
    from harness.systems.stragglers import stragglers
    from harness.training.algorithms import algorithms
    from harness.training.models import models
    from harness.training.optimizers import optimizers

    return {
        "algorithms": algorithms,
        "attacks": attacks,
        "checks": checks,
        "datasets": datasets,
        "dropouts": dropouts,
        "models": models,
        "optimizers": optimizers,
        "samplers": samplers,
        "shifts": shifts,
        "sizes": sizes,
        "splits": splits,
        "stragglers": stragglers,
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


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError(text)
    return port


_port.__name__ = "port"  # argparse says: invalid port value


def _worker(chosen: argparse.Namespace) -> int:
    from harness.runtime.serve import serve

    serve(chosen.port, chosen.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
