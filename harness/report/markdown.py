"""The report: GitHub-flavoured Markdown, the same bytes when nothing changed."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.data.datasets import datasets, has_test_set
from harness.data.shifts import shifts
from harness.data.sizes import sizes
from harness.data.splits import splits
from harness.report.tables import (
    SUMMARY_COLUMNS,
    VERDICT_COLUMNS,
    choice,
    figure,
    heterogeneity_rows,
    seed_rows,
    spread,
    summary_row,
    verdict_rows,
)
from harness.results import Result, write_result
from harness.results.store import file_name, write_text
from harness.training.algorithms import algorithms
from harness.training.history import Round
from harness.training.models import models
from harness.training.optimizers import optimizers

REPORT = "report.md"
_STYLE = "github"
_TITLE, _NOT_RUN = "Federated scenarios", "Not run"


def write_report(results: Sequence[Result], folder: Path) -> Path:
    """Writes the report of `results` and their records below `folder`; returns the report's path.

    Scenarios that were skipped are named in the report and leave no record.
    """
    for result in results:
        if result.status != "skipped":
            write_result(result, folder)
    path = folder / REPORT
    write_text(path, report(results))
    return path


def report(results: Sequence[Result]) -> str:
    """The whole report as Markdown."""
    ran = [r for r in results if r.status != "skipped"]
    skipped = [r for r in results if r.status == "skipped"]
    parts = [f"# {_TITLE}", _verdict_line(results)]
    headings = [_TITLE, *([_NOT_RUN] if skipped else []), *(r.id for r in ran)]
    if ran:
        parts += [
            _summary(ran, _anchors(headings)),
            "Accuracy and loss are those of the test set after the last round: mean ± standard "
            "deviation over seeds.",
        ]
    if skipped:
        rows = [[escape(r.id), escape(r.reason)] for r in skipped]
        parts += [f"## {_NOT_RUN}", _table(rows, ["scenario", "reason"])]
    parts += [_section(r) for r in ran]
    if ran:
        parts.append(_provenance(ran))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that stands in a table cell or a paragraph as it is written."""
    for character in "\\|<>*_`[]~#&":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def paragraph(text: str) -> str:
    """Text that is a paragraph: not a list, a rule or a numbered item, however it begins."""
    return re.sub(r"^(\d*)([-+.)=])", r"\1\\\2", escape(text))


def anchor(heading: str) -> str:
    """The fragment that GitHub gives a heading."""
    kept = (c for c in heading.lower() if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")


def _anchors(headings: Sequence[str]) -> dict[str, str]:
    """Each heading's fragment: GitHub numbers those that would be the same."""
    anchors: dict[str, str] = {}
    for heading in headings:
        plain, number = anchor(heading), 0
        while (unique := f"{plain}-{number}" if number else plain) in anchors.values():
            number += 1
        anchors[heading] = unique
    return anchors


def _verdict_line(results: Sequence[Result]) -> str:
    counts = {
        s: sum(r.status == s for r in results) for s in dict.fromkeys(r.status for r in results)
    }
    return "**" + ", ".join(f"{n} {status}" for status, n in counts.items()) + "**"


def _summary(results: Sequence[Result], anchors: dict[str, str]) -> str:
    rows = []
    for result in results:
        name, *rest = summary_row(result)
        rows.append(
            [f"[{escape(name)}](#{anchors[name]})", *map(escape, rest[:-1]), _status(result)]
        )
    return _table(
        rows,
        SUMMARY_COLUMNS,
        ["left", "right", "left", "left", "right", "right", "right", "right", "left"],
    )


def _status(result: Result) -> str:
    return result.status if result.status == "passed" else f"**{result.status}**"


def _section(result: Result) -> str:
    s = result.settings
    training, clients, data = s["training"], s["clients"], s["data"]
    own = [n for h in result.histories for n in h.client_examples]
    held = f"{min(own)} to {max(own)} (median {figure(statistics.median(own))})"
    per_round = clients["per_round"] if clients["per_round"] is not None else "all"
    told = [choice(shifts, shift) for shift in clients.get("shift", [])]
    settings = [
        ["data", choice(datasets, data["dataset"])],
        ["test examples", _tested(data, result.histories[0].test_examples)],
        ["clients", f"{len(result.histories[0].client_examples)}, {per_round} per round"],
        ["split", choice(splits, clients["split"])],
        *([["size", choice(sizes, clients["size"])]] if clients.get("size") else []),
        *([["shift", ", ".join(told)]] if told else []),
        ["examples per client", held],
        *heterogeneity_rows(result),
        ["model", choice(models, s["model"])],
        ["algorithm", choice(algorithms, training["algorithm"])],
        ["execution", result.histories[0].execution],
        [
            "local training",
            f"{training['local_epochs']} epoch(s), batch size {training['batch_size']}",
        ],
        ["client optimizer", choice(optimizers, training["client_optimizer"])],
        ["server optimizer", choice(optimizers, training["server_optimizer"])],
        ["seeds", ", ".join(str(n) for n in s["seeds"])],
        ["record", f"[{escape(file_name(result.id))}](records/{_quoted(file_name(result.id))})"],
    ]
    parts = [f"## {escape(result.id)}"]
    if s["description"]:
        parts.append(paragraph(s["description"]))
    if result.reason:
        parts.append(f"**{escape(result.reason)}**")
    if result.verdicts:
        rows = [[_symbols(escape(cell)) for cell in row] for row in verdict_rows(result)]
        parts.append(_table(rows, VERDICT_COLUMNS))
    by_seed, columns = seed_rows(result)
    if by_seed:
        parts.append(_table(by_seed, [escape(c) for c in columns], ["right"] * len(columns)))
    rows = [[k, v if k == "record" else escape(v)] for k, v in settings]
    return "\n\n".join([*parts, _table(rows, ["setting", "value"]), _rounds(result)])


def _tested(data: dict[str, Any], examples: int) -> str:
    is_held_by_clients = data.get("holdout") == "per_client" and not has_test_set(data["dataset"])
    return f"{examples}, held out by the clients" if is_held_by_clients else str(examples)


def _symbols(text: str) -> str:
    return text.replace("\\>=", "≥").replace("\\<=", "≤")


def _quoted(name: str) -> str:
    return name.replace("=", "%3D").replace(",", "%2C")


def _rounds(result: Result) -> str:
    """The table of rounds: mean over seeds, and the spread of the accuracy."""
    by_round: dict[int, list[Round]] = {}
    for history in result.histories:
        for done in history.rounds:
            by_round.setdefault(done.round, []).append(done)
    rows = []
    for number, done in by_round.items():
        losses = [r.loss for r in done if r.loss is not None]
        train_losses = [r.train_loss for r in done if r.train_loss is not None]
        train_accuracies = [r.train_accuracy for r in done if r.train_accuracy is not None]
        rows.append(
            [
                str(number),
                figure(statistics.fmean(train_losses)) if train_losses else "–",
                f"{statistics.fmean(train_accuracies):.3f}" if train_accuracies else "–",
                figure(statistics.fmean(losses)) if losses else "–",
                spread([r.accuracy for r in done if r.accuracy is not None]),
            ]
        )
    return _table(
        rows, ["round", "train loss", "train accuracy", "test loss", "test accuracy"], ["right"] * 5
    )


def _provenance(results: Sequence[Result]) -> str:
    versions = {name: v for r in results for name, v in r.versions.items()}
    stated = ", ".join(f"{name} {v}" for name, v in sorted(versions.items()))
    return f"## Provenance\n\nMade with {stated}. Train figures are TFF's federated metrics."


def _table(rows: Sequence[Sequence[str]], headers: Sequence[str], align: Sequence[str] = ()) -> str:
    return tabulate(
        rows,
        headers,
        tablefmt=_STYLE,
        disable_numparse=True,
        colalign=align or ["left"] * len(headers),
    )
