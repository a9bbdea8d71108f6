"""Reports, exports and baselines of predicted numbers: nothing in them is about labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from example_results import example_result
from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.baselines import (
    Baseline,
    baseline_of,
    read_baseline,
    write_baseline,
)
from pytest_federated.expectations.calibrating import default_bounds
from pytest_federated.expectations.judging import judge
from pytest_federated.metrics.measure import headline
from pytest_federated.report.export import ROWS, properties
from pytest_federated.report.html import page as html_page
from pytest_federated.report.scalars import scalars
from pytest_federated.report.tables.summary import headline as headline_text
from pytest_federated.results.record import Result
from pytest_federated.scenario.schema import Scenario
from report_texts import whole_report

EXPECT = {"r2": {"at_least": 0.3}, "mae": {"at_most": 0.9, "over": "worst_client"}}


def of_numbers(seeds: int = 2) -> Result:
    """A result as that of a scenario on `diabetes`."""
    of_labels = example_result("numbers", [0.5, 0.6, *[0.55] * (seeds - 2)])
    scenario = Scenario.model_validate(
        {
            "name": "numbers",
            "data": {"dataset": "diabetes"},
            "clients": {"count": 2},
            "model": "linear",
            "training": {"rounds": 2},
            "seeds": list(range(seeds)),
            "expect": EXPECT,
        }
    )

    def numbers(done: Any) -> Any:
        scores = {"r2": 1 - done.loss, "mae": done.loss / 2, "mse": done.loss}
        update = {"accuracy": None, "train_accuracy": None, "scores": scores}
        return done.model_copy(update=update)

    histories = tuple(
        history.model_copy(
            update={
                "task": "regression",
                "rounds": tuple(map(numbers, history.rounds)),
                "label_counts": (),
                "client_scores": {"mae": (0.2, 0.7), "r2": (None, 0.1), "mse": (0.1, 0.6)},
            }
        )
        for history in of_labels.histories
    )
    return of_labels.model_copy(
        update={
            "settings": scenario.settings(),
            "histories": histories,
            "verdicts": judge(scenario.expect, histories),
        }
    )


def test_a_report_of_numbers_says_nothing_of_labels() -> None:
    result = of_numbers()
    assert [v.passed for v in result.verdicts] == [True, True]
    page = whole_report([result])
    for word in ("ccuracy", "label", "ecall", "nats"):
        assert word not in page
    for words in ("R² is that of the test set", "result ± 95 %", "R² 0.55", "test MAE"):
        assert words in page
    assert "Test loss by round" in page
    assert "MAE, worst client" in page
    assert "ccuracy" not in html_page([result])
    assert headline_text(result.model_copy(update={"status": "passed"})).startswith("(R² 0.55")


def test_a_report_of_labels_and_numbers_has_the_metrics_of_both() -> None:
    labels, numbers = example_result("labels"), of_numbers()
    page = whole_report([labels, numbers])
    assert "Accuracy is that of the test set" in page and "R² 0.55" in page
    assert "accuracy ± 95 %" in page and "result ± 95 %" not in page
    assert headline([labels, numbers]).name == headline([labels]).name == "accuracy"
    assert headline([numbers]).name == "r2"


def test_exports_have_the_metrics_that_there_are() -> None:
    labels, numbers = example_result("labels"), of_numbers()
    for of in ("seed", "scenario"):
        (one, *_) = list(ROWS[of]([labels]))
        assert "mae" not in one and "accuracy" in one
        *_, other = list(ROWS[of]([labels, numbers]))
        assert other["mae"] is not None and other["accuracy"] is None
    (one, *_) = list(ROWS["round"]([labels]))
    assert not {"scores", "mae"} & one.keys()
    *_, other = list(ROWS["round"]([labels, numbers]))
    assert other["mae"] == pytest.approx(0.2)
    assert "accuracy" not in properties(numbers) and properties(numbers)["r2"] > 0.5
    assert scalars(numbers.histories[0].rounds[-1])["test"] == pytest.approx(
        {"loss": 0.5, "r2": 0.5, "mae": 0.25, "mse": 0.5}
    )


def test_a_record_of_numbers_is_read_as_it_was_written() -> None:
    result = of_numbers()
    read = Result.model_validate_json(result.model_dump_json())
    assert Result.model_validate_json(read.model_dump_json()) == read
    history = read.histories[1]
    assert history.rounds[-1].scores == {"r2": 0.6, "mae": 0.2, "mse": 0.4}
    assert history.client_scores == result.histories[1].client_scores


def test_a_baseline_of_numbers_is_complete_without_accuracy(tmp_path: Path) -> None:
    baseline = baseline_of(of_numbers(10), keys={"mae": {"over": "worst_client"}})
    assert sorted(baseline.figures) == ["loss", "mae", "r2"]
    assert baseline.task == "regression"
    write_baseline(baseline, tmp_path / "a.json")
    assert read_baseline(tmp_path / "a.json") == baseline
    written = json.loads((tmp_path / "a.json").read_text())
    del written["figures"]["r2"]
    (tmp_path / "a.json").write_text(json.dumps(written))
    with pytest.raises(FederatedError, match="figures: r2 is missing"):
        read_baseline(tmp_path / "a.json")
    del written["task"]  # a baseline of labels, then
    (tmp_path / "a.json").write_text(json.dumps(written))
    with pytest.raises(FederatedError, match="figures: accuracy is missing"):
        read_baseline(tmp_path / "a.json")
    assert "task" not in Baseline.model_dump(baseline_of(example_result(accuracies=[0.5] * 10)))


def test_what_is_calibrated_where_nothing_is_expected() -> None:
    assert (
        default_bounds()
        == default_bounds("label")
        == {
            "accuracy": ["at_least"],
            "loss": ["at_most"],
        }
    )
    assert default_bounds("regression") == {"loss": ["at_most"], "r2": ["at_least"]}


def test_margins_are_allowed_only_for_metrics_of_numbers() -> None:
    settings = of_numbers().settings
    Scenario.model_validate({**settings, "baseline": {"r2": {"margin": 0.1}}})
    with pytest.raises(ValueError, match=r"is not compared.*; compared are loss, r2, mae"):
        Scenario.model_validate({**settings, "baseline": {"accuracy": {"margin": 0.1}}})
