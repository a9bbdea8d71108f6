"""Means over the last rounds: `over_last`."""

from __future__ import annotations

import statistics
from typing import Any, Optional

import pytest
from example_results import example_result, example_scenario, history, with_validation
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pytest_federated.expectations.judging import judge
from pytest_federated.expectations.regression import keys_of
from pytest_federated.metrics.metric import NoValue, metrics, spec_of
from pytest_federated.report.tables.seeds import seed_table
from pytest_federated.training.history import TrainingHistory

SHARES = st.lists(
    st.one_of(st.none(), st.integers(0, 100).map(lambda n: n / 100)), min_size=1, max_size=8
)


def value(name: str, training: TrainingHistory, **keys: Any) -> float:
    return metrics[name].function(training, **keys)


def test_it_is_the_mean_of_the_last_rounds() -> None:
    one = with_validation(history([0.1, 0.5, 0.7]), [0.2, 0.3, 0.5])
    assert value("accuracy", one, over_last=2) == pytest.approx(0.6)
    assert value("accuracy", one, over_last=1) == value("accuracy", one) == 0.7
    assert value("loss", one, over_last=2) == pytest.approx(0.4)
    assert value("validation_accuracy", one, over_last=2) == pytest.approx(0.4)
    assert value("validation_loss", one, over_last=3) == pytest.approx(2 / 3)


def test_it_is_of_the_last_evaluated_round_where_none_of_the_last_was() -> None:
    one = history([0.1, 0.5, 0.7, None, None])
    assert value("accuracy", one, over_last=2) == 0.7


@given(SHARES, st.integers(1, 10))
def test_it_is_of_the_rounds_that_were_evaluated(
    accuracies: list[Optional[float]], over_last: int
) -> None:
    """Where none of the last rounds was, of the last one that was."""
    known = [a for a in accuracies if a is not None]
    one = history(accuracies)
    if not known:
        with pytest.raises(NoValue, match="not evaluated"):
            value("accuracy", one, over_last=over_last)
        return
    last = [a for a in accuracies[-over_last:] if a is not None] or known[-1:]
    assert value("accuracy", one, over_last=over_last) == pytest.approx(statistics.fmean(last))
    assert value("accuracy", one) == known[-1]


@pytest.mark.parametrize(
    ("curve", "keys", "rounds"),
    [
        ([0.1, 0.5, 0.7], {}, 1),
        ([0.1, 0.5, 0.7], {"over_last": 1}, 1),
        ([0.1, 0.5, 0.7], {"over_last": 2}, 2),
        ([0.1, 0.5, None], {"over_last": 2}, 1),
        ([0.1, None, None], {"over_last": 2}, 1),
    ],
)
def test_its_step_is_that_of_a_round_over_the_evaluated_rounds(
    curve: list[Optional[float]], keys: dict[str, Any], rounds: int
) -> None:
    resolution = spec_of("accuracy").resolution
    assert resolution
    step = resolution.step(history(curve, test_examples=100), keys)
    assert step.size == pytest.approx(0.01 / rounds)


@pytest.mark.parametrize("name", ["accuracy", "loss", "validation_accuracy", "validation_loss"])
def test_without_it_records_say_nothing_of_it(name: str) -> None:
    scenario = example_scenario(
        data={"dataset": "digits", "validation_fraction": 0.1}, expect={name: {"at_most": 1.0}}
    )
    assert scenario.settings()["expect"] == {name: {"at_most": 1.0}}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"over_last": 10}, "there are 9 rounds"),
        ({"over_last": 2, "best_by": "validation"}, "best_by takes one round; choose one"),
        ({"over_last": 0}, "greater than or equal to 1"),
    ],
)
def test_rounds_that_cannot_be_averaged_are_refused(keys: dict[str, Any], said: str) -> None:
    data = {"dataset": "digits", "validation_fraction": 0.1}
    with pytest.raises(ValidationError, match=said):
        example_scenario(9, data=data, expect={"loss": {"at_most": 1.0, **keys}})


def test_reports_and_baselines_say_what_it_is_the_mean_of() -> None:
    scenario = example_scenario(2, expect={"accuracy": {"at_least": 0.1, "over_last": 2}})
    result = example_result(accuracies=(0.4, 0.8))
    verdicts = judge(scenario.expect, result.histories, "mean")
    assert verdicts[0].figures == pytest.approx((0.3, 0.6))
    assert verdicts[0].expected == ">= 0.1 (over_last 2)"
    update = {"settings": scenario.settings(), "verdicts": verdicts}
    judged = result.model_copy(update=update)
    assert keys_of(judged) == {"accuracy": {"over_last": 2}}
    table = seed_table(judged)
    column = table.columns.index("accuracy, mean of the last 2 rounds")
    assert [row[column] for row in table.rows[:2]] == ["0.3", "0.6"]
