"""Figures of single clients: how many clients they are measured on, and which deviation."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from example_results import example_scenario, history
from pytest_federated.core.schema import Section
from pytest_federated.expectations.baselines import baseline_of
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.judging import judge
from pytest_federated.metrics.coverage import coverage
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.report.export import ROWS
from pytest_federated.report.html import page
from pytest_federated.report.plots.clients import accuracy_by_client
from pytest_federated.report.tables.seeds import seed_table
from pytest_federated.report.tables.verdicts import missed_line
from pytest_federated.results.record import Result
from pytest_federated.training.history import TrainingHistory
from report_texts import whole_report

OF_CLIENTS = [
    "client_accuracy",
    "client_accuracy_deviation",
    "personalized_accuracy",
    "worst_client_accuracy",
    "worst_tenth_accuracy",
]
ACCURACIES = (0.25, 0.5, 0.75, 1.0)


def trained(population: int = 4, seed: int = 0, **more: Any) -> TrainingHistory:
    given = {"client_accuracy": ACCURACIES, "personalized_accuracy": ACCURACIES, **more}
    return history([0.5, 0.6], seed=seed, client_examples=(8,) * population, **given)


def judged(histories: list[TrainingHistory], expect: dict[str, Any]) -> Result:
    training = {"rounds": 2, "personalize": {"steps": 1}}
    data = {"dataset": "digits", "holdout": "per_client"}
    scenario = example_scenario(
        seeds=[h.seed for h in histories], data=data, training=training, expect=expect
    )
    verdicts = judge(scenario.expect, histories)
    return Result(
        id="a",
        settings=scenario.settings(),
        status="passed" if all(v.passed for v in verdicts) else "failed",
        histories=tuple(histories),
        verdicts=verdicts,
        versions={},
    )


def expected(name: str, **bounds: Any) -> dict[str, Section]:
    return {name: expectations.parse({"kind": name, **bounds})}


def test_every_metric_of_clients_says_so() -> None:
    """All metrics whose value depends on the accuracy of single clients."""
    other = tuple(accuracy / 2 for accuracy in ACCURACIES)
    one, two = trained(), trained(client_accuracy=other, personalized_accuracy=other)
    differ = [name for name in metrics.names() if Measure(name).of(one) != Measure(name).of(two)]
    assert differ == OF_CLIENTS
    specs = {name: spec_of(name) for name in metrics.names()}
    of_histories = {name: spec for name, spec in specs.items() if spec.score is None}
    saying = [name for name, spec in of_histories.items() if spec.accuracies is not None]
    assert [name for name in saying if not specs[name].of_unseen] == OF_CLIENTS
    assert [name for name in saying if specs[name].of_unseen] == ["unseen_client_accuracy"]
    assert all(spec.accuracies for spec in specs.values() if spec.score is not None)


@pytest.mark.parametrize("name", OF_CLIENTS)
def test_a_figure_of_some_clients_says_how_many(name: str) -> None:
    """In the verdict, in the message of a missed one, on both pages, and above its column."""
    some = "4 of 1,200 clients"
    bound = "at_most" if name == "client_accuracy_deviation" else "at_least"
    missed = {name: {bound: 0.0 if bound == "at_most" else 1.0}}
    seeds = [trained(1200, seed) for seed in (0, 1)]
    result = judged(seeds, missed)
    (verdict,) = result.verdicts
    assert verdict.expected.endswith(f" ({some})")
    assert some in missed_line(result, verdict)
    for text in (whole_report([result]), page([result])):
        assert f"({some})" in text
    table = seed_table(result)
    title = spec_of(name).title if spec_of(name).column is not None else name
    assert f"{title} (4 of 1,200)" in table.columns
    for column in table.columns:
        assert column in whole_report([result]).replace("\\", "")
    picture = accuracy_by_client(result)
    assert picture and some in picture.alt


@pytest.mark.parametrize("name", OF_CLIENTS)
def test_a_figure_of_all_clients_says_nothing(name: str) -> None:
    result = judged([trained(), trained(seed=1)], {name: {"at_least": 0.1}})
    assert "of 4 clients" not in whole_report([result])
    assert "(" not in result.verdicts[0].expected


def test_seeds_may_differ_in_how_many_clients_they_measure() -> None:
    histories = [trained(9), trained(9, client_accuracy=ACCURACIES[:2])]
    metric = spec_of("worst_client_accuracy")
    assert coverage(metric, histories, {}) == "2 to 4 of 9 clients"
    assert coverage(metric, histories, {"personalized": True}) == "4 of 9 clients"
    assert coverage(metric, [trained(client_accuracy=())], {}) == ""
    assert coverage(spec_of("accuracy"), histories, {}) == ""


def test_the_deviation_over_clients_is_that_of_the_population_everywhere() -> None:
    """In the verdict, the report's table, the pages, the exports and the baseline."""
    population, sample = statistics.pstdev(ACCURACIES), statistics.stdev(ACCURACIES)
    name = "client_accuracy_deviation"
    result = judged([trained()], {name: {"at_most": 0.5}})
    assert result.verdicts[0].measured == pytest.approx(population, abs=1e-6)
    assert Measure(name).values(result) == [pytest.approx(population, abs=1e-6)]
    for by in ("seed", "scenario"):
        (row,) = ROWS[by]([result])
        assert row[name] == pytest.approx(population, abs=1e-6)
    for text in (whole_report([result]), page([result])):
        assert f"{population:.4g}" in text
        assert f"{sample:.4g}" not in text
    baseline = baseline_of(result, keys={name: {}})
    assert baseline.figures[name] == (pytest.approx(population, abs=1e-3),)
