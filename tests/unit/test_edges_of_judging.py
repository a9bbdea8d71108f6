"""What is judged where a figure lies exactly on an edge, or where one seed is unlike the others.

A fault of one comparison or one index of the judging shows here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Optional

import pytest
import pytest_federated
from example_results import example_result, history
from pydantic import BaseModel, ValidationError
from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import first_problem
from pytest_federated.expectations.baselines import LARGEST, Baseline, baseline_of, is_usable
from pytest_federated.expectations.bounds import Bounds, verdict_on
from pytest_federated.expectations.ending_early import _range_text, certain
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.judging import has_wall_time, judge
from pytest_federated.metrics.statistics import Summary, summarize
from pytest_federated.results.record import Verdict
from pytest_federated.training.history import TrainingHistory

NOISE = 1e-9  # what a mean may be off by rounding


def expect(**names: Any) -> Any:
    return {name: expectations[name].params.model_validate(keys) for name, keys in names.items()}


# Bounds


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
    own = Verdict(expectation="fair", expected="fair", passed=False, figures=(0.5, 0.6))

    @pytest_federated.expectation("fair")
    def fair(histories: Sequence[TrainingHistory], *, over: int = 1) -> Verdict:
        return own

    assert judge(expect(fair={}), [history([0.5])], confidence=confidence) == (own,)


def test_the_first_reason_is_named_with_the_number_of_seeds() -> None:
    """Clients are measured in one seed only, and in another there are none."""
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
    (found,) = certain(expected, finished, history(begun).rounds, 2) or ()
    assert (found.outcome, found.note, found.measured) == ("pass", note, None)


def test_a_target_that_a_finished_seed_missed_is_missed() -> None:
    expected = expect(rounds_to_accuracy={"target": 0.9, "at_most": 3})
    (found,) = certain(expected, [history([0.1, 0.2])], (), 2) or ()
    assert (found.passed, found.outcome, found.note) == (False, "fail", "not reached")


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-math.inf, 0.5, "0.5 or less"),
        (0.25, math.inf, "0.25 or more"),
        (0.25, 0.5, "0.25 to 0.5"),
    ],
)
def test_a_range_with_an_open_side_is_said_in_words(low: float, high: float, text: str) -> None:
    assert _range_text(low, high) == text
