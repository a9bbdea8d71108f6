"""A metric over two keys that are numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Optional

import numpy as np

from pytest_federated.report.plots.style import BLUE, INK, VERMILION, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 20  # values of a key
_DENSEST = 0.55  # opacity: text has to be read on it, light and dark


def heat_map(
    values: Mapping[tuple[float, float], float],
    keys: tuple[str, str],
    title: str,
    framed: Collection[tuple[float, float]] = (),
    *,
    sign: int = 1,
) -> Optional[Picture]:
    """Draws a cell for each pair of values: the better, the fuller.

    Args:
        values: of the metric, finite, by the values of the two keys.
        keys: the names of the keys; the first goes up, the second to the right.
        title: what the values are.
        framed: cells with a frame.
        sign: 1 where more is better, -1 where less is, 0 where neither.

    Returns:
        None with fewer than two values of a key, or more than can be shown.

    """
    downs, acrosses = (sorted({pair[side] for pair in values}) for side in (0, 1))
    if not all(2 <= len(side) <= MOST for side in (downs, acrosses)):
        return None
    least, most = min(values.values()), max(values.values())
    best = max(values, key=lambda pair: (sign or 1) * values[pair])
    alt = (
        f"{title} by {keys[0]} and {keys[1]}: from {least:.3f} to {most:.3f}, "
        f"{'greatest' if not sign else 'best'} at {best[0]:g} and {best[1]:g}."
    )
    color = [int(BLUE[i : i + 2], 16) for i in (1, 3, 5)]
    cells = np.zeros((len(downs), len(acrosses), 4), np.uint8)
    for (down, across), value in values.items():
        share = (value - least) / (most - least) if most > least else 0.5
        density = 1 - share if sign < 0 else share
        opacity = round(255 * (0.05 + (_DENSEST - 0.05) * density))
        cells[downs.index(down), acrosses.index(across)] = (*color, opacity)

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        axes.imshow(cells, aspect="auto", interpolation="none", origin="lower")
        for (down, across), value in values.items():
            x, y = acrosses.index(across), downs.index(down)
            axes.text(x, y, f"{value:.3f}", ha="center", va="center", fontsize=8, color=INK)
            if (down, across) in framed:
                frame = Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False)
                frame.set(edgecolor=VERMILION, linewidth=1.6)
                axes.add_patch(frame)
        axes.set_xticks(range(len(acrosses)), [f"{v:g}" for v in acrosses])
        axes.set_yticks(range(len(downs)), [f"{v:g}" for v in downs])
        axes.tick_params(length=0)
        axes.set(xlabel=keys[1], ylabel=keys[0])

    width = min(7.0, max(3.2, 1.0 + 0.62 * len(acrosses)))
    return Picture(alt, draw, width=width, height=0.7 + 0.34 * len(downs))
