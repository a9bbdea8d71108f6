"""``pytest-federated report``: the report of records, without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click

from pytest_federated.cli.parameters import PATH
from pytest_federated.core.errors import FederatedError
from pytest_federated.core.files import holds


@click.command("report", short_help="Write the report of a folder's records, in several formats.")
@click.argument("folder", type=PATH, metavar="DIR")
@click.argument("more_pages", nargs=-1, type=PATH, metavar="")
@click.option("--html", type=PATH, metavar="FILE", help="Also write one HTML page.")
@click.option("--csv", type=PATH, metavar="FILE", help="Also write the figures, as csv.")
@click.option("--json", type=PATH, metavar="FILE", help="Also write the figures, as json.")
@click.option("--parquet", type=PATH, metavar="FILE", help="Also write the figures, as parquet.")
@click.option(
    "--by",
    type=click.Choice(["round", "seed", "client", "scenario"]),
    default="seed",
    show_default=True,
    help="What a row of the figures is.",
)
@click.option(
    "--update",
    "pages",
    type=PATH,
    multiple=True,
    metavar="FILE...",
    help="Also fill in the blocks <!-- pytest-federated: ... --> of these pages.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; end with code 1 if one of these files is not current.",
)
def command(
    folder: Path,
    more_pages: Sequence[Path],
    pages: Sequence[Path],
    html: Optional[Path],
    by: str,
    check: bool,
    **exports: Optional[Path],
) -> None:
    """Write report.md from the records in DIR, and whatever else is asked for."""
    from pytest_federated.core.files import write_bytes
    from pytest_federated.report.export import FORMATS, ROWS
    from pytest_federated.report.html import page
    from pytest_federated.report.pages import REPORT, report_files
    from pytest_federated.report.update import updated
    from pytest_federated.results.store import read_results

    if more_pages and not pages:
        raise click.UsageError(f"unexpected argument {str(more_pages[0])!r}; is it for --update?")
    pages = [*pages, *more_pages]
    results = read_results(folder)
    files: dict[Path, bytes] = {
        folder / name: text.encode() for name, text in report_files(results).items()
    }
    if html:
        files[html] = page(results).encode()
    for name, export in FORMATS.items():
        if path := exports[name]:
            files[path] = export(list(ROWS[by](results)))
    for path in pages:
        files[path] = updated(path, results, folder).encode()
    if check:
        _require_current(files)
        return
    for path, data in files.items():
        write_bytes(path.resolve(), data)  # the target of a link, not the link
    outputs = [html, *(exports[name] for name in FORMATS)]
    for path in [folder / REPORT, *filter(None, outputs), *pages]:
        print(path)


def _require_current(files: dict[Path, bytes]) -> None:
    stale = [str(path) for path, data in files.items() if not holds(path, data)]
    if stale:
        raise FederatedError(
            f"not current: {', '.join(stale)}\nthe same command without --check rewrites them"
        )
