"""The report: GitHub-flavored Markdown, the same bytes when nothing changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_federated.core.files import write_text
from pytest_federated.core.ordering import natural
from pytest_federated.metrics.measure import headline
from pytest_federated.report.markup import anchors, escape, paragraph, quoted, table
from pytest_federated.report.plots.plot import draw_overviews, draw_scenario, plot_kinds
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.tables.rounds import round_table
from pytest_federated.report.tables.settings import settings_rows
from pytest_federated.report.tables.summary import summary_columns, summary_row
from pytest_federated.report.tables.table import scenario_tables
from pytest_federated.report.tables.verdicts import VERDICT_COLUMNS, verdict_rows
from pytest_federated.results.record import Result
from pytest_federated.results.store import (
    FOLDER,
    file_name,
    is_recorded,
    with_earlier_figures,
    write_result,
)

REPORT, PLOTS = "report.md", "plots"
TITLE, _NOT_RUN = "Federated scenarios", "Not run"


def legend(results: Sequence[Result]) -> str:
    """Says what the table of scenarios shows."""
    of_labels = any(history.has_labels for result in results for history in result.histories)
    first = headline(results).title
    parts = [
        f"{first[0].upper()}{first[1:]} is that of the test set after the last round, mean over "
        "seeds with its 95 % interval (Student's t).",
        "Heterogeneity is the mean Jensen-Shannon distance between the labels of two clients, "
        "0 (alike) to 1 (nothing in common).",
    ]
    return " ".join(parts if of_labels or not results else parts[:1])


def write_report(results: Sequence[Result], folder: Path) -> Path:
    """Writes the report of `results`, its plots and the records below `folder`.

    Returns:
        The report's path.
    """
    return write_pages([write_record(result, folder) for result in results], folder)


def write_record(result: Result, folder: Path) -> Result:
    """Writes the record of one scenario below `folder`, and its plots.

    Plots of an unchanged record are not drawn again.

    Returns:
        The result as recorded, see `with_earlier_figures`.
    """
    result = with_earlier_figures(result, folder)
    is_drawn = result.is_earlier or is_recorded(result, folder)
    try:
        for name, picture in _scenario_plots(result).items():
            if not (is_drawn and (folder / PLOTS / name).is_file()):
                write_text(folder / PLOTS / name, picture.svg())
    except OSError:
        for name in plot_names(result):  # older ones would seem to be of this record
            with contextlib.suppress(OSError):
                (folder / PLOTS / name).unlink()
        write_result(result, folder)
        raise
    write_result(result, folder)  # last, so that everything is redone after an interrupt
    return result


def write_pages(results: Sequence[Result], folder: Path) -> Path:
    """Writes what is about all scenarios together: the report and its overview.

    Returns:
        The report's path.
    """
    results = sorted(results, key=lambda r: natural(r.id))
    for name, picture in draw_overviews(results).items():
        write_text(folder / PLOTS / name, picture.svg())
    write_text(folder / REPORT, report(results))
    return folder / REPORT


def report_files(results: Sequence[Result]) -> dict[str, str]:
    """Returns the report and its plots, by path in the report's folder."""
    drawn = {f"{PLOTS}/{name}": picture.svg() for name, picture in plots(results).items()}
    return {**drawn, REPORT: report(results)}


def report(results: Sequence[Result]) -> str:
    """Returns the whole report as Markdown."""
    shown = [r for r in results if r.is_shown]
    pictures = plots(results)
    blocks = [f"# {TITLE}", f"**{verdict_counts(results)}**"]
    targets = {name: f"#{a}" for name, a in anchors(headings_of(results)).items()}
    if shown:
        blocks += [
            summary(shown, targets),
            legend(results),
            *(_image(picture, name) for name, picture in draw_overviews(results).items()),
        ]
    if rows := not_run_rows(results):
        cells = [[escape(cell) for cell in row] for row in rows]
        blocks += [f"## {_NOT_RUN}", table(cells, ["scenario", "reason"])]
    blocks += [_section(r, pictures) for r in shown]
    if versions := provenance(shown):
        blocks += ["## Provenance", versions]
    return "\n\n".join(blocks) + "\n"


def headings_of(results: Sequence[Result]) -> list[str]:
    """Returns the headings of a report, in order."""
    not_run = [_NOT_RUN] if not_run_rows(results) else []
    return [TITLE, *not_run, *(r.id for r in results if r.is_shown)]


def not_run_rows(results: Sequence[Result]) -> list[list[str]]:
    """Returns the scenarios that were skipped or not reached, and why."""
    return [
        [r.id, f"{r.reason}; shown is an earlier run" if r.is_earlier else r.reason]
        for r in results
        if r.status in ("skipped", "not reached")
    ]


def verdict_counts(results: Sequence[Result]) -> str:
    """Returns the number of scenarios of each outcome, as ``35 passed, 1 skipped``."""
    counts = {
        s: sum(r.status == s for r in results) for s in dict.fromkeys(r.status for r in results)
    }
    return ", ".join(f"{n} {status}" for status, n in counts.items())


def summary(results: Sequence[Result], targets: Mapping[str, str]) -> str:
    """Returns the table of scenarios, each a link to its target."""
    rows: list[list[str]] = []
    for result in results:
        name, *rest = summary_row(result)
        rows.append(
            [f"[{escape(name)}]({targets[name]})", *map(escape, rest[:-1]), _status(result)]
        )
    return table(
        rows,
        summary_columns(results),
        [
            *("left", "right", "left", "right", "left"),
            *("right", "right", "right", "right", "left"),
        ],
    )


def _status(result: Result) -> str:
    return result.status if result.status in ("passed", "reported") else f"**{result.status}**"


def _section(result: Result, pictures: Mapping[str, Picture]) -> str:
    blocks = [f"## {escape(result.id)}"]
    if result.settings["description"]:
        blocks.append(paragraph(result.settings["description"]))
    if why := headline_reason(result):
        blocks.append(f"**{escape(why)}**")
    if result.verdicts:
        rows = [[_symbols(escape(cell)) for cell in row] for row in verdict_rows(result)]
        blocks.append(table(rows, VERDICT_COLUMNS))
    if not result.histories:
        return "\n\n".join(blocks)
    name = file_name(result.id)
    rows = [[k, escape(v)] for k, v in settings_rows(result)]
    rows.append(["record", f"[{escape(name)}]({FOLDER}/{quoted(name)})"])
    images = [_image(pictures[name], name) for name in plot_names(result) if name in pictures]
    blocks += ["\n".join(images)] if images else []
    for cells, columns in scenario_tables(result):
        align = ["left", *["right"] * (len(columns) - 1)]
        escaped = [[escape(cell) for cell in row] for row in cells]
        blocks.append(table(escaped, [escape(c) for c in columns], align))
    return "\n\n".join([*blocks, table(rows, ["setting", "value"]), _rounds(result)])


def headline_reason(result: Result) -> str:
    """Returns why a scenario has another outcome than its expectations say; empty otherwise."""
    if result.is_earlier:
        return f"{result.status}: {result.reason}; what follows is of an earlier run"
    return f"errored: {result.reason}" if result.status == "errored" else result.reason


def plots(results: Sequence[Result]) -> dict[str, Picture]:
    """Returns the pictures of a report, by file name; without data there is no picture."""
    drawn = {name: picture for r in results for name, picture in _scenario_plots(r).items()}
    return drawn | draw_overviews(results)


def _scenario_plots(result: Result) -> dict[str, Picture]:
    """Returns the pictures of one scenario, by file name."""
    drawn = draw_scenario(result) if result.histories else {}
    return {plot_name(result, kind): picture for kind, picture in drawn.items()}


def plot_names(result: Result) -> list[str]:
    """Returns the file names of the pictures that a scenario may have, in their order."""
    return [plot_name(result, kind) for kind in plot_kinds()]


def plot_name(result: Result, kind: str) -> str:
    """Returns the file name of a scenario's picture of that kind."""
    return f"{file_name(result.id).removesuffix('.json')}.{kind}.svg"


def _image(picture: Picture, name: str) -> str:
    return f"![{escape(picture.alt)}]({PLOTS}/{quoted(name)})"


def _symbols(text: str) -> str:
    return text.replace("\\>=", "≥").replace("\\<=", "≤")


def _rounds(result: Result) -> str:
    """Returns the table of rounds, folded."""
    rows, columns = round_table(result)
    several = len(result.whole) > 1
    has_accuracy = all(history.has_labels for history in result.histories)
    of_accuracy = ", accuracy ± half of its 95 % interval" if several and has_accuracy else ""
    about = f"Mean over seeds{of_accuracy}"
    summary = f"<details>\n<summary>All rounds. {about}.</summary>"
    return "\n\n".join([summary, table(rows, columns, ["right"] * len(columns)), "</details>"])


def provenance(results: Sequence[Result]) -> str:
    """Returns the versions behind the results; empty where nothing ran."""
    versions = {name: v for r in results for name, v in r.versions.items()}
    listed = ", ".join(f"{name} {v}" for name, v in sorted(versions.items()))
    return f"Made with {listed}. Train figures are TFF's federated metrics." if listed else ""
