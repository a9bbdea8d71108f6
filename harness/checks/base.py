"""What a check is to the harness."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, Callable

from pydantic import Field

from harness.registry import Registry
from harness.results.record import Verdict
from harness.settings import Section
from harness.training.history import TrainingHistory

checks: Registry[Callable[..., Verdict]] = Registry("expectation")

_FLOAT_NOISE = 1e-9  # a mean of 0.9, 0.9, 0.9 may come out as 0.8999999999999999

Share = Annotated[float, Field(ge=0, le=1)]


def judge(
    expect: Mapping[str, Section], histories: Sequence[TrainingHistory]
) -> tuple[Verdict, ...]:
    """Judges every expectation, in the order of the scenario file."""
    return tuple(checks[name].call(chosen, histories) for name, chosen in expect.items())


def at_least(name: str, figures: Sequence[float], threshold: float) -> Verdict:
    """The mean of `figures`, one for each seed, is `threshold` or more."""
    return _compare(name, figures, threshold, f">= {threshold:g}", 1)


def at_most(name: str, figures: Sequence[float], threshold: float, expected: str = "") -> Verdict:
    """The mean of `figures`, one for each seed, is `threshold` or less."""
    return _compare(name, figures, threshold, expected or f"<= {threshold:g}", -1)


def _compare(
    name: str, figures: Sequence[float], threshold: float, expected: str, sign: int
) -> Verdict:
    mean = statistics.fmean(figures)
    finite = all(math.isfinite(f) for f in figures)
    margin = sign * (mean - threshold)
    return Verdict(
        expectation=name,
        expected=expected,
        measured=mean if finite else None,
        spread=statistics.stdev(figures) if finite and len(figures) > 1 else None,
        margin=margin if finite else None,
        passed=finite and margin >= -_FLOAT_NOISE,
        note="" if finite else "not finite",
    )
