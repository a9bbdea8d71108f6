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
    "--history",
    "span",
    metavar="REV..REV",
    help="Also write history.md: what changed at which commit, from the records they have.",
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
    span: Optional[str],
    check: bool,
    **exports: Optional[Path],
) -> None:
    """Write index.md and its pages from the records in DIR, and whatever else is asked for."""
    from pytest_federated.core.files import write_bytes
    from pytest_federated.report.export import FORMATS, ROWS
    from pytest_federated.report.history import PAGE, PICTURES, history, record_of
    from pytest_federated.report.html import page
    from pytest_federated.report.layout import INDEX
    from pytest_federated.report.pages import outdated, refuse_others, report_files
    from pytest_federated.report.pictures import PLOTS
    from pytest_federated.report.update import updated
    from pytest_federated.results.revisions import read_revisions
    from pytest_federated.results.store import read_results

    if more_pages and not pages:
        raise click.UsageError(f"unexpected argument {str(more_pages[0])!r}; is it for --update?")
    pages = [*pages, *more_pages]
    results = read_results(folder)
    texts = report_files(results)
    stale = outdated(folder, texts)
    if span is not None:
        revisions = read_revisions(span, folder, record_of)
        for note in revisions.notes:
            click.echo(note, err=True)
        texts[PAGE], pictures = history(revisions)
        texts |= {name: picture.svg() for name, picture in pictures.items()}
        stale += [f for f in sorted(folder.glob(PICTURES)) if f"{PLOTS}/{f.name}" not in texts]
    refuse_others(folder, texts)
    files: dict[Path, bytes] = {}
    for path in pages:
        page_of_docs = updated(path, results, folder)
        files[path] = page_of_docs.text.encode()
        texts |= {name: picture.svg() for name, picture in page_of_docs.pictures.items()}
    files |= {folder / name: text.encode() for name, text in texts.items()}
    if html:
        files[html] = page(results).encode()
    for name, export in FORMATS.items():
        if path := exports[name]:
            files[path] = export(list(ROWS[by](results)))
    if check:
        _require_current(files, stale)
        return
    for path, data in files.items():
        write_bytes(path.resolve(), data)  # the target of a link, not the link
    for path in stale:
        path.unlink()
    outputs = [span and folder / PAGE, html, *(exports[name] for name in FORMATS)]
    for path in [folder / INDEX, *filter(None, outputs), *pages]:
        print(path)


def _require_current(files: dict[Path, bytes], outdated: Sequence[Path]) -> None:
    stale = [path for path, data in files.items() if not holds(path, data)]
    if names := ", ".join(map(str, [*stale, *outdated])):
        raise FederatedError(
            f"not current: {names}\nthe same command without --check rewrites them"
        )
