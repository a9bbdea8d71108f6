"""How every plot of a report looks: small, readable on light and dark, the same bytes again."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Optional
from xml.sax.saxutils import escape

from pytest_federated.report.plots.chart import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Without them an SVG holds random ids and the time; text stays text.
_STABLE = {"svg.hashsalt": "pytest-federated", "svg.fonttype": "none"}

# M. Okabe, K. Ito, Color Universal Design, 2008: told apart with any color vision.
BLUE, ORANGE, GREEN, VERMILION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
SKY, PURPLE = "#56b4e9", "#cc79a7"
SERIES = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE)

# Stands for the color of text and axes, which the viewer's color scheme decides: a gray that
# can be read on white and on black, and a lighter one where the scheme is known to be dark.
INK = "#010203"
_THEME = "svg{color:#6e7781}@media(prefers-color-scheme:dark){svg{color:#b1bac4}}"

_STYLE: Mapping[str, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "path.simplify_threshold": 0.3,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_NOTHING = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True)
class Picture:
    """A plot that has not been drawn yet.

    Attributes:
        alt: what it shows, for those who do not see it; becomes the title of the SVG.
        draw: draws on a pair of axes.
        chart: the same as data, for pages whose reader points at it; None where there is only the
            drawing.
        width: in inches of 72 points.
        height: the same.
        left: room for the names of the y axis, the same.
        right: room beside the axes, the same.

    """

    alt: str
    draw: Callable[[Axes], None]
    chart: Optional[Chart] = None
    width: float = 4.4
    height: float = 2.5
    left: float = 0.6
    right: float = 0.0

    def svg(self) -> str:
        """The drawing; the same text for the same data and version of Matplotlib."""
        from matplotlib.figure import Figure

        # Fixed places for the axes, as finding good ones takes ten times as long as drawing.
        left, bottom = self.left / self.width, 0.5 / self.height
        right = 0.97 - self.right / self.width
        place = (left, bottom, right - left, 1 - bottom - 0.12 / self.height)
        with styled(_STYLE):
            figure = Figure(figsize=(self.width, self.height))
            self.draw(figure.add_axes(place))
            file = io.BytesIO()
            figure.savefig(file, format="svg", transparent=True, metadata=_NOTHING)
        return _small(file.getvalue().decode(), self.alt)


@contextlib.contextmanager
def styled(style: Mapping[str, Any]) -> Iterator[None]:
    """Draws with this style and Matplotlib's own defaults, whatever a ``matplotlibrc`` says.

    It is silent on characters that Matplotlib's font lacks: the viewer's fonts have them.
    """
    import matplotlib

    defaults: Any = matplotlib.rcParamsDefault
    rc: Any = {key: value for key, value in defaults.items() if not key.startswith("backend")}
    rc |= {**_STABLE, **style}
    with matplotlib.rc_context(rc), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def whole_numbers(axes: Axes) -> None:
    """Ticks of the x axis at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))


def _small(svg: str, alt: str) -> str:
    """Takes out what no viewer needs, and puts in the title and the colors of both schemes."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'"[^"<>]*"', lambda value: _rounded(value[0]), svg)
    svg = re.sub(r"\n\s*", "\n", svg.replace(INK, "currentColor"))
    head, _, rest = svg.partition(">")
    title = f"<title>{escape(alt)}</title><style>{_THEME}</style>"
    return f'{head} role="img">{title}{rest}'


def _rounded(text: str) -> str:
    """Numbers of an attribute to a hundredth of a point."""
    return re.sub(r"-?\d+\.\d{3,}", lambda n: f"{float(n[0]):.2f}".rstrip("0").rstrip("."), text)
