"""The line on a missed bound: ``accuracy 0.61 < 0.9``, which is true as it is written."""

from __future__ import annotations

import math
import re

import pytest
from example_results import example_result
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest_federated.expectations.bounds import Bounds, expected_text, verdict_on
from pytest_federated.report.tables.verdicts import missed_line
from pytest_federated.results.record import Verdict

RESULT = example_result()
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
# What stands behind a bound of six digits.
ROUNDED = NUMBERS.map(lambda number: float(f"{number:g}"))


def line_of(verdict: Verdict) -> str:
    return missed_line(RESULT, verdict)


@given(NUMBERS, ROUNDED, st.sampled_from(["at_least", "at_most", "between"]), st.booleans())
def test_a_missed_bound_is_missed_by_the_figure_that_is_shown(
    mean: float, bound: float, key: str, has_keys: bool
) -> None:
    low, high = ("at_least", "between"), ("at_most", "between")
    limits = Bounds(
        bound if key in low else -math.inf,
        bound + (key == "between") if key in high else math.inf,
    )
    verdict = verdict_on("mae", [mean], limits)
    # A record has six digits, and may say that the mean is at the bound which it misses by less.
    assume(
        verdict.measured is not None and limits.holds(verdict.measured, verdict.measured) is False
    )
    text = expected_text(limits, {}, {"target": 0.9} if has_keys else {})
    line = line_of(verdict.model_copy(update={"expected": text}))
    parts = re.fullmatch(r"mae (\S+) ([<>]) (\S+)( \(target 0\.9\))?", line)
    assert parts, line
    shown, limit = float(parts[1]), float(parts[3])
    assert shown < limit if parts[2] == "<" else shown > limit
    assert shown == pytest.approx(mean, rel=1e-3, abs=1e-9)
    assert bool(parts[4]) == has_keys


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (verdict_on("accuracy", [0.61], Bounds(low=0.9)), "accuracy 0.61 < 0.9"),
        (verdict_on("accuracy", [0.89996], Bounds(low=0.9)), "accuracy 0.89996 < 0.9"),
        (verdict_on("loss", [0.61], Bounds(high=0.5)), "loss 0.61 > 0.5"),
        (verdict_on("loss", [0.61], Bounds(0.1, 0.5)), "loss 0.61 > 0.5"),
        (verdict_on("loss", [0.01], Bounds(0.1, 0.5)), "loss 0.01 < 0.1"),
        # The policy, not the mean, misses it.
        (
            verdict_on("accuracy", [0.89, 0.93], Bounds(low=0.9)),
            "accuracy 0.91, expected >= 0.9 (inconclusive)",
        ),
        (verdict_on("loss", [float("nan")], Bounds(high=1)), "loss not finite, expected <= 1"),
        # Of a user's own expectation.
        (
            Verdict(expectation="own", expected="<= 5 in all rounds", measured=7, passed=False),
            "own 7, expected <= 5 in all rounds",
        ),
        (
            Verdict(expectation="own", expected="slow to fast", measured=7, passed=False),
            "own 7, expected slow to fast",
        ),
    ],
)
def test_what_is_missed_is_said_in_one_line(verdict: Verdict, line: str) -> None:
    assert line_of(verdict) == line
