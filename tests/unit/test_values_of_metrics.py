"""Values of metrics on hand-made trainings: ordinary ones, edge cases, and steps."""

from __future__ import annotations

import math
from typing import Any, Optional

import pytest
from example_results import example_result, history
from pydantic import TypeAdapter, ValidationError
from pytest_federated.metrics.coverage import measured_clients
from pytest_federated.metrics.measure import (
    Measure,
    coarsest,
    columns,
    expected_measure,
    headline,
    keys_in,
    known_names,
)
from pytest_federated.metrics.metric import Metric, NoValue, metrics, spec_of
from pytest_federated.metrics.resolution import (
    Step,
    bytes_of,
    constant,
    examples_by_client,
    rounds_between_evaluations,
    test_examples_of,
)
from pytest_federated.metrics.scales import SCALES, Margin, ScaleName
from pytest_federated.metrics.statistics import (
    Comparison,
    deviation_of,
    mean_of,
    paired,
    seeds_to_decide,
    summarize,
    welch,
)
from pytest_federated.results.record import Result, Verdict
from pytest_federated.training.history import TrainingHistory

test_examples_of.__test__ = False  # type: ignore[attr-defined]  # not a test, despite its name


def value(name: str, training: TrainingHistory, **keys: Any) -> float:
    return metrics[name].function(training, **keys)


def so_far(name: str, curve: list[Optional[float]], **keys: Any) -> tuple[float, float]:
    possible = spec_of(name).so_far
    assert possible
    return possible(history(curve).rounds, **keys)


# Values


def test_accuracies_come_from_evaluated_rounds() -> None:
    one = history([0.2, None, 0.9, 0.5, None])
    assert value("accuracy", one) == 0.5
    assert value("best_accuracy", one) == 0.9
    assert value("accuracy_drop", one) == pytest.approx(0.4)
    assert value("accuracy_drop", history([0.3, 0.2, 0.6, 0.1])) == pytest.approx(0.5)
    assert value("accuracy_drop", history([0.3, 0.4])) == 0.0
    assert value("accuracy_area", history([None, 0.3])) == 0.3
    # Trapezoids over rounds 2 to 5: one of 1 round, one of 2 rounds.
    area = (0.2 + 0.4) / 2 * 1 + (0.4 + 0.8) / 2 * 2
    curve: list[Optional[float]] = [None, 0.2, 0.4, None, 0.8]
    assert value("accuracy_area", history(curve)) == pytest.approx(area / 3)


@pytest.mark.parametrize("name", ["accuracy", "best_accuracy", "accuracy_area", "loss"])
def test_a_training_without_evaluations_has_no_value(name: str) -> None:
    with pytest.raises(NoValue, match="not evaluated"):
        value(name, history([None, None]))


def test_bounds_are_certain_after_some_rounds() -> None:
    assert so_far("best_accuracy", []) == (0.0, 1.0)
    assert so_far("best_accuracy", [0.4, None, 0.7, 0.6]) == (0.7, 1.0)
    assert so_far("accuracy_drop", []) == (0.0, 1.0)
    assert so_far("accuracy_drop", [None]) == (0.0, 1.0)
    assert so_far("accuracy_drop", [0.7, None, 0.4]) == (pytest.approx(0.3), 1.0)
    assert so_far("rounds_to_accuracy", [], target=0.5) == (1, math.inf)
    assert so_far("rounds_to_accuracy", [0.4, None, 0.49], target=0.5) == (4, math.inf)
    assert so_far("rounds_to_accuracy", [0.4, None, 0.5, 0.9], target=0.5) == (3, 3)


def test_a_target_is_reached_by_an_equal_value() -> None:
    one = history([0.4, 0.5, 0.6], bytes_up=10, bytes_down=1)
    assert value("rounds_to_accuracy", one, target=0.5) == 2
    assert value("bytes_to_accuracy", one, target=0.5) == 22
    assert value("bytes_to_accuracy", one, target=0.4, direction="up") == 10
    assert value("rounds_to_accuracy", history([0.0]), target=0.0) == 1
    assert value("rounds_to_accuracy", history([0.0, 0.5]), target=0.5) == 2
    with pytest.raises(NoValue, match="not reached"):
        value("rounds_to_accuracy", one, target=0.61)
    with pytest.raises(NoValue, match="bytes not measured"):
        value("bytes_to_accuracy", history([0.5]), target=0.5)


def with_bytes(*up: Optional[int], down: Optional[int] = 7) -> TrainingHistory:
    one = history([0.5] * len(up))
    rounds = [
        done.model_copy(update={"bytes_up": sent, "bytes_down": down})
        for done, sent in zip(one.rounds, up)
    ]
    return one.model_copy(update={"rounds": tuple(rounds)})


def test_megabytes_sum_up_the_known_bytes() -> None:
    one = with_bytes(3_000_000, None, 1_000_000, 0, down=None)
    assert value("megabytes_up", one) == 4.0
    assert spec_of("megabytes_up").steps.step(one, {}) == Step(1.0)  # 0 bytes are no step
    for name in ("megabytes_down", "megabytes_up"):
        with pytest.raises(NoValue, match="bytes not measured"):
            value(name, with_bytes(None, down=None))
        assert spec_of(name).steps.step(with_bytes(None, down=None), {}) == Step(0.0)


def test_the_bytes_of_a_round_depend_on_the_direction() -> None:
    (done,) = with_bytes(5).rounds
    assert [bytes_of(done, direction) for direction in ("up", "down", "both")] == [5, 7, 12]
    (partly,) = with_bytes(None).rounds
    assert [bytes_of(partly, direction) for direction in ("up", "down", "both")] == [None, 7, None]


def test_dropped_clients_are_counted_over_all_rounds() -> None:
    one = history([0.5, 0.6])
    rounds = [done.model_copy(update={"dropped": n}) for n, done in enumerate(one.rounds, 1)]
    assert value("dropped_clients", one.model_copy(update={"rounds": tuple(rounds)})) == 3


def test_the_first_round_is_not_timed() -> None:
    one = history([0.5]).model_copy(update={"seconds": (9.0, 1.0, 3.0)})
    assert value("seconds_per_round", one) == 2.0
    timed = history([0.5]).model_copy(update={"seconds": (9.0, 1.0)})
    assert value("seconds_per_round", timed) == 1.0
    with pytest.raises(NoValue, match="not timed"):
        value("seconds_per_round", history([0.5]).model_copy(update={"seconds": (9.0,)}))


def test_epsilon_holds_only_for_its_delta_or_a_larger_one() -> None:
    one = history([0.5], epsilon=2.0, delta=1e-5)
    assert value("epsilon", one) == value("epsilon", one, delta=1e-5) == 2.0
    for training in (one, history([0.5], epsilon=2.0)):
        with pytest.raises(NoValue, match=r"delta is .*, more than 1e-06,"):
            value("epsilon", training, delta=1e-6)
    with pytest.raises(NoValue, match="no differential privacy"):
        value("epsilon", history([0.5]))


def test_gaps_are_differences_of_final_accuracies() -> None:
    one, other = history([0.1, 0.6]), history([0.9, 0.8])
    assert metrics["gap_to_centralized"].function(one, other) == pytest.approx(0.2)
    assert metrics["gap"].function(one, other, relative_to="[a=1]") == pytest.approx(0.2)
    assert metrics["gain_over_local"].function(one, other) == pytest.approx(-0.2)
    assert metrics["gap_to_centralized"].function(history([0.0]), history([0.0])) == 0.0
    assert metrics["gain_over_local"].function(history([0.4]), history([0.0])) == 0.4


# Clients


def of(*counts: int, clients: int) -> str:
    trainings = [history([0.5], client_examples=(5,) * clients)] * len(counts)
    return measured_clients(trainings, [(0.5,) * count for count in counts])


def test_the_number_of_measured_clients_is_shown() -> None:
    assert of(812, clients=3400) == "812 of 3,400 clients"
    assert of(840, 812, 830, clients=3400) == "812 to 840 of 3,400 clients"
    assert of(1, clients=2) == "1 of 2 clients"
    assert of(0, 1, clients=2) == "1 of 2 clients"
    assert of(2, 1, clients=2) == "1 to 2 of 2 clients"
    assert of(2, clients=2) == of(0, clients=2) == of(clients=0) == ""
    some = [history([0.5], client_examples=(5,) * n) for n in (3, 4)]
    assert measured_clients(some, [(0.5,), (0.5,)]) == "1 of 4 clients"


def test_the_examples_of_clients_are_known_only_if_accuracies_fit() -> None:
    one = history([0.5], client_examples=(20, 4), client_accuracy=(0.55, 0.25))
    assert examples_by_client(one) == [20, 4]
    assert examples_by_client(history([0.5], client_examples=())) is None
    assert examples_by_client(history([0.5], client_examples=(4, 4))) is None
    held_out = one.model_copy(update={"client_accuracy": (0.55, 0.3)})
    assert examples_by_client(held_out) is None
    some = history(
        [0.5], client_examples=(3, 20, 4), measured_clients=(2, 1), client_accuracy=(0.25, 0.55)
    )
    assert examples_by_client(some) == [4, 20]
    below = one.model_copy(update={"client_accuracy": (0.55, 0.2)})
    assert examples_by_client(below) is None
    # Shares have six digits: 1/3 is 0.333333.
    assert examples_by_client(history([0.5], client_examples=(3,), client_accuracy=(1 / 3,))) == [3]


def test_the_test_examples_of_a_label_are_estimated_from_clients() -> None:
    counts = {"client_examples": (10, 10), "label_counts": ((5, 5, 0), (10, 0, 0))}
    one = history([0.5], test_examples=40, class_recall=(0.9, 0.8, None), **counts)
    assert [test_examples_of(one, label) for label in range(4)] == [30, 10, 20, 20]
    unknown = one.model_copy(update={"client_examples": (10, 11)})
    assert [test_examples_of(unknown, label) for label in range(2)] == [20, 20]
    counts = {"client_examples": (1,), "label_counts": ((1, 0),)}
    single = history([0.5], test_examples=40, class_recall=(0.9, 0.8), **counts)
    assert test_examples_of(single, 0) == 40
    few = one.model_copy(update={"test_examples": 1})
    assert test_examples_of(few, 1) == 1
    assert test_examples_of(history([0.5], client_examples=(), test_examples=6), 0) == 6


def test_the_largest_gap_between_evaluations_counts() -> None:
    assert rounds_between_evaluations(history([None, 0.5, None, None, 0.5, 0.5])) == 3
    assert rounds_between_evaluations(history([None, None, 0.5])) == 3
    assert rounds_between_evaluations(history([None])) == 1


# Measures


def test_a_measure_has_the_traits_of_its_metric() -> None:
    loss = Measure("loss")
    assert (loss.title, loss.sign, loss.spec.default_bound) == ("loss", -1, "at_most")
    assert (Measure("accuracy").sign, spec_of("accuracy").default_bound) == (1, "at_least")
    assert (Measure("dropped_clients").sign, Measure("unknown").title) == (0, "unknown")
    assert spec_of("unknown") == Metric()
    assert headline().name == "accuracy"
    places = [measure.spec.column for measure in columns()]
    assert places == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


def test_a_measure_that_needs_more_than_a_training_is_none() -> None:
    one = history([0.5, 0.6])
    assert Measure("unknown").of(one) is None
    assert Measure("gap_to_centralized").of(one) is None
    assert Measure("rounds_to_accuracy").of(one) is None
    assert Measure("rounds_to_accuracy").of(one, {"target": 0.6, "at_most": 3}) == 2
    assert Measure("rounds_to_accuracy").of(one, {"target": 0.9}) is None
    assert Measure("accuracy").of(one, {"else": 1}) == 0.6


def test_a_training_that_ended_early_has_what_is_certain() -> None:
    whole, cut = history([0.5, 0.7]), history([0.5, 0.7], ended_early=True)
    assert Measure("best_accuracy").of(whole) == 0.7
    assert Measure("best_accuracy").of(cut) is None
    assert Measure("best_accuracy").of(history([0.5, 1.0], ended_early=True)) == 1.0
    assert Measure("rounds_to_accuracy").of(cut, {"target": 0.5}) == 1
    assert Measure("rounds_to_accuracy").of(cut, {"target": 0.9}) is None
    assert Measure("accuracy").of(cut) is None


def test_results_of_predicted_numbers_are_led_by_their_first_column() -> None:
    def numbers(**scores: float) -> Result:
        (one,) = example_result(accuracies=(0.5,)).histories
        rounds = [r.model_copy(update={"accuracy": None, "scores": scores}) for r in one.rounds]
        update = {"rounds": tuple(rounds), "task": "regression"}
        return example_result(accuracies=(0.5,), histories=(one.model_copy(update=update),))

    of_numbers = numbers(mse=0.1, mae=0.2, r2=0.3)
    assert headline([of_numbers]).name == "r2"
    assert headline([numbers(mse=0.1, mae=0.2)]).name == "mae"
    assert headline([of_numbers, example_result()]).name == "accuracy"
    assert headline([numbers()]).name == "accuracy"


def test_keys_come_from_the_expectation_without_its_bounds() -> None:
    one = example_result()
    expect = {"rounds_to_accuracy": {"target": 0.4, "at_most": 9, "between": None}}
    settings = {**one.settings, "expect": expect}
    one = one.model_copy(update={"settings": settings})
    assert keys_in(one, "rounds_to_accuracy") == {"target": 0.4}
    assert keys_in(one, "loss") == {}
    assert keys_in(one.model_copy(update={"settings": {}}), "loss") == {}
    assert Measure("rounds_to_accuracy").keys(one) == {"target": 0.4}
    assert Measure("client_accuracy").keys(one) == {}


def judged(figures: tuple[float, ...], name: str = "accuracy") -> Any:
    verdict = Verdict(expectation=name, expected="", passed=True, figures=figures)
    return example_result(accuracies=(0.5, 0.6)).model_copy(update={"verdicts": (verdict,)})


def test_judged_figures_count_if_all_seeds_were_judged() -> None:
    measure = expected_measure("accuracy")
    assert measure.of_seeds(judged((0.1, 0.2))) == {0: 0.1, 1: 0.2}
    assert measure.of_seeds(judged((0.1,))) == {0: 0.5, 1: 0.6}
    assert measure.by_seed(judged((0.1, 0.2), "loss")) == [0.5, 0.6]
    assert Measure("accuracy").by_seed(judged((0.1, 0.2))) == [0.5, 0.6]
    assert known_names([judged((0.1, 0.2), "mine")])[-1] == "mine"
    assert known_names() == known_names([judged((0.1, 0.2))]) == metrics.names()


def test_results_are_compared_if_both_have_finite_figures() -> None:
    measure = Measure("accuracy")
    one, two = example_result(accuracies=(0.5, 0.6)), example_result(accuracies=(0.7, 0.9))
    found = measure.compare(one, two)
    assert found and found.difference == pytest.approx(0.25)
    of_one_seed = measure.compare(one, example_result(accuracies=(0.7,)))
    assert of_one_seed and (of_one_seed.pairs, of_one_seed.change) == (1, "undecided")
    assert measure.compare(one, example_result(accuracies=(0.7, math.nan))) is None
    assert measure.compare(example_result(accuracies=(0.7, math.nan)), two) is None
    even = [example_result(accuracies=(a, a)) for a in (0.5, 0.6)]
    found = measure.compare(even[0], even[1])
    # No more certain than one test example of 1,000.
    assert found and found.low is not None and found.high is not None and found.high > found.low
    found = measure.compare(even[0], even[0])
    assert found and found.low == found.high == 0  # but equal is equal


def test_the_coarsest_step_of_several_trainings_counts() -> None:
    trainings = [history([0.5], test_examples=n) for n in (100, 10, 50)]
    assert coarsest(spec_of("accuracy"), trainings) == Step(0.1, 10)
    assert coarsest(spec_of("accuracy"), []) == Step(0.0, None)
    assert coarsest(spec_of("accuracy"), [history([0.5], test_examples=0)]) == Step(0.0, None)
    assert coarsest(spec_of("dropped_clients"), trainings) == Step(1, None)


# Scales and statistics


def test_the_standard_error_of_a_share_is_binomial() -> None:
    share, difference = (SCALES[name].standard_error for name in ("share", "difference"))
    assert share and difference
    assert share(0.5, 100) == pytest.approx(0.05)
    assert share(0.9, 100) == pytest.approx(0.03)
    for none_or_all in (0.0, 1.0):  # as if one example were the other way
        assert share(none_or_all, 100) == pytest.approx(math.sqrt(0.01 * 0.99 / 100))
    assert difference(0.3, 200) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("name", "allowed", "refused", "low", "high"),
    [
        ("share", [0, 1], [-0.001, 1.001], 0, 1),
        ("difference", [-1, 1], [-1.001, 1.001], -1, 1),
        ("count", [0, 1], [-1, 0.5], 0, math.inf),
        ("positive count", [1], [0, 1.5], 1, math.inf),
        ("positive", [1e-9, 1e9], [0, math.inf], 1e-6, math.inf),
        ("not negative", [0, 1e9], [-1e-9, math.inf], 0, math.inf),
        ("loss", [-1e9, 0, 1e9], [math.inf, math.nan], 0, math.inf),
        ("number", [-1e9, 1e9], [math.inf, math.nan], -math.inf, math.inf),
    ],
)
def test_a_scale_limits_its_thresholds(
    name: ScaleName, allowed: list[float], refused: list[float], low: float, high: float
) -> None:
    scale = SCALES[name]
    threshold: TypeAdapter[float] = TypeAdapter(scale.threshold)
    assert [threshold.validate_python(value) for value in allowed] == allowed
    for value in refused:
        with pytest.raises(ValidationError):
            threshold.validate_python(value)
    assert (scale.low, scale.high) == (low, high)


def test_a_step_is_shown_in_words() -> None:
    assert [constant(size).text for size in (1, 2, 0.5)] == ["one", "2", "0.5"]


def test_the_step_of_the_worst_tenth_depends_on_its_clients() -> None:
    """A tenth of ten clients is one, of eleven two: then one example counts half."""
    step = spec_of("worst_tenth_accuracy").steps.step
    sizes = (4, 8, *[2] * 9)
    accuracies = (0.25, 0.125, *[1.0] * 9)
    eleven = history([0.5], client_examples=sizes, client_accuracy=accuracies)
    assert step(eleven, {}) == Step(1 / 16, 12)
    ten = history([0.5], client_examples=sizes[:10], client_accuracy=accuracies[:10])
    assert step(ten, {}) == Step(1 / 8, 8)


def test_the_step_of_an_area_depends_on_its_rounds() -> None:
    step = spec_of("accuracy_area").steps.step
    assert step(history([0.5]), {}) == step(history([0.5, 0.6]), {}) == Step(0.1, 10)
    assert step(history([0.5, 0.6, 0.7]), {}) == Step(0.05, 10)
    assert spec_of("accuracy").steps.step(history([0.5], test_examples=1), {}) == Step(1.0, 1)


def test_personalized_accuracy_is_measured_after_fine_tuning() -> None:
    one = history([0.5], client_accuracy=(0.1, 0.2), personalized_accuracy=(0.5, 0.7))
    assert value("personalized_accuracy", one) == pytest.approx(0.6)
    assert value("client_accuracy", one) == pytest.approx(0.15)


def test_an_expected_measure_has_the_keys_of_its_expectation() -> None:
    one = example_result()
    settings = {**one.settings, "expect": {"client_accuracy": {"personalized": True}}}
    one = one.model_copy(update={"settings": settings})
    assert expected_measure("client_accuracy").keys(one) == {"personalized": True}
    assert Measure("client_accuracy").keys(one) == {}


def test_a_metric_without_direction_has_an_upper_bound() -> None:
    assert spec_of("dropped_clients").default_bound == "at_most"


def test_a_resolution_adds_the_variance_of_a_uniform_distribution() -> None:
    found = welch([0.5, 0.5], [0.6, 0.6], resolution=0.1)
    error = math.sqrt(2 * 0.1**2 / 12 / 2)
    half = found.high - found.difference
    assert half == pytest.approx(4.30265 * error, rel=1e-4)  # Student's t, two degrees of freedom


def test_only_shares_and_differences_are_bounded() -> None:
    assert {name for name, scale in SCALES.items() if scale.is_bounded} == {"share", "difference"}


def comparison(**changes: float) -> Comparison:
    fields = {"difference": 0.0, "low": -1.0, "high": 1.0, "p_lower": 0.5, "p_higher": 0.5}
    return Comparison(**{**fields, "degrees": 2.0, "error": 0.5, **changes})


def test_a_difference_is_beyond_noise_if_its_interval_excludes_zero() -> None:
    assert not comparison().is_beyond_noise
    assert not comparison(low=0.0).is_beyond_noise and not comparison(high=0.0).is_beyond_noise
    assert comparison(low=0.1).is_beyond_noise and comparison(high=-0.1).is_beyond_noise
    assert comparison(p_lower=0.01, p_higher=0.99).p == 0.02
    assert comparison(p_lower=0.9, p_higher=0.2).p == 0.4
    assert comparison(p_lower=0.6, p_higher=0.7).p == 1.0


def test_too_few_figures_have_no_mean_or_deviation() -> None:
    assert mean_of([]) is None and mean_of([1.0, 2.0]) == 1.5
    assert deviation_of([1.0]) is None and deviation_of([1.0, math.nan]) is None
    assert deviation_of([1.0, 2.0]) == pytest.approx(math.sqrt(0.5))


def test_the_number_of_seeds_that_decide_is_estimated() -> None:
    assert seeds_to_decide(summarize([0.5]), 0.4) is None
    assert seeds_to_decide(summarize([0.5, 0.5]), 0.5) == 0
    assert seeds_to_decide(summarize([0.4, 0.6]), 0.5) is None
    assert seeds_to_decide(summarize([0.49, 0.51]), 0.2) == 0
    # Student's t for 5 and 6 figures is 2.776 and 2.571 at 97.5 %, 2.132 and 2.015 at 95 %:
    # together 0.0310 and 0.0265 from the mean.
    assert seeds_to_decide(summarize([0.49, 0.51]), 0.47) == 4
    assert seeds_to_decide(summarize([0.49, 0.51]), 0.53) == 4


def test_both_samples_need_a_spread() -> None:
    for one, two in (([0.5], [0.5, 0.6]), ([0.5, 0.6], [0.5])):
        with pytest.raises(ValueError, match="a spread needs two figures"):
            welch(one, two)
    for one, two in (([0.5], [0.5]), ([0.5, 0.6], [0.5, 0.6, 0.7])):
        with pytest.raises(ValueError, match="pairs are needed"):
            paired(one, two)


def test_figures_without_spread_are_certain() -> None:
    for first, second, expected in (
        ([0.5, 0.5], [0.6, 0.6, 0.6], (0.1, 1.0, 0.0, 3.0)),
        ([0.6, 0.6], [0.5, 0.5, 0.5], (-0.1, 0.0, 1.0, 3.0)),
        ([0.5, 0.5], [0.5, 0.5, 0.5], (0.0, 1.0, 1.0, 3.0)),
    ):
        found = welch(first, second)
        shown = (found.difference, found.p_lower, found.p_higher, found.degrees)
        assert shown == pytest.approx(expected)
        assert found.low == found.high == found.difference


# Scales


@pytest.mark.parametrize(
    ("name", "margin", "ends", "grid"),
    [
        ("share", Margin(absolute=0.01), (0, 1), 0.005),
        ("difference", Margin(absolute=0.01), (-1, 1), 0.005),
        ("count", Margin(), (0, math.inf), 1),
        ("positive count", Margin(), (1, math.inf), 1),
        ("positive", Margin(relative=0.05), (1e-6, math.inf), None),
        ("not negative", Margin(relative=0.05), (0, math.inf), None),
        ("loss", Margin(relative=0.05), (0, math.inf), None),
        ("number", Margin(relative=0.05), (-math.inf, math.inf), None),
    ],
)
def test_what_the_values_of_a_metric_are(
    name: ScaleName, margin: Margin, ends: tuple[float, float], grid: Optional[float]
) -> None:
    scale = SCALES[name]
    assert (scale.margin, (scale.low, scale.high), scale.grid) == (margin, ends, grid)


@pytest.mark.parametrize(
    ("values", "low"), [((0.0, 1.0), 0.0), ((1.0, 2.0), 0.0), ((0.5, -0.1), -math.inf)]
)
def test_a_loss_ends_at_0_unless_one_is_negative(values: tuple[float, ...], low: float) -> None:
    assert SCALES["loss"].of(values).low == low
