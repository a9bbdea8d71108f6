"""``pytest-federated describe``: the clients of scenarios, without training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
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
    describe.set_defaults(run=_run)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}; seeds are whole numbers, 0 or greater")
    return int(text)


def _run(chosen: argparse.Namespace) -> int:
    from rich.console import Console

    from pytest_federated.data.datasets.dataset import Cache
    from pytest_federated.data.federation import federate
    from pytest_federated.report.describe import describe
    from pytest_federated.report.plots.labels import label_map
    from pytest_federated.results.store import file_name
    from pytest_federated.running.options import default_cache
    from pytest_federated.scenario.loader import load_file
    from pytest_federated.user.modules import own_folders

    console = Console()
    cases = load_file(chosen.file)
    cache = Cache(chosen.data_cache or default_cache())
    for number, case in enumerate(cases):
        seed = case.scenario.seeds[0] if chosen.seed is None else chosen.seed
        with own_folders(chosen.file.resolve().parent, Path.cwd()):
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
