"""What is judged where a figure lies exactly on an edge, or where one seed is unlike the others.

A fault of one comparison or one index of the judging shows here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import pytest
import pytest_federated
from example_results import example_result, expect, history
from pydantic import BaseModel, ValidationError
from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import first_problem
from pytest_federated.expectations.baselines import LARGEST, Baseline, baseline_of, is_usable
from pytest_federated.expectations.bounds import Bounds, verdict_on
from pytest_federated.expectations.calibrating import (
    Proposal,
    _collapsed,
    _rounded,
    _worst_mean,
    figures_to_see_collapses,
    loosest,
    propose,
)
from pytest_federated.expectations.ending_early import _range_text, certain
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.judging import has_wall_time, judge
from pytest_federated.expectations.regression import compare_with_baseline, look_twice, unmeasured
from pytest_federated.metrics.difference import Difference, _judged, compare
from pytest_federated.metrics.measure import Measure, expected_measure
from pytest_federated.metrics.metric import metrics
from pytest_federated.metrics.scales import SCALES, Margin, ScaleName
from pytest_federated.metrics.statistics import Comparison, Summary, pairs_to_decide, summarize
from pytest_federated.report.tables.cells import interval
from pytest_federated.results.record import Compared, Result, Verdict
from pytest_federated.training.history import TrainingHistory
from scipy import stats

NOISE = 1e-9  # what a mean may be off by rounding


# Bounds


def test_a_loss_may_be_negative() -> None:
    """Keras's Poisson loss is. Where no value is negative, the interval of the mean ends at 0."""
    negative, positive = [-2.0, -2.5, -3.0, -2.2], [0.1, 0.5, 0.01]
    scale = SCALES["loss"]
    low, high = -2.425 - 0.692, -2.425 + 0.692
    judged = verdict_on("loss", negative, Bounds(high=-2.2))
    assert (judged.low, judged.high) == pytest.approx((low, high), abs=1e-3)
    assert (judged.passed, judged.outcome) == (True, "inconclusive")
    assert interval(negative, scale) == "-2.425 ± 0.692"
    assert interval(positive, scale) == "0.203 (0 to 0.851)"
    assert expectations["loss"].params.model_validate({"at_most": -2.2})
    between: Any = propose("loss", ["between"], negative, 3, 0.01).bounds["between"]
    assert between[0] < -3 and -2 < between[1] < 0
    assert propose("loss", ["at_least"], positive, 3, 0.01).bounds == {"at_least": 0}


@pytest.mark.parametrize(
    ("low", "high", "holds"),
    [
        (-NOISE, 0.0, True),
        (0.0, NOISE, True),
        (-NOISE, NOISE, True),
        (-2 * NOISE, 0.0, None),
        (0.0, 2 * NOISE, None),
        (-1.0, 1.0, None),
        (-1.0, 0.0, None),
        (0.0, 1.0, None),
        (-1.0, -NOISE, None),
        (NOISE, 1.0, None),
        (-1.0, -2 * NOISE, False),
        (2 * NOISE, 1.0, False),
    ],
)
def test_a_mean_within_noise_of_a_bound_is_within_it(
    low: float, high: float, holds: Optional[bool]
) -> None:
    assert Bounds(0.0, 0.0).holds(low, high) is holds
    outcome = {True: "pass", False: "fail", None: "inconclusive"}[holds]
    assert Bounds(0.0, 0.0).outcome(Summary(2, 0.0, 1.0, low, high)) == outcome


@pytest.mark.parametrize(("figure", "passed"), [(-NOISE, True), (-2 * NOISE, False)])
def test_a_verdict_allows_for_the_same_noise(figure: float, passed: bool) -> None:
    found = verdict_on("gap_to_centralized", [figure], Bounds(low=0.0))
    assert (found.passed, found.outcome) == (passed, "pass" if passed else "fail")


def test_more_seeds_help_only_where_they_decide_every_bound() -> None:
    seen = summarize([0.89, 0.91])
    assert Bounds().more_seeds(seen) is None
    assert Bounds(high=0.93).more_seeds(seen) is not None
    assert Bounds(0.9, 0.93).more_seeds(seen) is None, "the mean is on the lower bound"


def test_the_json_schema_asks_for_a_bound_and_for_no_other_beside_between() -> None:
    schema = expectations["accuracy"].params.model_json_schema()
    names = [next(iter(one["required"])) for one in schema["anyOf"]]
    assert names == ["at_least", "at_most", "between"]
    assert schema["if"]["required"] == ["between"]
    assert schema["then"] == {"properties": {key: {"type": "null"} for key in names[:2]}}


@pytest.mark.parametrize("pair", [[], [0.1], [0.1, 0.2, 0.3]])
def test_between_takes_two_numbers(pair: list[float]) -> None:
    assert expect(accuracy={"between": [0.1, 0.2]})["accuracy"].between == [0.1, 0.2]
    with pytest.raises(ValidationError, match="between"):
        expect(accuracy={"between": pair})


def test_the_expectation_of_a_metric_is_made_once() -> None:
    assert expectations["accuracy"] is expectations["accuracy"]
    assert expectations["accuracy"] is not expectations["best_accuracy"]


# Judging


def test_a_wall_time_among_others_is_one() -> None:
    timed = expect(seconds_per_round={"at_most": 1.0})
    accuracy = expect(accuracy={"at_least": 0.1})
    assert has_wall_time({**accuracy, **timed}) and has_wall_time({**timed, **accuracy})
    assert not has_wall_time(accuracy) and not has_wall_time({})


def test_another_confidence_widens_the_interval_and_nothing_else() -> None:
    three = [history([a]) for a in (0.88, 0.9, 0.92)]
    expected = expect(accuracy={"at_least": 0.87})
    (usual,), (wide,) = judge(expected, three), judge(expected, three, confidence=0.99)
    assert (usual.low, usual.high) == (pytest.approx(0.8503, abs=1e-4), pytest.approx(0.9497, 1e-4))
    assert wide.low == pytest.approx(0.9 - 9.925 * 0.02 / math.sqrt(3), abs=1e-4)
    more = {"low", "high", "more_seeds"}
    assert wide.model_dump(exclude=more) == usual.model_dump(exclude=more)


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_what_was_not_measured_fails_at_any_confidence(confidence: float) -> None:
    expected = expect(rounds_to_accuracy={"target": 0.9, "at_most": 2})
    (found,) = judge(expected, [history([0.1])], confidence=confidence)
    assert (found.passed, found.note) == (False, "not reached in 1 of 1 seed(s)")


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_a_verdict_of_the_users_own_stays_as_it_is(
    confidence: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectations, "_entries", expectations.entries())
    own = Verdict(expectation="unchanged", expected="x", passed=False, figures=(0.5, 0.6))

    @pytest_federated.expectation("unchanged")
    def unchanged(histories: Sequence[TrainingHistory], *, over: int = 1) -> Verdict:
        return own

    assert judge(expect(unchanged={}), [history([0.5])], confidence=confidence) == (own,)


def test_the_first_reason_is_named_with_the_number_of_seeds() -> None:
    """One seed misses the target; in the other, bytes are not measured."""
    expected = expect(bytes_to_accuracy={"target": 0.9, "at_most": 100})
    two = [history([0.1], bytes_up=1, bytes_down=1), history([0.95])]
    (found,) = judge(expected, two)
    (first,) = judge(expected, two[:1])
    (second,) = judge(expected, two[1:])
    reason, other = (v.note.partition(" in 1 of 1")[0] for v in (first, second))
    assert reason != other
    assert found.note == f"{reason} in 2 of 2 seed(s)"


# Baselines


@pytest.mark.parametrize(
    ("figure", "usable"),
    [(LARGEST, True), (-LARGEST, True), (2 * LARGEST, False), (-2 * LARGEST, False)],
)
def test_figures_that_can_be_squared_are_usable(figure: float, usable: bool) -> None:
    assert is_usable(figure) is usable


def test_a_baseline_has_the_smallest_test_set_of_all_seeds() -> None:
    result = example_result("a", (0.5, 0.6, 0.7))
    sizes = [h.model_copy(update={"test_examples": n}) for h, n in zip(result.histories, (7, 5, 9))]
    assert baseline_of(result.model_copy(update={"histories": tuple(sizes)})).test_examples == 5


def test_a_run_without_trainings_gives_no_baseline() -> None:
    with pytest.raises(FederatedError, match=r"a: gives no baseline \(seeds: "):
        baseline_of(example_result("a").model_copy(update={"histories": ()}))


def test_the_first_of_the_keys_without_a_figure_is_named() -> None:
    kept = baseline_of(example_result("a")).model_dump()
    with pytest.raises(ValidationError, match="keys: b is no figure"):
        Baseline.model_validate({**kept, "keys": {"c": {"x": 1}, "b": {"x": 1}, "d": {"x": 1}}})


def test_a_problem_is_one_short_line() -> None:
    class Long(BaseModel):
        key: dict[str, int]

    with pytest.raises(ValidationError) as problems:
        Long.model_validate({"key": {"a\n" * 500: "x"}})
    text = first_problem(problems.value)
    assert len(text) == 200 and "\n" not in text and text.startswith("key.a a a")


# Ending early


@pytest.mark.parametrize(
    ("curves", "begun", "note"),
    [
        ([[0.9]], [0.5], "holds already: 0.7 to 0.95"),
        ([[0.9]], [], "holds already: 0.45 to 0.95"),
        ([], [0.9], "holds already: 0.45 to 1"),
    ],
)
def test_what_is_known_of_one_seed_is_not_known_of_all(
    curves: list[list[float]], begun: list[float], note: str
) -> None:
    finished = [history(curve) for curve in curves]
    expected = expect(best_accuracy={"at_least": 0.45})
    decided = certain(expected, finished, history(begun).rounds, 2)
    assert decided is not None
    (found,) = decided
    assert (found.outcome, found.note, found.measured) == ("pass", note, None)


def test_a_target_that_a_finished_seed_missed_is_missed() -> None:
    expected = expect(rounds_to_accuracy={"target": 0.9, "at_most": 3})
    decided = certain(expected, [history([0.1, 0.2])], (), 2)
    assert decided is not None
    (found,) = decided
    assert (found.passed, found.outcome, found.note) == (False, "fail", "not reached")


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-math.inf, 0.5, "0.5 or less"),
        (0.25, math.inf, "0.25 or more"),
        (0.25, 0.5, "0.25 to 0.5"),
        (-math.inf, 0.123456, "0.1235 or less"),
        (0.123456, math.inf, "0.1235 or more"),
        (0.123456, 0.987654, "0.1235 to 0.9877"),
    ],
)
def test_a_range_with_an_open_side_is_said_in_words(low: float, high: float, text: str) -> None:
    assert _range_text(low, high) == text


# A second look


@dataclass
class Looks:
    """In place of comparisons: one change for each look, and at which levels it was asked."""

    changes: list[tuple[str, float]]
    levels: list[float] = field(default_factory=list)

    def __call__(self, result: Result, baseline: Baseline, **options: Any) -> tuple[Any, ...]:
        change, worsening = self.changes[len(self.levels)]
        self.levels.append(options["level"])
        assert options["margins"] == {"accuracy": 0.5}
        passed = change != "worse"
        one = Compared(metric="a", change=change, worsening=worsening, passed=passed)  # pyright: ignore
        return one, Compared(metric="b", change="same", passed=True)


@pytest.mark.parametrize(
    ("changes", "decide", "levels", "passed"),
    [
        ([("same", 0.0)], False, [0.002], True),
        ([("same", 0.0)], True, [0.002], True),
        ([("better", -1.0)], True, [0.002], True),
        ([("undecided", -1.0)], False, [0.002], True),
        ([("undecided", 0.0)], False, [0.002], True),
        ([("undecided", -1.0), ("better", -1.0)], True, [0.002, 0.008], True),
        ([("undecided", 1.0), ("undecided", 1.0)], False, [0.002, 0.008], True),
        ([("worse", 1.0), ("same", 1.0)], False, [0.002, 0.008], True),
        ([("worse", 1.0), ("worse", 1.0)], False, [0.002, 0.008], False),
    ],
)
def test_what_may_be_worse_is_looked_at_twice_with_the_level_shared_out(
    monkeypatch: pytest.MonkeyPatch,
    changes: list[tuple[str, float]],
    decide: bool,
    levels: list[float],
    passed: bool,
) -> None:
    looks = Looks(changes)
    monkeypatch.setattr("pytest_federated.expectations.regression.compare_with_baseline", looks)
    result = example_result("a")
    both = (result, baseline_of(result))
    more: Any = {"decide": True} if decide else {}
    found, _ = look_twice(*both, lambda: both, level=0.01, margins={"accuracy": 0.5}, **more)
    assert looks.levels == pytest.approx(levels)
    assert found.passed is passed


def test_a_run_on_all_seeds_is_looked_at_once_with_the_whole_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = Looks([("worse", 1.0)])
    monkeypatch.setattr("pytest_federated.expectations.regression.compare_with_baseline", looks)
    result = example_result("a")
    found = look_twice(result, baseline_of(result), None, level=0.01, margins={"accuracy": 0.5})
    assert looks.levels == [0.01] and not found[0].passed


def test_a_run_that_diverges_on_more_seeds_is_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks([("worse", 1.0)])
    monkeypatch.setattr("pytest_federated.expectations.regression.compare_with_baseline", looks)
    result, why = example_result("a"), "diverged in round 3"
    baseline = baseline_of(result)
    diverged = result.model_copy(update={"status": "diverged", "reason": why})
    (found,) = look_twice(
        result, baseline, lambda: (diverged, baseline), level=0.01, margins={"accuracy": 0.5}
    )
    assert (found.change, found.passed, found.note) == ("worse", False, why)


# Comparing with a baseline


def test_one_test_example_is_enough_to_compare() -> None:
    one = example_result("a")
    histories = tuple(h.model_copy(update={"test_examples": 1}) for h in one.histories)
    small = one.model_copy(update={"histories": histories})
    assert {c.note for c in compare_with_baseline(small, baseline_of(small))} == {""}


def test_the_first_note_of_what_is_not_measured_is_shown() -> None:
    one = example_result("a")
    notes = [
        Verdict(expectation="accuracy", expected="", passed=False, figures=(0.5,), note=note)
        for note in ("the first", "another")
    ]
    now = one.model_copy(update={"verdicts": tuple(notes)})
    by_metric = {c.metric: c for c in compare_with_baseline(now, baseline_of(one))}
    assert by_metric["accuracy"].note == "the first" and not by_metric["accuracy"].passed


def with_figures(name: str, figures: Sequence[float], **bounds: float) -> Result:
    """A result with one verdict, on these figures of its seeds."""
    one = example_result("a", [0.5] * len(figures))
    settings = {**one.settings, "expect": {name: bounds}}
    judged = Verdict(expectation=name, expected="", passed=True, figures=tuple(figures))
    return one.model_copy(update={"settings": settings, "verdicts": (judged,)})


def changed(name: str, before: Sequence[float], now: Sequence[float], **bounds: float) -> Compared:
    baseline = baseline_of(with_figures(name, before, **bounds))
    found = compare_with_baseline(with_figures(name, now, **bounds), baseline)
    return next(c for c in found if c.metric == name)


@pytest.mark.parametrize(
    ("name", "bounds", "sign"),
    [
        ("custom", {}, 1),
        ("custom", {"at_least": 0.0}, 1),
        ("custom", {"at_most": 9.0}, -1),
        ("accuracy", {}, 1),
        ("loss", {}, -1),
    ],
)
def test_worsening_is_the_difference_to_the_worse_side(
    name: str, bounds: dict[str, float], sign: int
) -> None:
    before, higher = [0.25, 0.26, 0.25, 0.26], [0.75, 0.76, 0.75, 0.76]
    up, down = changed(name, before, higher, **bounds), changed(name, higher, before, **bounds)
    assert (up.worsening, down.worsening) == (
        pytest.approx(-sign * 0.5),
        pytest.approx(sign * 0.5),
    )
    better, worse = (up, down) if sign > 0 else (down, up)
    assert (better.change, worse.change) == ("better", "worse")


@pytest.mark.parametrize(
    ("now", "change"), [(-1.52, "undecided"), (-1.48, "worse"), (-2.6, "undecided")]
)
def test_the_tolerance_of_one_pair_is_a_quarter_of_what_was(now: float, change: str) -> None:
    assert changed("custom", [-2.0], [now], at_most=0.0).change == change


def test_one_seed_without_test_examples_is_one_too_many() -> None:
    one = example_result("a")
    first, second = one.histories
    empty = second.model_copy(update={"test_examples": 0})
    now = one.model_copy(update={"histories": (first, empty)})
    found = compare_with_baseline(now, baseline_of(one))
    assert {c.note for c in found} == {"no test examples"}


def test_the_note_of_another_expectation_is_no_reason() -> None:
    one = example_result("a")
    own = Verdict(expectation="accuracy", expected="", passed=False, figures=(0.5,))
    other = Verdict(expectation="loss", expected="", passed=False, figures=(0.5, 0.4), note="other")
    found = compare_with_baseline(
        one.model_copy(update={"verdicts": (other, own)}), baseline_of(one)
    )
    notes = {c.metric: c.note for c in found}
    assert notes["accuracy"] == "not measured in every seed"


# What cannot be compared with a baseline


@pytest.mark.parametrize(
    ("figures", "problems"),
    [
        ((0.0, 1.0), []),
        ((0.5, 1.5), ["accuracy is not between 0 and 1 there"]),
        ((-0.5, 0.5), ["accuracy is not between 0 and 1 there"]),
    ],
)
def test_figures_of_a_baseline_lie_between_the_ends_of_their_scale(
    figures: tuple[float, float], problems: list[str]
) -> None:
    one = example_result("a")
    kept = baseline_of(one).model_dump()
    kept["figures"]["accuracy"] = figures
    assert unmeasured(one, Baseline.model_validate(kept)) == problems


def test_keys_of_an_expectation_that_is_gone_or_unknown_are_no_problem_of_their_own() -> None:
    target = {"target": 0.5}
    before = with_figures("rounds_to_accuracy", [2.0, 2.0], at_most=3.0)
    baseline = baseline_of(before, keys={"rounds_to_accuracy": target})
    assert unmeasured(example_result("a"), baseline) == ["rounds_to_accuracy is not measured now"]
    strange = with_figures("accuracy", [0.5, 0.5], strange=1.0)
    same = baseline_of(strange, keys={"accuracy": {"strange": 1.0}})
    assert unmeasured(strange, same) == []


# Calibrating


def test_the_loosest_bound_of_variants_has_the_figures_that_it_follows_from() -> None:
    tight = Proposal("a", {"at_least": 0.6}, 0.7, 0.01)
    loose = Proposal("a", {"at_least": 0.4}, 0.5, 0.02)
    assert loosest([tight, loose]) == loosest([loose, tight]) == loose
    both = [
        Proposal("a", {"at_least": 0.6, "at_most": 0.9}, 0.7, 0.01),
        Proposal("a", {"at_least": 0.4, "at_most": 0.8}, 0.5, 0.02),
    ]
    mixed = loosest(both)
    assert (mixed.bounds, mixed.mean) == ({"at_least": 0.4, "at_most": 0.9}, 0.7)


# Differences


@pytest.mark.parametrize(
    ("now", "low", "high", "beyond"),
    [
        (1.0, None, None, False),
        (2.0, None, None, True),
        (0.0, None, None, True),
        (1.5, 0.0, 1.0, False),
        (0.5, -1.0, 0.0, False),
        (1.5, 0.1, 0.9, True),
        (0.5, -0.9, -0.1, True),
        (1.0, -0.5, 0.5, False),
    ],
)
def test_a_difference_is_beyond_noise_where_its_interval_leaves_out_zero(
    now: float, low: Optional[float], high: Optional[float], beyond: bool
) -> None:
    pairs = 1 if low is None else 3
    assert Difference(1.0, now, pairs, 0.1, "undecided", low, high).is_beyond_noise is beyond


LEVEL = 0.25


@pytest.mark.parametrize(
    ("difference", "low", "high", "p_lower", "sign", "change"),
    [
        (0.0, -0.125, 0.125, 0.5, 1, "same"),
        (0.0, -0.126, 0.125, 0.5, 1, "undecided"),
        (0.0, -0.125, 0.126, 0.5, 1, "undecided"),
        (-0.5, -0.6, -0.4, 0.01, 1, "worse"),
        (-0.5, -0.6, -0.4, 0.01, -1, "better"),
        (-0.5, -0.6, -0.4, 0.01, 0, "differs"),
        (0.5, 0.4, 0.6, 0.99, 1, "better"),
        (0.5, 0.4, 0.6, 0.99, -1, "worse"),
        (0.5, 0.4, 0.6, 0.99, 0, "differs"),
        (-0.125, -0.2, -0.05, 0.01, 1, "undecided"),  # as large as the margin
        (0.125, 0.05, 0.2, 0.99, 1, "undecided"),
        (0.05, 0.01, 0.2, 0.99, 1, "undecided"),
        (-0.5, -1.0, 0.1, LEVEL, 1, "undecided"),  # as likely as the level
        (0.5, -0.1, 1.0, 1 - LEVEL, 1, "undecided"),
        (0.5, -1.0, 2.0, 0.5, 0, "undecided"),
    ],
)
def test_a_difference_is_judged_by_margin_level_and_direction(
    difference: float, low: float, high: float, p_lower: float, sign: int, change: str
) -> None:
    test = Comparison(difference, low, high, p_lower, 1 - p_lower, 3, 0.1)
    one, two = [0.0] * 4, [difference] * 4
    found = _judged(one, two, 4, test, sign, 0.125, LEVEL)
    assert (found.change, found.difference) == (change, pytest.approx(difference))
    more = pairs_to_decide(difference, 0.2, 4, 0.125, LEVEL) if change == "undecided" else None
    assert found.more_seeds == more
    assert _judged(one, two, 0, test, sign, 0.125, LEVEL).more_seeds is None


@pytest.mark.parametrize(
    ("size", "change"),
    [(12.8, "better"), (12.6, "undecided"), (-12.6, "undecided"), (-12.8, "worse")],
)
def test_of_what_did_not_change_one_in_forty_is_called_worse(size: float, change: str) -> None:
    """The standard error is 1; Student's t of one degree of freedom is above 12.71 in 2.5 %."""
    found = compare({0: 0.0, 1: 0.0}, {0: size - 1, 1: size + 1}, sign=1, margin=0.01)
    assert (found.change, found.is_beyond_noise) == (change, change != "undecided")


def test_what_has_no_better_direction_is_never_better() -> None:
    """Its chance, two-sided, is almost 1 where the difference is small beside the noise."""
    found = compare({0: 0.0, 1: 0.0}, {0: 10.0, 1: -9.8}, sign=0, margin=0.01)
    assert found.chance == pytest.approx(1, abs=LEVEL / 10)
    assert (abs(found.difference) > 0.01, found.change) == (True, "undecided")


def test_a_single_pair_among_others_says_less_than_all_seeds() -> None:
    first, second = {0: 0.5, 1: 0.51, 2: 0.5}, {2: 0.9, 3: 0.91, 4: 0.9}
    found = compare(first, second, sign=1, margin=0.01)
    assert (found.pairs, found.change) == (0, "better")
    of_two = compare({1: 0.5, 2: 0.51}, {2: 0.9, 3: 0.91}, sign=1, margin=0.01)
    assert (of_two.pairs, of_two.change) == (0, "better")
    alone = compare({2: 0.5}, second, sign=1, margin=0.01)
    assert (alone.pairs, alone.change, alone.now) == (1, "undecided", 0.9)


WELL = [0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.25]  # of the width 1


@pytest.mark.parametrize(
    ("others", "least", "collapsed"),
    [
        ([3.5], 0.1, 0),
        ([4.0], 0.1, 0),  # as far away as is still usual
        ([4.5], 0.1, 1),
        ([4.5], 2.0, 0),  # which is less than three times what matters
        ([14.5] * 5, 0.1, 5),
        ([14.5] * 6, 0.1, 6),
        ([14.5] * 7, 0.1, 0),  # half of all
    ],
)
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_what_has_collapsed_is_far_from_the_others_and_less_than_half(
    others: list[float], least: float, collapsed: int, shift: float
) -> None:
    assert _collapsed(sorted(shift + v for v in (*WELL, *others)), least) == collapsed


def test_small_losses_collapse_in_their_own_measure() -> None:
    losses = [0.10, 0.101, 0.102, 0.103, 0.104, 0.105, 0.106, 0.5]
    assert propose("loss", ["at_most"], losses, 5, 0.01).collapsed == 1


@pytest.mark.parametrize("level", [0.1, 0.05, 0.01])
def test_room_for_collapses_is_for_all_but_half_of_the_level(level: float) -> None:
    well, seeds = [1.0, 1.1, 1.2, 1.1, 1.0, 1.2, 1.1, 1.0], 20
    values = [*sorted(well), 8.0, 9.0]
    room = next(n for n in range(seeds + 1) if stats.betabinom.sf(n, seeds, 3, 9) <= level / 2)
    of_well = _worst_mean(sorted(well), -math.inf, 0, seeds - room, level / 2)
    shift = of_well - sum(well) / 8
    mixed = ((seeds - room) * of_well + room * (9.0 + shift)) / seeds
    normal = _worst_mean(values, -math.inf, 0, seeds, level)
    found = _worst_mean(values, -math.inf, 2, seeds, level)
    assert found == pytest.approx(max(mixed, normal))


def test_both_bounds_share_the_false_alarms() -> None:
    figures = [2.0, 2.5, 3.0, 2.2, 2.8]
    both = propose("custom", ["between"], figures, 3, 0.02).bounds["between"]
    each = [propose("custom", [k], figures, 3, 0.01).bounds[k] for k in ("at_least", "at_most")]
    assert both == each
    assert (
        list(propose("custom", ["at_least", "at_most"], figures, 3, 0.02).bounds.values()) == each
    )


def test_one_figure_is_enough_where_half_the_alarms_may_be_false() -> None:
    assert figures_to_see_collapses(1, 0.5) == 1
    assert figures_to_see_collapses(1, 0.25) == 1
    assert figures_to_see_collapses(1, 0.2) == 2


@pytest.mark.parametrize(
    ("scale", "value", "side", "rounded"),
    [
        ("number", 0.0, 1, 0.0),
        ("number", 15551.0, -1, 15500.0),
        ("number", 15551.0, 1, 15600.0),
        ("number", -155.1, -1, -156.0),
        ("number", -155.1, 1, -155.0),
        ("number", 1.0, 1, 1.0),
        ("share", 0.961, -1, 0.96),
        ("share", 0.961, 1, 0.965),
        ("share", 0.96 + 1.5e-9, 1, 0.96),  # is rounding of floats
        ("share", 0.96 + 1.5e-8, 1, 0.965),  # is not
        ("number", 0.96 + 1e-10, 1, 0.96),
        ("share", 1.2, 1, 1.0),
        ("share", -0.3, -1, 0.0),
        ("not negative", -0.3, -1, 0.0),
        ("count", 2.1, 1, 3.0),
    ],
)
def test_thresholds_are_rounded_to_the_generous_side(
    scale: ScaleName, value: float, side: int, rounded: float
) -> None:
    assert _rounded(SCALES[scale], value, side) == rounded


@pytest.mark.parametrize(
    ("margin", "text", "of_two"),
    [
        (Margin(absolute=0.01), "0.01", 0.01),
        (Margin(relative=0.05), "5 %", 0.1),
        (Margin(0.01, 0.05), "0.01 or 5 %", 0.1),
        (Margin(0.5, 0.05), "0.5 or 5 %", 0.5),
        (Margin(), "one step", 0.0),
    ],
)
def test_a_margin_is_absolute_or_a_share_of_what_was(
    margin: Margin, text: str, of_two: float
) -> None:
    assert str(margin) == text
    assert margin.of(2.0) == margin.of(-2.0) == pytest.approx(of_two)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"relative": 2}, "relative: got 2; must be 0 to 1, such as 0.02 for 2 %"),
        ({"relative": -0.02}, "relative: got -0.02; must be 0 to 1, such as 0.02 for 2 %"),
        ({"relative": math.nan}, "relative: got nan; must be 0 to 1, such as 0.02 for 2 %"),
        ({"absolute": -0.01}, "absolute: got -0.01; must be finite, 0 or more"),
        ({"absolute": math.inf}, "absolute: got inf; must be finite, 0 or more"),
        ({"absolute": math.nan}, "absolute: got nan; must be finite, 0 or more"),
    ],
)
def test_a_margin_beyond_which_nothing_is_worse_is_refused(
    keys: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^margin: {re.escape(message)}$"):
        Margin(**keys)


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_a_metric_without_any_share_of_the_false_alarms_is_refused(weight: float) -> None:
    """It would never be worse than a baseline."""
    with pytest.raises(TypeError, match=r"^metric 'new': trait weight: got "):
        metrics("new", weight=weight)


@pytest.mark.parametrize("name", ["loss", "validation_loss"])
@pytest.mark.parametrize(
    ("factor", "change"), [(1.019, "same"), (1.021, "worse"), (0.979, "better")]
)
def test_a_loss_matters_by_two_per_cent(name: str, factor: float, change: str) -> None:
    losses = [0.4, 0.41, 0.39, 0.4]
    before, now = (
        example_result(accuracies=[0.5] * 4, rounds=1).model_copy(
            update={"histories": tuple(of_loss(seed, f * n) for seed, n in enumerate(losses))}
        )
        for f in (1.0, factor)
    )
    compared = expected_measure(name).compare(before, now)
    assert compared is not None
    assert compared.change == change


@pytest.mark.parametrize(
    ("errors", "confidence", "change"),
    [
        (12.8, 0.95, "worse"),  # Student's t of one degree of freedom is above 12.71 in 2.5 %
        (12.6, 0.95, "undecided"),
        (6.4, 0.90, "worse"),  # and above 6.31 in 5 %
        (6.2, 0.90, "undecided"),
        (-6.4, 0.90, "better"),
        (-6.2, 0.90, "undecided"),
    ],
)
def test_a_comparison_is_as_certain_as_asked_for(
    errors: float, confidence: float, change: str
) -> None:
    """The chance to call an unchanged run worse is half of what the confidence leaves."""
    before, now = (
        example_result(accuracies=[0.5] * 2, rounds=1).model_copy(
            update={"histories": tuple(of_loss(seed, loss) for seed, loss in enumerate(losses))}
        )
        for losses in ((1.0, 1.0), (1.0 + 0.01 * (errors - 1), 1.0 + 0.01 * (errors + 1)))
    )
    compared = expected_measure("loss").compare(before, now, confidence)
    assert compared is not None
    assert compared.change == change


def test_a_metric_that_is_not_loaded_has_no_values_and_no_keys() -> None:
    gone, result = Measure("gone"), example_result()
    assert (gone.keys(result), gone.values(result), gone.by_seed(result)) == ({}, [None] * 2, [])


def of_loss(seed: int, loss: float) -> TrainingHistory:
    """Returns a training of one round with this loss on both sets."""
    (one,) = example_result(accuracies=[0.5], rounds=1).histories
    rounds = tuple(r.model_copy(update={"loss": loss, "validation_loss": loss}) for r in one.rounds)
    return one.model_copy(update={"seed": seed, "rounds": rounds})


def test_the_width_of_a_scale_is_from_end_to_end() -> None:
    assert (SCALES["share"].width, SCALES["difference"].width) == (1.0, 2.0)
    assert SCALES["number"].width == math.inf


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("place", range(4))
def test_a_pair_with_a_figure_that_is_not_finite_is_refused(wrong: float, place: int) -> None:
    figures = [0.5, 0.6, 0.7, 0.8]
    figures[place] = wrong
    one, two = dict(enumerate(figures[:2])), dict(enumerate(figures[2:]))
    with pytest.raises(ValueError, match="finite"):
        compare(one, two, sign=1, margin=0.01)


@pytest.mark.parametrize(("one", "two"), [(math.nan, 0.5), (0.5, math.inf)])
def test_a_single_pair_has_to_be_finite_too(one: float, two: float) -> None:
    with pytest.raises(ValueError, match=r"^figures must be finite$"):
        compare({0: one}, {0: two}, sign=1, margin=0.01)


def test_pairs_that_are_equal_are_the_same_for_certain() -> None:
    same = compare({0: 0.5, 1: 0.7}, {0: 0.5, 1: 0.7}, sign=1, margin=0.01)
    assert same == Difference(0.6, 0.6, 2, 0.01, "same", 0.0, 0.0, 1.0)
