"""A scenario's federation as text for the terminal, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from tabulate import tabulate

from pytest_federated.core.text import counted, shortened
from pytest_federated.data.federation import FederatedData
from pytest_federated.data.heterogeneity import Heterogeneity, measure
from pytest_federated.report.tables.cells import figure

_SHADES = " ░▒▓█"
_ROWS = 40  # at most so many clients in the map
_LABELS = 20  # at most so many labels by name
_NAME = 24  # columns of a name
_HEADINGS = 30  # columns of the names of figures, with room for the longest


def figures(measured: Heterogeneity, have_labels: bool = True) -> list[tuple[str, str]]:
    """Returns each figure's name and text, for tables; formulas are in `data.heterogeneity`.

    Those of labels are left out where examples have none.
    """
    low, middle, high = (figure(q) for q in measured.quartiles)
    entropy = figure(measured.label_entropy, 3)
    rows = [
        ("examples per client", f"{measured.smallest} to {measured.largest}"),
        ("quartiles", f"{low}, {middle}, {high}"),
        ("Gini of sizes", figure(measured.gini, 3)),
    ]
    of_labels = [
        ("label entropy", f"{entropy} of {figure(measured.pooled_label_entropy, 3)} nats"),
        ("Jensen-Shannon distance", figure(measured.jensen_shannon, 3)),
        ("Hellinger distance", figure(measured.hellinger, 3)),
        ("earth mover's distance", figure(measured.earth_mover, 3)),
    ]
    rows += of_labels if have_labels else []
    return [*rows, ("examples of no client", str(measured.unused))] if measured.unused else rows


def describe(title: str, data: FederatedData, console: Console) -> None:
    """Prints sizes, figures, and a map of labels by client where examples have labels."""
    counts = data.label_counts
    examples = [("clients", str(len(data.clients))), ("test examples", str(len(data.test)))]
    if data.tested_clients:
        tested = f"{data.tested_clients} of {len(data.clients)}"
        examples.append(("clients with test examples", tested))
    if data.left_out:
        examples.insert(1, ("clients left out as too small", str(data.left_out)))
    if data.unseen_names:
        examples.insert(1, ("unseen clients", str(len(data.unseen_names))))
    if data.validation is not None:
        examples.append(("validation examples", str(len(data.validation))))
    if data.features:
        room = console.width - _HEADINGS
        examples.append(("features", counted(data.features, len(data.features), room)))
    if data.label_names:
        names = [shortened(name, _NAME) for name in data.label_names[:_LABELS]]
        listed = [f"{n} {name}" for n, name in enumerate(names)]
        more = ["..."] if len(data.label_names) > _LABELS else []
        examples.append(("labels", ", ".join([*listed, *more])))
    have_labels = data.task != "regression"
    rows = [*examples, *figures(measure(counts, data.unused, data.sizes), have_labels)]
    console.print(title, style="bold", markup=False, emoji=False, highlight=False)
    table = tabulate(rows, tablefmt="plain", disable_numparse=True)
    console.print(table, markup=False, emoji=False, highlight=False)
    if not have_labels:
        return
    console.print()
    console.print(_map(counts, data.names, console.width))


def _map(counts: np.ndarray, names: Sequence[str], width: int) -> Text:
    """Returns clients by labels: the fuller a cell, the more examples of the label a client has."""
    shown = np.unique(np.linspace(0, len(counts) - 1, min(_ROWS, len(counts))).astype(int))
    clients: list[int] = shown.tolist()
    texts = {c: shortened(names[c], _NAME) for c in clients}
    wide = max(map(cell_len, ["client", *texts.values()]))
    most = counts.max()
    labels = min(counts.shape[1], max(1, (width - wide - 12) // 2))
    header = "".join(f"{label % 100:>2}" for label in range(labels))
    lines = Text(f"{'client':<{wide}}  {header}  examples\n", style="bold", no_wrap=True)
    for client in texts:
        text = texts[client]
        lines.append(f"{text}{' ' * (wide - cell_len(text))}  ", style="not bold")
        for count in counts[client, :labels]:
            fill = count / most
            shade = _SHADES[int(np.ceil(fill * (len(_SHADES) - 1)))]
            lines.append(shade * 2, style=f"not bold rgb({int(255 * fill)},{170},{255})")
        lines.append(f"  {counts[client].sum():>8}\n", style="not bold")
    notes = [f"a full cell: {most} examples"]
    if len(shown) < len(counts):
        notes.append(f"{len(shown)} of {len(counts)} clients")
    if labels < counts.shape[1]:
        notes.append(f"{labels} of {counts.shape[1]} labels")
    return lines.append("; ".join(notes), style="not bold")
