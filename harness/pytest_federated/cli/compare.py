"""``pytest-federated compare``: runs side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pytest_federated.core.errors import FederatedError


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    from pytest_federated.report.figures import FIGURES

    compare = commands.add_parser(
        "compare",
        help="runs side by side, and whether they differ by more than noise",
        description="Compares runs by scenario, each with the first. Of one run it shows the "
        "matrices as tables.",
    )
    compare.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a record, a folder with records, a git revision, or two as main..HEAD",
    )
    compare.add_argument("--out", type=Path, metavar="FILE", help="write Markdown there")
    compare.add_argument(
        "--figure", choices=list(FIGURES), default="accuracy", help="default: accuracy"
    )
    compare.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="of scenarios; * stands for anything",
    )
    compare.add_argument("--rows", metavar="KEY", help="of one run: the setting that rows vary")
    compare.add_argument("--columns", metavar="KEY", help="the setting that columns vary")
    compare.add_argument(
        "--confidence",
        type=_share,
        default=0.95,
        metavar="SHARE",
        help="of the intervals of differences (default: 0.95)",
    )
    compare.add_argument(
        "--in",
        dest="folder",
        default="reports",
        metavar="DIR",
        help="where a git revision has its records (default: reports)",
    )
    compare.add_argument(
        "--fail-if-worse",
        action="store_true",
        help="end with code 1 if a scenario got worse, or none can be compared",
    )
    compare.set_defaults(run=_run)


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"got {text}; must be between 0 and 1")
    return share


def _run(chosen: argparse.Namespace) -> int:
    from pytest_federated.report.compare import comparison, require_comparable, worse
    from pytest_federated.report.figures import FIGURES
    from pytest_federated.report.markup import MARKDOWN, TERMINAL
    from pytest_federated.report.variants import by_settings, of_matrices
    from pytest_federated.results.runs import Run, read_runs
    from pytest_federated.results.select import select
    from pytest_federated.results.store import write_text

    if (chosen.rows is None) != (chosen.columns is None):
        raise FederatedError("--rows and --columns need each other")
    figure = FIGURES[chosen.figure]
    runs = read_runs(chosen.runs, chosen.folder)
    kept = {r.id for r in select([r for run in runs for r in run.results.values()], chosen.only)}
    runs = [Run(run.name, {n: r for n, r in run.results.items() if n in kept}) for run in runs]
    pivot = None
    if len(runs) == 1:
        results = list(runs[0].results.values())
        if chosen.rows is not None:
            pivot = by_settings(results, chosen.rows, chosen.columns)
        elif not of_matrices(results):
            raise FederatedError(
                f"{runs[0].name}: no scenario with a matrix; give a second run to compare with, "
                "or --rows and --columns"
            )
    elif chosen.rows is not None:
        raise FederatedError("--rows and --columns are for one run")
    parts = {"confidence": chosen.confidence, "pivot": pivot}
    if chosen.out:
        write_text(chosen.out, comparison(runs, figure, MARKDOWN, **parts))
        print(chosen.out)
    else:
        print(comparison(runs, figure, TERMINAL, **parts), end="")
    if chosen.fail_if_worse:
        if names := worse(runs, figure, chosen.confidence):
            raise FederatedError(f"worse: {', '.join(names)}")
        require_comparable(runs, figure)
    return 0
