"""Scales: what the values of a metric are, and so what a scenario's thresholds may be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Callable, Literal, Optional

from pydantic import Field

from pytest_federated.metrics.statistics import CONFIDENCE, Summary, summarize

Share = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]  # of two shares
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]

ScaleName = Literal[
    "share", "difference", "count", "positive count", "positive", "not negative", "loss", "number"
]


@dataclass(frozen=True)
class Margin:
    """The least difference of a metric that matters: the greater of the two.

    Attributes:
        absolute: in the metric's own unit, 0 or more.
        relative: as a share of the earlier value, 0 to 1.

    Raises:
        ValueError: one of the two is something else. With a margin that is too wide, such as 2
            where 2 % is meant, nothing would ever be worse.

    """

    absolute: float = 0.0
    relative: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.absolute < math.inf:
            raise ValueError(f"margin: absolute: got {self.absolute:g}; must be finite, 0 or more")
        if not 0 <= self.relative <= 1:
            raise ValueError(
                f"margin: relative: got {self.relative:g}; must be 0 to 1, such as 0.02 for 2 %"
            )

    def of(self, value: float) -> float:
        """The margin where the earlier value is this."""
        return max(self.absolute, self.relative * abs(value))

    def __str__(self) -> str:
        shown = [f"{self.absolute:g}"] if self.absolute else []
        shown += [f"{100 * self.relative:g} %"] if self.relative else []
        return " or ".join(shown) or "one step"


@dataclass(frozen=True)
class Scale:
    """What the values of a metric are.

    Attributes:
        threshold: the pydantic type of its thresholds.
        margin: the least difference of two of them that matters, where a metric says no other.
        low: the least threshold that calibration proposes.
        high: the greatest one.
        grid: calibrated thresholds are multiples of it; None rounds them to three digits.
        standard_error: of a value that is measured on so many examples; None where examples do not
            tell.

    """

    threshold: Any
    margin: Margin
    low: float = -math.inf
    high: float = math.inf
    grid: Optional[float] = None
    standard_error: Optional[Callable[[float, int], float]] = None

    @property
    def width(self) -> float:
        """The greatest difference of two values."""
        return self.high - self.low

    def of(self, values: Sequence[float]) -> Scale:
        """Returns the scale of these values: without `low` where one is below it, as a loss may be.

        `values` must not be empty.
        """
        return replace(self, low=-math.inf) if min(values) < self.low else self

    def summary(self, values: Sequence[float], confidence: float = CONFIDENCE) -> Summary:
        """Returns the mean of finite values, with its interval cut to what the mean can be."""
        scale = self.of(values)
        return summarize(values, confidence).within(scale.low, scale.high)

    @property
    def is_bounded(self) -> bool:
        """Whether values lie between `low` and `high`."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def _error_of_share(value: float, examples: int) -> float:
    """The binomial standard error, which is not taken for 0 where all or none are right."""
    share = min(max(value, 1 / examples), 1 - 1 / examples)
    return math.sqrt(share * (1 - share) / examples)


def _error_of_difference(value: float, examples: int) -> float:
    """The largest standard error of the difference of two shares."""
    return math.sqrt(0.5 / examples)


_POINT = Margin(absolute=0.01)
_TWENTIETH = Margin(relative=0.05)

SCALES: Mapping[ScaleName, Scale] = {
    "share": Scale(Share, _POINT, 0.0, 1.0, 0.005, _error_of_share),
    "difference": Scale(Difference, _POINT, -1.0, 1.0, 0.005, _error_of_difference),
    "count": Scale(Annotated[int, Field(ge=0)], Margin(), 0, grid=1),
    "positive count": Scale(Annotated[int, Field(ge=1)], Margin(), 1, grid=1),
    "positive": Scale(Positive, _TWENTIETH, 1e-6),
    "not negative": Scale(NotNegative, _TWENTIETH, 0.0),
    # Most losses are positive, but not Keras's Poisson loss, and not one of densities.
    "loss": Scale(Number, _TWENTIETH, 0.0),
    "number": Scale(Number, _TWENTIETH),
}
