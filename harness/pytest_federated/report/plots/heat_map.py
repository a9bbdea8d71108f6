"""A metric over two keys that are numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Optional

import numpy as np

from pytest_federated.report.plots.style import BLUE, VERMILION, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 20  # values of a key
# Cells are opaque, so that the same text can be read on them whatever the page's color is.
_LIGHT, _DARK = (230, 241, 248), tuple(int(BLUE[i : i + 2], 16) for i in (1, 3, 5))
_TEXT_ON_LIGHT, _TEXT_ON_DARK, _DARK_FROM = "#1f2328", "#ffffff", 0.8


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
    density = {
        pair: (1 - share if sign < 0 else share)
        for pair, value in values.items()
        for share in [(value - least) / (most - least) if most > least else 0.5]
    }
    cells = np.zeros((len(downs), len(acrosses), 4), np.uint8)
    for (down, across), dense in density.items():
        color = [round(low + dense * (high - low)) for low, high in zip(_LIGHT, _DARK)]
        cells[downs.index(down), acrosses.index(across)] = (*color, 255)

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        axes.imshow(cells, aspect="auto", interpolation="none", origin="lower")
        for (down, across), value in values.items():
            x, y = acrosses.index(across), downs.index(down)
            is_dark = density[down, across] >= _DARK_FROM
            color = _TEXT_ON_DARK if is_dark else _TEXT_ON_LIGHT
            axes.text(x, y, f"{value:.3f}", ha="center", va="center", fontsize=8, color=color)
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
