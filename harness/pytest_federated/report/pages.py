"""The files of a report: Markdown, pictures and records, the same bytes when nothing changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.files import write_text
from pytest_federated.core.ordering import natural
from pytest_federated.report.comparison.page import (
    COMPARISON_PAGES,
    ComparisonPage,
    pictures_of,
    report_comparisons,
)
from pytest_federated.report.index import index
from pytest_federated.report.layout import INDEX, MARK, PAGES, Page, pages_of
from pytest_federated.report.pictures import PLOTS, plot_name
from pytest_federated.report.plots.plot import draw_overviews
from pytest_federated.report.plots.tuning import tuning_by_key
from pytest_federated.results.record import Result
from pytest_federated.results.store import with_earlier_figures, write_result


def write_report(results: Sequence[Result], folder: Path) -> Path:
    """Writes the report of `results`, its pictures and the records below `folder`.

    Returns:
        The path of the first page.
    """
    return write_pages([write_record(result, folder) for result in results], folder)


def write_record(result: Result, folder: Path) -> Result:
    """Writes the record of one scenario below `folder`.

    Returns:
        The result as recorded, see `with_earlier_figures`.
    """
    result = with_earlier_figures(result, folder)
    write_result(result, folder)
    return result


def write_pages(results: Sequence[Result], folder: Path) -> Path:
    """Writes the pages of a report and their pictures, and deletes pages that are not among them.

    Returns:
        The path of the first page.

    Raises:
        FederatedError: somebody else's page is in the place of one of them.

    """
    return write_files(report_files(results), folder)


def write_files(files: Mapping[str, str], folder: Path) -> Path:
    """Writes these files of a report as `write_pages` does."""
    refuse_others(folder, files)
    for name, text in files.items():
        write_text(folder / name, text)
    for file in outdated(folder, files):
        file.unlink()
    return folder / INDEX


def report_files(results: Sequence[Result]) -> dict[str, str]:
    """Returns the pages of a report and their pictures, by path in the report's folder."""
    results, pages = _laid_out(results)
    pictures = {page.picture_path: page.picture for page in pages if page.picture}
    compared = report_comparisons(results)
    for page, of_page in compared.items():
        pictures |= {f"{pictures_of(page)}/{name}": p for name, p in of_page.pictures.items()}
    pictures |= {f"{PLOTS}/{name}": picture for name, picture in draw_overviews(results).items()}
    pictures |= {
        f"{PLOTS}/{plot_name(result, 'tuning')}": picture
        for page in pages
        for result in page.results
        if (picture := tuning_by_key(result))
    }
    drawn = {name: picture.svg() for name, picture in pictures.items()}
    return {**drawn, **_texts(results, pages, compared)}


def report(results: Sequence[Result]) -> dict[str, str]:
    """Returns the pages of a report as Markdown, by path in the report's folder."""
    results, pages = _laid_out(results)
    return _texts(results, pages, report_comparisons(results))


def refuse_others(folder: Path, files: Mapping[str, str]) -> None:
    """Makes sure that the pages of a report overwrite no page that somebody else wrote.

    Raises:
        FederatedError: one of them would.

    """
    for name, text in files.items():
        page = folder / name
        if page.suffix != ".md" or not page.is_file():
            continue
        first, _, _ = text.partition("\n")
        if not page.read_text(encoding="utf-8", errors="replace").startswith(first):
            raise FederatedError(
                f"{page}: not a page of a report; move it, or write the report to another folder"
            )


def outdated(folder: Path, files: Collection[str]) -> list[Path]:
    """Returns pages and pictures of an earlier report below `folder` that are not among `files`.

    Files that somebody else wrote are left alone.
    """
    stale: list[Path] = []
    for compared in map(folder.joinpath, COMPARISON_PAGES):
        if compared.is_file() and _is_ours(compared):
            drawn = sorted((folder / pictures_of(compared.name)).glob("*.svg"))
            ours = (compared, *drawn)
            stale += [f for f in ours if f.relative_to(folder).as_posix() not in files]
    for page in sorted((folder / PAGES).glob("*.md")):
        if _is_ours(page):
            pair = (page, page.with_suffix(".svg"))
            stale += [f for f in pair if f"{PAGES}/{f.name}" not in files and f.is_file()]
    return stale


def _is_ours(page: Path) -> bool:
    return page.read_text(encoding="utf-8", errors="replace").startswith(MARK)


def _laid_out(results: Sequence[Result]) -> tuple[list[Result], list[Page]]:
    in_order = sorted(results, key=lambda r: natural(r.id))
    return in_order, pages_of(in_order)


def _texts(
    results: Sequence[Result], pages: Sequence[Page], compared: Mapping[str, ComparisonPage]
) -> dict[str, str]:
    return {
        **{page.path: page.text for page in pages},
        **{name: page.text for name, page in compared.items()},
        INDEX: index(results, pages),
    }
