"""The figures of a grid of two keys: the better, the darker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from pytest_federated.core.text import significant
from pytest_federated.report.plots.style import BLUE, VERMILION, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 12  # values of a key
_CELL_WIDE, _CELL_HIGH = 0.62, 0.34  # inches
_UNFIT, _LIGHT, _DARK = "#d0d7de", "#1f2328", "#ffffff"


class Side(NamedTuple):
    """A key of a heat map and the texts of its values, in their order."""

    title: str
    texts: Sequence[str]


def heat_map(
    alt: str,
    down: Side,
    across: Side,
    values: Mapping[tuple[int, int], Optional[float]],
    best: Optional[tuple[int, int]] = None,
    *,
    sign: int = 1,
) -> Picture:
    """Draws a cell for each pair of values.

    Args:
        alt: what the picture shows.
        down: the key that goes up.
        across: the key that goes to the right.
        values: finite figures by the places of the two values; None of a cell without one.
        best: the cell with a frame.
        sign: -1 where less is better.

    """
    known = [value for value in values.values() if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    if sign < 0:
        low, high = high, low

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        for (y, x), value in values.items():
            share = 1.0 if low == high else ((value or low) - low) / (high - low)
            color = _UNFIT if value is None else _blended(share)
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=color, lw=0))
            axes.text(
                x + 0.5,
                y + 0.5,
                "–" if value is None else significant(value, 3),
                ha="center",
                va="center",
                fontsize=8,
                weight="bold" if (y, x) == best else "normal",
                color=_DARK if value is not None and share > 0.55 else _LIGHT,
            )
            if (y, x) == best:
                edge: Any = {"fill": False, "edgecolor": VERMILION, "lw": 2, "zorder": 3}
                axes.add_patch(Rectangle((x + 0.03, y + 0.04), 0.94, 0.92, **edge))
        axes.set(xlim=(0, len(across.texts)), ylim=(0, len(down.texts)))
        axes.set(xlabel=across.title, ylabel=down.title)
        for ticks, side in ((axes.set_xticks, across), (axes.set_yticks, down)):
            places = [place + 0.5 for place in range(len(side.texts))]
            ticks(places, side.texts, parse_math=False)
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)

    width = max(2.6, 0.9 + _CELL_WIDE * len(across.texts))
    height = 0.7 + _CELL_HIGH * len(down.texts)
    return Picture(alt, draw, width=width, height=height, left=0.75)


def _blended(share: float) -> str:
    """Returns a color between a light one and blue."""
    light = (230, 241, 248)
    blue = [int(BLUE[i : i + 2], 16) for i in (1, 3, 5)]
    mixed = [round(low + share * (high - low)) for low, high in zip(light, blue)]
    return "#" + "".join(f"{part:02x}" for part in mixed)
