"""``pytest-federated compare``: runs side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click

from pytest_federated.cli.parameters import PATH, Number
from pytest_federated.core.errors import FederatedError

_FINITE = Number(float, math.isfinite, "must be a finite number")
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
@click.option(
    "--reference",
    default="",
    metavar="KEY=VALUE",
    help="Of one run: what the variants of a matrix are compared with; by default as the scenario "
    "says, or the first value of the last key.",
)
@click.option(
    "--target",
    "targets",
    type=_FINITE,
    multiple=True,
    metavar="VALUE",
    help="Of one run: a value of the metric to reach. Can be repeated.",
)
@click.option("--rows", metavar="KEY", help="Of one run: the setting that tells tasks apart.")
@click.option("--columns", metavar="KEY", help="The setting that is compared.")
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
    reference: str,
    targets: Sequence[float],
    rows: Optional[str],
    columns: Optional[str],
    best_over: Optional[str],
    confidence: float,
    folder: str,
    fail_if_worse: bool,
) -> None:
    """Show runs side by side, and whether they differ by more than noise.

    A RUN is a record, a folder with records, a git revision, or two as main..HEAD. Runs are
    compared by scenario, each with the first. Of a single run, the variants of each matrix are
    compared with one of them.
    """
    from pytest_federated.cli.collecting import load_plugins
    from pytest_federated.core.files import write_text
    from pytest_federated.core.suggestions import suggest
    from pytest_federated.metrics.measure import expected_measure, headline, known_names
    from pytest_federated.report import best_over as best
    from pytest_federated.report.compare import comparison, require_comparable, worse
    from pytest_federated.report.comparison.page import comparison_page
    from pytest_federated.report.comparison.study import Wanted, of_pivot, studies
    from pytest_federated.report.markup import MARKDOWN, TERMINAL
    from pytest_federated.report.variants import by_settings
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
    metrics = known_names(compared)
    if metric is not None and metric not in metrics:
        raise click.UsageError(f"--metric: got {metric!r}; {suggest(metric, metrics)}")
    measure = headline(compared) if metric is None else expected_measure(metric)
    markup = MARKDOWN if out else TERMINAL
    picks = ""
    if best_over is not None:
        runs, picked = best.best_over(runs, best_over, measure)
        picks = f"\n{best.picks_text(picked, best_over, markup)}"
    files: dict[Path, str] = {}
    if len(runs) > 1:
        if rows is not None or reference or targets:
            raise FederatedError("--rows, --columns, --reference and --target are for one run")
        text = comparison(runs, measure, markup, confidence=confidence)
    else:
        results = list(runs[0].results.values())
        wanted = Wanted(reference, measure if metric else None, targets, confidence)
        if rows is not None and columns is not None:
            shown = [of_pivot(by_settings(results, rows, columns), wanted)]
        elif not (shown := studies(results, wanted)) and not picks:
            raise FederatedError(
                f"{runs[0].name}: no scenario with a matrix; give a second run to compare with, "
                "or --rows and --columns"
            )
        head = [markup.heading("Comparison", 1)]
        beside = (out.stem if out.suffix else f"{out.name}-pictures") if out else ""
        page = comparison_page(shown, markup, head, beside)
        text = page.text
        if out:
            pictures = out.parent / beside
            files = {pictures / name: picture.svg() for name, picture in page.pictures.items()}
    text += picks
    if out:
        files[out] = text
        for file, content in files.items():
            write_text(file, content)
        print(out)
    else:
        print(text, end="")
    if fail_if_worse:
        if names := worse(runs, measure, confidence):
            raise FederatedError(f"worse: {', '.join(names)}")
        require_comparable(runs, measure)
