"""What must fail fails: faults in judging that all other tests once let through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional

import pytest
from example_results import example_result, expect, history
from pytest_federated.core.errors import DataError
from pytest_federated.expectations.baselines import baseline_of
from pytest_federated.expectations.ending_early import certain
from pytest_federated.expectations.judging import POLICIES, Policy, judge
from pytest_federated.expectations.regression import compare_with_baseline
from pytest_federated.metrics.gaps import gap_to_centralized
from pytest_federated.metrics.metric import NoValue
from pytest_federated.results.record import Result, Verdict
from pytest_federated.training.history import TrainingHistory


def verdict(
    name: str, trainings: Sequence[TrainingHistory], policy: Policy = "mean", **bounds: float
) -> Verdict:
    (found,) = judge(expect(**{name: bounds}), trainings, policy)
    return found


def result(
    accuracies: Sequence[float], losses: Optional[Sequence[float]] = None, examples: int = 400
) -> Result:
    losses = losses or [0.3] * len(accuracies)
    trainings = tuple(
        history([accuracy], [loss], seed=seed, test_examples=examples)
        for seed, (accuracy, loss) in enumerate(zip(accuracies, losses))
    )
    return example_result(accuracies=accuracies).model_copy(update={"histories": trainings})


def worse(before: Result, now: Result) -> list[str]:
    """The metrics that are worse than in a baseline made of `before`."""
    compared = compare_with_baseline(now, baseline_of(before))
    return [one.metric for one in compared if not one.passed]


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_passes_a_clear_failure(policy: Policy) -> None:
    trainings = [history([a]) for a in (0.1, 0.11)]
    found = verdict("accuracy", trainings, policy, at_least=0.2)
    assert (found.outcome, found.passed) == ("fail", False)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_figure_of_one_seed_that_is_not_finite_fails(
    policy: Policy, place: int, wrong: float
) -> None:
    losses = [0.1, 0.1, 0.1]
    losses[place] = wrong
    found = verdict("loss", [history([0.9], [n]) for n in losses], policy, at_most=1.0)
    assert (found.passed, found.note, found.measured) == (False, "not finite", None)


GOOD = (0.90, 0.91, 0.92, 0.91, 0.90)


@pytest.mark.parametrize(
    ("accuracies", "losses", "expected"),
    [
        ([a - 0.2 for a in GOOD], [0.30, 0.31, 0.32, 0.31, 0.30], ["accuracy", "accuracy_area"]),
        (GOOD, [0.60, 0.61, 0.62, 0.61, 0.60], ["loss"]),
        (GOOD, [0.30, 0.31, 0.32, 0.31, 0.30], []),
    ],
)
def test_one_metric_that_is_worse_is_enough(
    accuracies: Sequence[float], losses: Sequence[float], expected: list[str]
) -> None:
    assert worse(result(GOOD, [0.30, 0.31, 0.32, 0.31, 0.30]), result(accuracies, losses)) == (
        expected
    )


@pytest.mark.parametrize(("wrong", "expected"), [(1, []), (40, ["accuracy", "accuracy_area"])])
def test_seeds_that_agree_are_no_more_certain_than_a_test_example(
    wrong: int, expected: list[str]
) -> None:
    before, now = result([0.9] * 3), result([0.9 - wrong / 400] * 3)
    assert worse(before, now) == expected


@pytest.mark.parametrize(("before", "now"), [(400, 100), (100, 400), (100, 100)])
def test_the_smaller_test_set_says_what_one_seed_may_differ_by(before: int, now: int) -> None:
    """Three standard errors of 0.9 on 100 examples are 0.09, on 400 examples 0.045."""
    assert worse(result([0.9], examples=before), result([0.83], examples=now)) == []
    assert worse(result([0.9], examples=before), result([0.8], examples=now)) == [
        *("accuracy", "accuracy_area")
    ]


def test_on_larger_test_sets_one_seed_may_differ_by_less() -> None:
    assert worse(result([0.9]), result([0.83])) == ["accuracy", "accuracy_area"]


def test_a_reference_that_diverged_is_no_reference() -> None:
    with pytest.raises(NoValue, match="the training to compare with diverged"):
        gap_to_centralized(history([0.9]), history([0.9], diverged="diverged in round 1"))
    with pytest.raises(NoValue, match="the training to compare with diverged"):
        gap_to_centralized(history([0.9]), history([None]))
    assert gap_to_centralized(history([0.5, 0.7]), history([0.1, 0.9])) == pytest.approx(0.2)


def idle(dropped: int = 0, held: int = 0) -> TrainingHistory:
    """A training in which nobody trained: `dropped` of two dropped out, the others hold nothing."""
    plain = history([0.9, 0.9])
    update = {"clients": 2 - dropped, "dropped": dropped, "held_examples": held}
    rounds = tuple(done.model_copy(update=update) for done in plain.rounds)
    return plain.model_copy(update={"rounds": rounds})


@pytest.mark.parametrize(
    ("training", "why"),
    [
        (idle(dropped=2), "all 4 that were drawn dropped out"),
        (idle(), "the cohorts hold no examples"),
        (
            idle().model_copy(
                update={"rounds": tuple(r.model_copy(update={"clients": 0}) for r in idle().rounds)}
            ),
            "no client was available in any of them",
        ),
    ],
)
def test_a_model_that_nobody_trained_is_not_judged(training: TrainingHistory, why: str) -> None:
    """Whatever is expected, also nothing; at the end, or early."""
    needed = f"no client trained in the 2 round.* of seed 0.*{why}"
    for expected in (expect(accuracy={"at_least": 0.1}), {}):
        with pytest.raises(DataError, match=needed):
            judge(expected, [history([0.9]), training])
        with pytest.raises(DataError, match=needed):
            certain(expected, [training], (), 3)


def test_one_round_with_clients_is_a_training() -> None:
    training = idle(dropped=1, held=9)
    (found,) = judge(expect(accuracy={"at_least": 0.1}), [training])
    assert found.passed
