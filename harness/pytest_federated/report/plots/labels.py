"""Labels by client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.text import shortened
from pytest_federated.report.plots.chart import Cells
from pytest_federated.report.plots.plot import scenario_plots
from pytest_federated.report.plots.style import BLUE, Picture, styled
from pytest_federated.results.record import Result
from pytest_federated.training.history import TrainingHistory, listed_clients

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMED = 20  # clients whose names fit
_WIDTH = 12  # columns of a name beside the small map
_FEW_LABELS, _ALL_NAMES = 8, 40  # labels whose names fit below it, and their columns together
_FEW_CELLS = 4000  # beyond, the map is one picture inside the SVG


def label_map(
    label_counts: np.ndarray[Any, Any],
    names: Sequence[str],
    title: str,
    path: Path,
    label_names: Sequence[str] = (),
) -> None:
    """Draws int (clients, labels) counts as a heat map, with the clients' sizes beside it.

    Raises:
        FederatedError: the name of the file ends in neither .svg nor .png, or its folder is not
            there.

    """
    if path.suffix not in (".svg", ".png"):
        raise FederatedError(f"{path}: the name of a picture ends in .svg or .png")
    if not path.parent.is_dir():
        raise FederatedError(f"{path}: there is no folder {path.parent}")
    from matplotlib.figure import Figure

    clients, labels = label_counts.shape
    with styled({"font.size": 8}):
        size = (5.6, 0.9 + min(4.0, max(1.2, 0.16 * clients)))
        picture = Figure(figsize=size, dpi=120, layout="constrained")
        cells, bars = picture.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        mesh = cells.pcolormesh(
            label_counts, cmap="Blues", vmin=0, rasterized=label_counts.size > _FEW_CELLS
        )
        cells.set(xlabel="label", ylabel="client", xlim=(0, labels))
        _ticks(cells.xaxis, labels, label_names or list(map(str, range(labels))))
        _ticks(cells.yaxis, clients, names)
        cells.invert_yaxis()
        if clients <= _NAMED * 5:
            bars.barh(np.arange(clients) + 0.5, label_counts.sum(axis=1), color="#4a90c2")
        else:
            sizes = label_counts.sum(axis=1)
            bars.stairs(sizes, np.arange(clients + 1), orientation="horizontal", fill=True)
        bars.set(xlabel="examples")
        bars.tick_params(left=False, labelleft=False)
        picture.colorbar(mesh, ax=bars, label="examples of the label")
        picture.suptitle(title, fontsize=9, parse_math=False)
        picture.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _ticks(axis: Any, count: int, names: Sequence[str]) -> None:
    """A tick in the middle of each cell, or of some where there are many."""
    step = -(-count // _NAMED)
    shown = range(0, count, step)
    places, texts = [i + 0.5 for i in shown], [shortened(names[i]) for i in shown]
    axis.set_ticks(places, texts, parse_math=False)


@scenario_plots("labels", place=20)
def labels_by_client(result: Result) -> Optional[Picture]:
    """A small map of labels by client, of the first seed: the fuller a cell, the more examples.

    None where the record has no counts.
    """
    counted = next((h for h in result.histories if h.label_counts), None)
    if counted is None:
        return None
    counts = np.array(counted.label_counts)
    total = len(counted.client_examples)
    clients, labels = counts.shape
    some = f"{clients} of {total}" if clients < total else str(total)
    alt = (
        f"Examples by client and label of {result.id}, seed {counted.seed}: {some} clients, "
        f"{labels} labels, up to {counts.max()} examples of a label at a client."
    )
    color = [int(BLUE[i : i + 2], 16) for i in (1, 3, 5)]
    cells = np.zeros((clients, labels, 4), np.uint8)
    cells[..., :3] = color
    # As opacity, so that an empty cell has the color of the page.
    cells[..., 3] = np.round(255 * counts / counts.max())

    def draw(axes: Axes) -> None:
        axes.imshow(cells, aspect="auto", interpolation="none")
        axes.set(xlabel="label", ylabel="client")
        if counted.label_names and labels <= _FEW_LABELS:
            texts = [shortened(name, _ALL_NAMES // labels) for name in counted.label_names]
            axes.set_xticks(range(labels), texts, parse_math=False)
        else:
            axes.set_xticks(range(0, labels, -(-labels // _NAMED)))
        shown, places = range(0, clients, -(-clients // 8)), listed_clients(total)
        texts = [_short(counted, places[c]) for c in shown]
        axes.set_yticks(list(shown), texts, parse_math=False)

    listed = [shortened(counted.client_name(place)) for place in listed_clients(total)]
    labeled = [shortened(counted.label_name(label)) for label in range(labels)]
    chart = Cells("client", "label", listed, labeled, counted.label_counts, "examples")
    return Picture(alt, draw, chart, left=1.3 if counted.client_names else 0.6)


def _short(history: TrainingHistory, client: int) -> str:
    """Returns the name of a client beside the small map: a number where the data has none."""
    return shortened(history.client_name(client), _WIDTH) if history.client_names else str(client)
