"""Small multiples: many small plots in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable

from pytest_federated.core.text import shortened
from pytest_federated.report.plots.style import INK, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ACROSS = 4
_WIDE, _HIGH = 2.3, 1.55  # of a panel with what is around it, in inches
_LEFT, _BELOW, _ABOVE, _RIGHT = 0.36, 0.3, 0.25, 0.08  # of a panel, around its axes
TITLE = 32  # characters


def small_multiples(alt: str, panels: Sequence[tuple[str, Callable[[Axes], None]]]) -> Picture:
    """Returns a picture with a panel below each title.

    Args:
        alt: what the picture shows.
        panels: of each its title, and what draws on its axes; not empty.

    """
    across = min(_ACROSS, len(panels))
    down = -(-len(panels) // across)
    width, height = across * _WIDE, down * _HIGH

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        for place, (title, draw_panel) in enumerate(panels):
            row, column = divmod(place, across)
            left = (column * _WIDE + _LEFT) / width
            bottom = 1 - ((row + 1) * _HIGH - _BELOW) / height
            size = (_WIDE - _LEFT - _RIGHT) / width, (_HIGH - _BELOW - _ABOVE) / height
            panel = axes.figure.add_axes((left, bottom, *size))
            draw_panel(panel)
            panel.set_title(shortened(title, TITLE), fontsize=8, color=INK, pad=3)
            panel.tick_params(labelsize=7, pad=1.5, length=2)

    return Picture(alt, draw, width=width, height=height)
