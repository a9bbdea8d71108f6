"""``pytest-federated describe``: the clients of scenarios, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from pytest_federated.cli.parameters import PATH, Number, data_cache, no_user_code

_SEED = Number(int, lambda seed: seed >= 0, "seeds are whole numbers, 0 or greater")


@click.command("describe", short_help="Show the clients of a file's scenarios.")
@click.argument("file", type=PATH, metavar="FILE")
@click.option(
    "--seed", type=_SEED, metavar="N", help="Instead of the first of the scenario's seeds."
)
@click.option(
    "--out",
    type=PATH,
    metavar="PICTURE",
    help="Also draw labels by client, as .svg or .png; for several scenarios, a file for each, "
    "with the scenario's name.",
)
@data_cache
@no_user_code
def command(
    file: Path,
    seed: Optional[int],
    out: Optional[Path],
    data_cache: Optional[Path],
    no_user_code: Optional[str],
) -> None:
    """Show the clients of a file's scenarios, and how non-IID they are."""
    from rich.console import Console

    from pytest_federated.cli.collecting import read
    from pytest_federated.data.datasets.dataset import Cache
    from pytest_federated.data.federation import federate
    from pytest_federated.report.describe import describe
    from pytest_federated.report.plots.labels import label_map
    from pytest_federated.results.store import file_name
    from pytest_federated.running.options import default_cache
    from pytest_federated.user.modules import own_folders

    console = Console()
    cases = read(file, forbidding=no_user_code)
    cache = Cache(data_cache or default_cache())
    for number, case in enumerate(cases):
        case_seed = case.scenario.seeds[0] if seed is None else seed
        with own_folders(file.resolve().parent, Path.cwd()):
            data = federate(case.scenario.data, case.scenario.clients, case_seed, cache)
        if number:
            console.print()
        describe(f"{case.id}, seed {case_seed}", data, console)
        if case.points:
            first, *_, last = case.points
            text = f"tuned over {len(case.points)} points, from {first} to {last}"
            console.print(text, markup=False, highlight=False)
        if out and data.task == "regression":
            console.print("no picture: the data has numbers, not labels (task: regression)")
        elif out:
            name = f"{out.stem}-{Path(file_name(case.id)).stem}{out.suffix}"
            path = out if len(cases) == 1 else out.with_name(name)
            label_map(data.label_counts, data.names, case.id, path, data.label_names)
            console.print(f"picture: {path}", markup=False, highlight=False)
