"""``pytest-federated compare``: runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click

from pytest_federated.cli.parameters import PATH, Number
from pytest_federated.core.errors import FederatedError

_SHARE = Number(float, lambda share: 0 < share < 1, "must be between 0 and 1")


@click.command("compare", short_help="Show runs side by side, and whether they differ.")
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@click.option("--out", type=PATH, metavar="FILE", help="Write Markdown there.")
@click.option(
    "--metric",
    "metric",
    metavar="NAME",
    help="What to compare, see `pytest-federated list metrics`; by default the first column of "
    "reports, accuracy.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Only scenarios of this name; * stands for anything. Can be repeated.",
)
@click.option("--rows", metavar="KEY", help="Of one run: the setting that rows vary.")
@click.option("--columns", metavar="KEY", help="The setting that columns vary.")
@click.option(
    "--best-over",
    metavar="KEY",
    help="Of each matrix with this key, such as learning_rate, only the best of its values for "
    "each combination of the others, chosen on validation data if there is any.",
)
@click.option(
    "--confidence",
    type=_SHARE,
    default=0.95,
    show_default=True,
    metavar="SHARE",
    help="Of the intervals of differences.",
)
@click.option(
    "--in",
    "folder",
    default="reports",
    show_default=True,
    metavar="DIR",
    help="Where a git revision has its records.",
)
@click.option(
    "--fail-if-worse",
    is_flag=True,
    help="End with code 1 if a scenario got worse, or none can be compared.",
)
def command(
    names: Sequence[str],
    out: Optional[Path],
    metric: Optional[str],
    only: Sequence[str],
    rows: Optional[str],
    columns: Optional[str],
    best_over: Optional[str],
    confidence: float,
    folder: str,
    fail_if_worse: bool,
) -> None:
    """Show runs side by side, and whether they differ by more than noise.

    A RUN is a record, a folder with records, a git revision, or two as main..HEAD. Runs are
    compared by scenario, each with the first. A single run's matrices are shown as tables.
    """
    from pytest_federated.cli.collecting import load_plugins
    from pytest_federated.core.files import write_text
    from pytest_federated.core.suggestions import suggest
    from pytest_federated.metrics.measure import expected_measure, headline, known_names
    from pytest_federated.report import best_over as best
    from pytest_federated.report.compare import comparison, require_comparable, worse
    from pytest_federated.report.markup import MARKDOWN, TERMINAL
    from pytest_federated.report.variants import by_settings, of_matrices
    from pytest_federated.results.runs import Run, read_runs
    from pytest_federated.results.select import select

    if (rows is None) != (columns is None):
        raise FederatedError("--rows and --columns need each other")
    runs = read_runs(names, folder)
    selected = {r.id for r in select([r for run in runs for r in run.results.values()], only)}
    runs = [Run(run.name, {n: r for n, r in run.results.items() if n in selected}) for run in runs]
    if metric is not None and metric not in known_names():
        load_plugins(Path.cwd())
    compared = [result for run in runs for result in run.results.values()]
    measure = headline(compared) if metric is None else expected_measure(metric)
    metrics = known_names(compared)
    if measure.name not in metrics:
        raise click.UsageError(f"--metric: got {metric!r}; {suggest(metric, metrics)}")
    picks = ""
    markup = MARKDOWN if out else TERMINAL
    if best_over is not None:
        runs, picked = best.best_over(runs, best_over, measure)
        picks = f"\n{best.picks_text(picked, best_over, markup)}"
    pivot = None
    if len(runs) == 1:
        results = list(runs[0].results.values())
        if rows is not None and columns is not None:
            pivot = by_settings(results, rows, columns)
        elif not picks and not of_matrices(results):
            raise FederatedError(
                f"{runs[0].name}: no scenario with a matrix; give a second run to compare with, "
                "or --rows and --columns"
            )
    elif rows is not None:
        raise FederatedError("--rows and --columns are for one run")
    text = comparison(runs, measure, markup, confidence=confidence, pivot=pivot) + picks
    if out:
        write_text(out, text)
        print(out)
    else:
        print(text, end="")
    if fail_if_worse:
        if names := worse(runs, measure, confidence):
            raise FederatedError(f"worse: {', '.join(names)}")
        require_comparable(runs, measure)
