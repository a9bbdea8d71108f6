"""The report: GitHub-flavored Markdown, the same bytes when nothing changed."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_federated.data.datasets.dataset import datasets, has_test_set
from pytest_federated.data.shifts.shift import shifts
from pytest_federated.data.sizes.size import sizes
from pytest_federated.data.splits.partition import splits
from pytest_federated.report.markup import anchors, escape, paragraph, quoted, table
from pytest_federated.report.plots import SCENARIO_PLOTS
from pytest_federated.report.plots.rounds import by_round
from pytest_federated.report.plots.spread import accuracy_by_heterogeneity
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.tables import (
    SUMMARY_COLUMNS,
    VERDICT_COLUMNS,
    aggregation_rows,
    choice,
    figure,
    heterogeneity_rows,
    layer_rows,
    participation_rows,
    recall_table,
    seed_table,
    spread,
    summary_row,
    traffic_rows,
    verdict_rows,
)
from pytest_federated.results.record import Result
from pytest_federated.results.store import (
    FOLDER,
    file_name,
    is_recorded,
    natural,
    with_earlier_figures,
    write_result,
    write_text,
)
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.models.model import models
from pytest_federated.training.optimizers.optimizer import optimizers

REPORT, PLOTS = "report.md", "plots"
TITLE, _NOT_RUN = "Federated scenarios", "Not run"
LEGEND = (
    "Accuracy is that of the test set after the last round, mean over seeds with its 95 % "
    "interval (Student's t). Heterogeneity is the mean Jensen-Shannon distance between the labels "
    "of two clients, 0 (alike) to 1 (nothing in common)."
)
OVERVIEW = "accuracy-by-heterogeneity.svg"


def write_report(results: Sequence[Result], folder: Path) -> Path:
    """Writes the report of `results`, its plots and the records below `folder`.

    Returns:
        The report's path.
    """
    return write_pages([write_record(result, folder) for result in results], folder)


def write_record(result: Result, folder: Path) -> Result:
    """Writes the record of one scenario below `folder`, and its plots.

    Plots of a record that stays as it was are not drawn again.

    Returns:
        The result as it is recorded: see `with_earlier_figures`.
    """
    result = with_earlier_figures(result, folder)
    is_drawn = result.is_earlier or is_recorded(result, folder)
    try:
        for name, picture in _scenario_plots(result).items():
            if not (is_drawn and (folder / PLOTS / name).is_file()):
                write_text(folder / PLOTS / name, picture.svg())
    except OSError:
        for name in plot_names(result):  # older ones would be taken for those of this record
            with contextlib.suppress(OSError):
                (folder / PLOTS / name).unlink()
        write_result(result, folder)
        raise
    write_result(result, folder)  # last, so that what an interrupt left undone is seen again
    return result


def write_pages(results: Sequence[Result], folder: Path) -> Path:
    """Writes what concerns all scenarios together: the report and its overview.

    Returns:
        The report's path.
    """
    results = sorted(results, key=lambda r: natural(r.id))
    if overview := accuracy_by_heterogeneity([r for r in results if r.histories]):
        write_text(folder / PLOTS / OVERVIEW, overview.svg())
    write_text(folder / REPORT, report(results))
    return folder / REPORT


def report_files(results: Sequence[Result]) -> dict[str, str]:
    """The report and its plots, by path within the report's folder."""
    drawn = {f"{PLOTS}/{name}": picture.svg() for name, picture in plots(results).items()}
    return {**drawn, REPORT: report(results)}


def report(results: Sequence[Result]) -> str:
    """The whole report as Markdown."""
    shown = [r for r in results if r.is_shown]
    pictures = plots(results)
    parts = [f"# {TITLE}", f"**{verdict_counts(results)}**"]
    targets = {name: f"#{a}" for name, a in anchors(headings_of(results)).items()}
    if shown:
        parts += [
            summary(shown, targets),
            LEGEND,
            *([_image(pictures[OVERVIEW], OVERVIEW)] if OVERVIEW in pictures else []),
        ]
    if rows := not_run_rows(results):
        cells = [[escape(cell) for cell in row] for row in rows]
        parts += [f"## {_NOT_RUN}", table(cells, ["scenario", "reason"])]
    parts += [_section(r, pictures) for r in shown]
    if versions := provenance(shown):
        parts += ["## Provenance", versions]
    return "\n\n".join(parts) + "\n"


def headings_of(results: Sequence[Result]) -> list[str]:
    """The headings of a report, in order."""
    not_run = [_NOT_RUN] if not_run_rows(results) else []
    return [TITLE, *not_run, *(r.id for r in results if r.is_shown)]


def not_run_rows(results: Sequence[Result]) -> list[list[str]]:
    """The scenarios that were skipped or not reached, and why."""
    return [
        [r.id, f"{r.reason}; shown is an earlier run" if r.is_earlier else r.reason]
        for r in results
        if r.status in ("skipped", "not reached")
    ]


def verdict_counts(results: Sequence[Result]) -> str:
    """How many of each outcome, as ``35 passed, 1 skipped``."""
    counts = {
        s: sum(r.status == s for r in results) for s in dict.fromkeys(r.status for r in results)
    }
    return ", ".join(f"{n} {status}" for status, n in counts.items())


def summary(results: Sequence[Result], targets: Mapping[str, str]) -> str:
    """The table of scenarios, each a link to its target."""
    rows = []
    for result in results:
        name, *rest = summary_row(result)
        rows.append(
            [f"[{escape(name)}]({targets[name]})", *map(escape, rest[:-1]), _status(result)]
        )
    return table(
        rows,
        SUMMARY_COLUMNS,
        [
            *("left", "right", "left", "right", "left"),
            *("right", "right", "right", "right", "left"),
        ],
    )


def _status(result: Result) -> str:
    return result.status if result.status == "passed" else f"**{result.status}**"


def settings_rows(result: Result) -> list[list[str]]:
    """The settings that matter, with their values."""
    s = result.settings
    training, clients, data = s["training"], s["clients"], s["data"]
    own = [n for h in result.histories for n in h.client_examples]
    held = f"{min(own)} to {max(own)} (median {figure(statistics.median(own))})"
    per_round = clients["per_round"] if clients["per_round"] is not None else "all"
    parameters = result.histories[0].parameters
    told = [choice(shifts, shift) for shift in clients.get("shift", [])]
    entry = algorithms.get(training["algorithm"]["kind"])
    unused = entry.spec.unused if entry else ()
    epochs, size = training["local_epochs"], training["batch_size"]
    local = [
        ("local_epochs", ["local training", f"{epochs} epoch(s), batch size {size}"]),
        *(
            (
                f"{side}_optimizer",
                [f"{side} optimizer", choice(optimizers, training[f"{side}_optimizer"])],
            )
            for side in ("client", "server")
        ),
    ]
    settings = [
        ["data", choice(datasets, data["dataset"])],
        ["test examples", _tested(data, result.histories[0].test_examples)],
        ["clients", f"{len(result.histories[0].client_examples)}, {per_round} per round"],
        ["split", choice(splits, clients["split"])],
        *([["size", choice(sizes, clients["size"])]] if clients.get("size") else []),
        *([["shift", ", ".join(told)]] if told else []),
        *participation_rows(clients),
        ["examples per client", held],
        *heterogeneity_rows(result),
        *([["model", choice(models, s["model"])]] if s["model"] else []),
        *([["parameters", f"{parameters:,}"]] if parameters is not None else []),
        *layer_rows(result.histories[0]),
        *traffic_rows(result.histories[0]),
        ["algorithm", choice(algorithms, training["algorithm"])],
        *aggregation_rows(result),
        ["execution", result.histories[0].execution],
        *(row for key, row in local if key not in unused),
        ["seeds", ", ".join(str(n) for n in s["seeds"])],
    ]
    return settings


def _section(result: Result, pictures: Mapping[str, Picture]) -> str:
    parts = [f"## {escape(result.id)}"]
    if result.settings["description"]:
        parts.append(paragraph(result.settings["description"]))
    if why := headline_reason(result):
        parts.append(f"**{escape(why)}**")
    if result.verdicts:
        rows = [[_symbols(escape(cell)) for cell in row] for row in verdict_rows(result)]
        parts.append(table(rows, VERDICT_COLUMNS))
    if not result.histories:
        return "\n\n".join(parts)
    name = file_name(result.id)
    rows = [[k, escape(v)] for k, v in settings_rows(result)]
    rows.append(["record", f"[{escape(name)}]({FOLDER}/{quoted(name)})"])
    own = [_image(pictures[name], name) for name in plot_names(result) if name in pictures]
    parts += ["\n".join(own)] if own else []
    for figures, columns in (seed_table(result), recall_table(result)):
        if figures:
            align = ["left", *["right"] * (len(columns) - 1)]
            parts.append(table(figures, [escape(c) for c in columns], align))
    return "\n\n".join([*parts, table(rows, ["setting", "value"]), _rounds(result)])


def headline_reason(result: Result) -> str:
    """Why a scenario has another outcome than its expectations say, in a line; empty otherwise."""
    if result.is_earlier:
        return f"{result.status}: {result.reason}; what follows is of an earlier run"
    return f"errored: {result.reason}" if result.status == "errored" else result.reason


def plots(results: Sequence[Result]) -> dict[str, Picture]:
    """The pictures of a report, by file name; what the records do not hold has none."""
    drawn = {name: picture for r in results for name, picture in _scenario_plots(r).items()}
    overview = accuracy_by_heterogeneity([r for r in results if r.histories])
    return {**drawn, OVERVIEW: overview} if overview else drawn


def _scenario_plots(result: Result) -> dict[str, Picture]:
    """The pictures of one scenario, by file name."""
    if not result.histories:
        return {}
    drawn = zip(plot_names(result), (draw(result) for draw in SCENARIO_PLOTS.values()))
    return {name: picture for name, picture in drawn if picture is not None}


def plot_names(result: Result) -> list[str]:
    """File names of the pictures that a scenario may have, in the order of `SCENARIO_PLOTS`."""
    stem = file_name(result.id).removesuffix(".json")
    return [f"{stem}.{what}.svg" for what in SCENARIO_PLOTS]


def _image(picture: Picture, name: str) -> str:
    return f"![{escape(picture.alt)}]({PLOTS}/{quoted(name)})"


def _tested(data: dict[str, Any], examples: int) -> str:
    is_held_by_clients = data.get("holdout") == "per_client" and not has_test_set(data["dataset"])
    return f"{examples}, held out by the clients" if is_held_by_clients else str(examples)


def _symbols(text: str) -> str:
    return text.replace("\\>=", "≥").replace("\\<=", "≤")


def round_table(result: Result) -> tuple[list[list[str]], list[str]]:
    """The rows and columns of the rounds: mean over seeds, and the spread of the accuracy.

    With the clients that took part, where these are not the same number in all rounds.
    """
    differ = len({done.clients for h in result.histories for done in h.rounds}) > 1
    rows = []
    for number, done in by_round(result).items():
        losses = [r.loss for r in done if r.loss is not None]
        train_losses = [r.train_loss for r in done if r.train_loss is not None]
        train_accuracies = [r.train_accuracy for r in done if r.train_accuracy is not None]
        rows.append(
            [
                str(number),
                *([figure(statistics.fmean(r.clients for r in done))] if differ else []),
                figure(statistics.fmean(train_losses)) if train_losses else "–",
                f"{statistics.fmean(train_accuracies):.3f}" if train_accuracies else "–",
                figure(statistics.fmean(losses)) if losses else "–",
                spread([r.accuracy for r in done if r.accuracy is not None]),
            ]
        )
    clients = ["clients"] if differ else []
    return rows, ["round", *clients, "train loss", "train accuracy", "test loss", "test accuracy"]


def _rounds(result: Result) -> str:
    """The table of rounds, folded away."""
    rows, columns = round_table(result)
    several = len(result.histories) > 1
    told = "Mean over seeds" + (", accuracy ± standard deviation" if several else "")
    summary = f"<details>\n<summary>All rounds. {told}.</summary>"
    return "\n\n".join([summary, table(rows, columns, ["right"] * len(columns)), "</details>"])


def provenance(results: Sequence[Result]) -> str:
    """What the results were made with; empty where nothing ran."""
    versions = {name: v for r in results for name, v in r.versions.items()}
    stated = ", ".join(f"{name} {v}" for name, v in sorted(versions.items()))
    return f"Made with {stated}. Train figures are TFF's federated metrics." if stated else ""
