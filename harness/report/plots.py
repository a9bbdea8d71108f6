"""Pictures, the same bytes when nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import HarnessError

# Without them an SVG holds random ids and the time; text stays text.
_STABLE = {"svg.hashsalt": "pytest-federated", "svg.fonttype": "none"}
_NAMED = 20  # clients whose names fit
_FEW_CELLS = 4000  # beyond, the map is one picture inside the SVG


def label_map(label_counts: np.ndarray, names: Sequence[str], title: str, path: Path) -> None:
    """Draws int (clients, labels) counts as a heat map, with the clients' sizes beside it.

    Raises:
        HarnessError: the name of the file ends in neither .svg nor .png, or its folder is not
            there.

    """
    if path.suffix not in (".svg", ".png"):
        raise HarnessError(f"{path}: the name of a picture ends in .svg or .png")
    if not path.parent.is_dir():
        raise HarnessError(f"{path}: there is no folder {path.parent}")
    import matplotlib
    from matplotlib.figure import Figure

    clients, labels = label_counts.shape
    style: Any = {**_STABLE, "font.size": 8}
    with matplotlib.rc_context(style):
        size = (5.6, 0.9 + min(4.0, max(1.2, 0.16 * clients)))
        picture = Figure(figsize=size, dpi=120, layout="constrained")
        cells, bars = picture.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        mesh = cells.pcolormesh(
            label_counts, cmap="Blues", vmin=0, rasterized=label_counts.size > _FEW_CELLS
        )
        cells.set(xlabel="label", ylabel="client", xlim=(0, labels))
        _ticks(cells.xaxis, labels, range(labels))
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
        picture.suptitle(title, fontsize=9)
        picture.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _ticks(axis: Any, count: int, names: Sequence[Any]) -> None:
    """A tick in the middle of each cell, or of some where there are many."""
    step = -(-count // _NAMED)
    shown = range(0, count, step)
    axis.set_ticks([i + 0.5 for i in shown], [str(names[i]) for i in shown])
