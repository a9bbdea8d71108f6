"""Bounds: what a scenario demands of the mean of a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from pydantic import ConfigDict, model_validator

from pytest_federated.core.schema import Section, problem
from pytest_federated.metrics.metric import BOUNDS, spec_of
from pytest_federated.metrics.statistics import CONFIDENCE, Summary, seeds_to_decide
from pytest_federated.results.record import Outcome, Verdict

_FLOAT_NOISE = 1e-9  # a mean of 0.9, 0.9, 0.9 may come out as 0.8999999999999999


def _describe_bounds(schema: dict[str, Any]) -> None:
    """Adds to the JSON Schema of an expectation what `BoundedSection` asks of its bounds."""
    allowed = [name for name in BOUNDS if name in schema["properties"]]
    present = {"type": ["number", "array"]}
    if allowed:
        schema["anyOf"] = [{"properties": {name: present}, "required": [name]} for name in allowed]
    if others := [name for name in allowed if name != "between"]:
        schema["if"] = {"properties": {"between": present}, "required": ["between"]}
        schema["then"] = {"properties": {name: {"type": "null"} for name in others}}


class BoundedSection(Section):
    """The base of every expectation's keys: one that can have bounds needs one of them."""

    model_config = ConfigDict(json_schema_extra=_describe_bounds)

    @model_validator(mode="after")
    def _is_bounded(self) -> BoundedSection:
        allowed = [name for name in BOUNDS if name in type(self).model_fields]
        present = bounds_of(self)
        if allowed and not present:
            raise problem(allowed[0], f"missing; needs {' or '.join(allowed)}")
        between = getattr(self, "between", None)
        if between is not None and len(present) > 1:
            raise problem("between", f"says it all; leave {present[0]} out")
        low, high = between or (getattr(self, name, None) for name in BOUNDS[:2])
        if low is not None and high is not None and low > high:
            raise problem(present[-1], f"nothing is at least {low:g} and at most {high:g}")
        return self


@dataclass(frozen=True)
class Bounds:
    """Where a mean must be; infinite where a side is open."""

    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def of(
        cls,
        at_least: Optional[float] = None,
        at_most: Optional[float] = None,
        between: Optional[Sequence[float]] = None,
    ) -> Bounds:
        """The bounds that the keys of an expectation say."""
        if between is not None:
            return cls(between[0], between[1])
        return cls(
            -math.inf if at_least is None else at_least, math.inf if at_most is None else at_most
        )

    def __str__(self) -> str:
        if self.high == math.inf:
            return f">= {self.low:g}"
        return f"<= {self.high:g}" if self.low == -math.inf else f"{self.low:g} to {self.high:g}"

    def margin(self, mean: float) -> float:
        """How far on the good side of the nearest bound; negative when missed."""
        return min(mean - self.low, self.high - mean)

    def outcome(self, summary: Summary) -> Outcome:
        """Whether the interval of the mean lies inside, outside, or on both sides of a bound.

        A single figure has no interval, and is judged itself.
        """
        low = summary.mean if summary.low is None else summary.low
        high = summary.mean if summary.high is None else summary.high
        holds = self.holds(low, high)
        return "inconclusive" if holds is None else "pass" if holds else "fail"

    def holds(self, low: float, high: float) -> Optional[bool]:
        """Whether a mean between `low` and `high` is within the bounds; None where it may be."""
        if low >= self.low - _FLOAT_NOISE and high <= self.high + _FLOAT_NOISE:
            return True
        if high < self.low - _FLOAT_NOISE or low > self.high + _FLOAT_NOISE:
            return False
        return None

    def more_seeds(self, summary: Summary) -> Optional[int]:
        """How many more seeds would move the interval off every bound, by `seeds_to_decide`."""
        needed = [seeds_to_decide(summary, b) for b in (self.low, self.high) if math.isfinite(b)]
        known = [n for n in needed if n is not None]
        return max(known) if known and len(known) == len(needed) else None


def bounds_of(section: Section) -> list[str]:
    """The bounds that an expectation of a scenario has."""
    return [name for name in BOUNDS if getattr(section, name, None) is not None]


def bounds_in(section: Section) -> dict[str, Any]:
    """The values of the bounds that an expectation can have, None where one is left out."""
    return {b: getattr(section, b) for b in BOUNDS if b in type(section).model_fields}


def expected_text(
    limits: Bounds, bounds: Mapping[str, Any], keys: Mapping[str, Any], phrase: str = ""
) -> str:
    """What an expectation asks for, in words: by its phrase, or by its bounds and other keys."""
    if phrase and bounds["at_most"] is not None and limits.low == -math.inf:
        return phrase.format(**keys, **bounds)
    shown = {k: v for k, v in keys.items() if v is not None and v is not False}
    text = ", ".join(k if v is True else f"{k} {v}" for k, v in shown.items())
    return f"{limits} ({text})" if text else str(limits)


def verdict_on(
    name: str,
    values: Sequence[float],
    limits: Bounds,
    expected: str = "",
    confidence: float = CONFIDENCE,
) -> Verdict:
    """Judges the mean of `values`, one for each seed.

    `passed` says whether the mean is within the limits; `outcome` whether its interval is, which
    is cut to what the metric's values can be.
    """
    expected = expected or str(limits)
    if not all(math.isfinite(value) for value in values):
        return Verdict(expectation=name, expected=expected, passed=False, note="not finite")
    summary = spec_of(name).values.summary(values, confidence)
    margin, outcome = limits.margin(summary.mean), limits.outcome(summary)
    return Verdict(
        expectation=name,
        expected=expected,
        measured=summary.mean,
        spread=summary.deviation,
        low=summary.low,
        high=summary.high,
        figures=tuple(values),
        margin=margin,
        passed=limits.holds(summary.mean, summary.mean) is True,
        outcome=outcome,
        more_seeds=limits.more_seeds(summary) if outcome == "inconclusive" else None,
    )
