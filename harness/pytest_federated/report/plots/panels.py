"""Small multiples: many small plots in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Optional

from pytest_federated.core.text import shortened
from pytest_federated.report.plots.style import INK, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = 32  # characters
_POINTS = 60  # of a curve


@dataclass(frozen=True)
class Layout:
    """The sizes of small multiples, in inches.

    Attributes:
        across: panels beside each other, at most.
        wide: width of a panel with what is around its axes.
        high: height of the same.
        left: room of a panel beside its axes.
        below: room below them.
        above: room above them.
        right: room on the other side.
        head: room above all panels, for a legend.
        font: size of titles; that of ticks is one less.

    """

    across: int = 4
    wide: float = 2.3
    high: float = 1.55
    left: float = 0.36
    below: float = 0.3
    above: float = 0.25
    right: float = 0.08
    head: float = 0.0
    font: int = 8


def thinned(rounds: Sequence[int]) -> list[int]:
    """Returns at most 60 of the rounds, evenly spaced, the last one among them."""
    step = -(-len(rounds) // _POINTS)
    return [n for place, n in enumerate(reversed(rounds)) if place % step == 0][::-1]


def small_multiples(
    alt: str,
    panels: Sequence[tuple[str, Callable[[Axes], None]]],
    layout: Layout = Layout(),
    legend: Optional[Callable[[Axes], None]] = None,
) -> Picture:
    """Returns a picture with a panel below each title.

    Args:
        alt: what the picture shows.
        panels: of each its title, and what draws on its axes; not empty.
        layout: the sizes.
        legend: what draws a legend of all panels, on axes that cover the picture.

    """
    across = min(layout.across, len(panels))
    down = -(-len(panels) // across)
    width, height = across * layout.wide, down * layout.high + layout.head

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        for place, (title, draw_panel) in enumerate(panels):
            row, column = divmod(place, across)
            left = (column * layout.wide + layout.left) / width
            bottom = 1 - (layout.head + (row + 1) * layout.high - layout.below) / height
            inside = layout.wide - layout.left - layout.right
            size = inside / width, (layout.high - layout.below - layout.above) / height
            panel = axes.figure.add_axes((left, bottom, *size))
            draw_panel(panel)
            panel.set_title(shortened(title, TITLE), fontsize=layout.font, color=INK, pad=3)
            panel.tick_params(labelsize=layout.font - 1, pad=1.5, length=2)
        if legend:
            legend(axes)

    return Picture(alt, draw, width=width, height=height)
