"""The validation set: its metrics, the round that it chooses, and where its figures are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Optional

import pytest
from example_results import example_result, history, with_validation
from pytest_federated.metrics.measure import columns, expected_measure
from pytest_federated.metrics.metric import NoValue, metrics, spec_of
from pytest_federated.report.comparison.study import Wanted, studies
from pytest_federated.report.comparison.tables import results_table
from pytest_federated.report.export import by_round
from pytest_federated.report.markup import TERMINAL
from pytest_federated.report.plots.plot import draw_scenario
from pytest_federated.report.scalars import scalars
from pytest_federated.report.tables.rounds import round_table
from pytest_federated.report.tables.settings import settings_rows
from pytest_federated.results.record import Result
from pytest_federated.results.store import json_text, parse_result
from pytest_federated.training.history import TrainingHistory

TESTED = [0.2, 0.8, 0.6, 0.7]
VALIDATED = [0.1, 0.4, 0.5, 0.5]  # best in the third round, and again in the fourth


def value(name: str, training: TrainingHistory, **keys: Any) -> float:
    return metrics[name].function(training, **keys)


def validated(accuracies: Optional[list[float]] = None) -> Result:
    """Returns a result of four rounds, whose test accuracy rises to 0.6."""
    result = example_result(accuracies=(0.6,), rounds=4)
    (one,) = result.histories
    with_figures = with_validation(one, accuracies or VALIDATED)
    return result.model_copy(update={"histories": (with_figures,)})


def test_the_validation_set_has_figures_of_its_own() -> None:
    one = with_validation(history(TESTED), [0.1, 0.9, 0.5, 0.4])
    assert value("validation_accuracy", one) == 0.4
    assert value("best_validation_accuracy", one) == 0.9
    assert value("validation_loss", one) == pytest.approx(0.6)
    seldom = with_validation(history([0.1, None, 0.3]), [0.7, None, 0.2])
    assert value("validation_accuracy", seldom) == 0.2


def test_the_validation_set_chooses_the_first_of_its_best_rounds() -> None:
    one = with_validation(history(TESTED), VALIDATED)
    assert value("best_accuracy", one) == 0.8
    assert value("best_accuracy", one, best_by="validation") == 0.6
    assert value("loss", one) == pytest.approx(0.3)
    assert value("loss", one, best_by="validation") == pytest.approx(0.4)
    none_right = with_validation(history([0.0, 0.8]), [0.5, 0.4])
    assert value("best_accuracy", none_right, best_by="validation") == 0.0


def test_nothing_is_certain_of_the_round_that_the_validation_set_will_choose() -> None:
    possible = spec_of("best_accuracy").so_far
    assert possible
    begun = with_validation(history([0.4, 0.7]), [0.5, 0.6]).rounds
    assert possible(begun, best_by="validation") == (0.0, 1.0)
    assert possible(begun) == (0.7, 1.0)


def test_the_best_validation_accuracy_only_rises() -> None:
    possible = spec_of("best_validation_accuracy").so_far
    assert possible
    begun = with_validation(history([0.4, None, 0.7, 0.6]), [0.3, None, 0.5, 0.4]).rounds
    assert possible(begun) == (0.5, 1.0)
    assert possible(begun[1:2]) == possible(()) == (0.0, 1.0)


def test_the_lowest_validation_loss_chooses_where_numbers_are_predicted() -> None:
    losses = [0.5, 0.1, 0.3]
    rounds = tuple(
        done.model_copy(update={"accuracy": None, "validation_loss": loss})
        for done, loss in zip(history([0.2, 0.3, 0.4]).rounds, losses)
    )
    one = history([0.5], task="regression").model_copy(update={"rounds": rounds})
    assert value("loss", one, best_by="validation") == pytest.approx(0.7)


def test_the_validation_set_chooses_the_round_of_metrics_of_predictions() -> None:
    one = with_validation(history([0.2, 0.8, 0.6]), [0.1, 0.9, 0.5])
    scores = [{"f1": 0.3}, {"f1": 0.7}, {"f1": 0.4}]
    rounds = tuple(r.model_copy(update={"scores": s}) for r, s in zip(one.rounds, scores))
    one = one.model_copy(update={"rounds": rounds, "client_scores": {"f1": (0.1, 0.2)}})
    assert value("f1", one) == 0.4
    assert value("f1", one, best_by="validation") == 0.7
    assert value("f1", one, over="worst_client") == 0.1
    with pytest.raises(NoValue, match=r"^best_by is for the test set: leave over out$"):
        value("f1", one, over="clients", best_by="validation")


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("f1", {"best_by": "validation"}),
        ("validation_accuracy", {}),
        ("best_validation_accuracy", {}),
        ("validation_loss", {}),
        ("best_accuracy", {"best_by": "validation"}),
        ("loss", {"best_by": "validation"}),
    ],
)
def test_without_a_validation_set_there_is_no_value(name: str, keys: dict[str, str]) -> None:
    with pytest.raises(NoValue, match=r"^no validation set$"):
        value(name, history(TESTED), **keys)


def test_a_record_has_figures_of_the_validation_set_only_where_there_is_one() -> None:
    result = validated([0.0, 0.0, 0.4, 0.5])
    assert parse_result(json_text(result).encode(), "record") == result
    (plain,) = json.loads(json_text(example_result(accuracies=(0.6,))))["histories"]
    assert "validation_examples" not in plain
    assert not [key for done in plain["rounds"] for key in done if "validation" in key]


def test_reports_have_a_column_of_it_only_where_there_is_a_validation_set() -> None:
    plain = example_result(accuracies=(0.6,), rounds=4)
    names = [measure.name for measure in columns([plain, validated()])]
    place = names.index("validation_accuracy")
    assert names[place - 1 : place + 2] == ["best_accuracy", "validation_accuracy", "loss"]
    assert "validation_accuracy" not in [measure.name for measure in columns([plain])]


def test_tables_plots_and_exports_have_them() -> None:
    result, plain = validated(), example_result(accuracies=(0.6,), rounds=4)
    rows, columns = round_table(result)
    assert columns[-2:] == ["validation loss", "validation accuracy"]
    assert [row[-2:] for row in rows][:2] == [["0.9", "0.1"], ["0.6", "0.4"]]
    assert round_table(plain)[1][-1] == "test accuracy"
    assert ["validation examples", "20"] in settings_rows(result)
    assert not [row for row in settings_rows(plain) if row[0].startswith("validation")]
    assert [row["validation_accuracy"] for row in by_round([result])] == VALIDATED
    assert not [key for row in by_round([plain]) for key in row if "validation" in key]
    (one,) = result.histories
    assert scalars(one.rounds[0])["validation"] == {"accuracy": 0.1, "loss": 0.9}
    assert "validation" not in scalars(plain.histories[0].rounds[0])
    drawn, without = (draw_scenario(r)["accuracy"].svg() for r in (result, plain))
    assert "validation" in drawn and "validation" not in without


def test_a_matrix_is_tuned_by_the_validation_set() -> None:
    results = {}
    for alpha, tested, on_validation in ((1, 0.9, 0.5), (2, 0.6, 0.8)):
        name = f"tiny[alpha={alpha}]"
        made = example_result(name, (tested, tested))
        histories = [with_validation(h, [0.1, on_validation]) for h in made.histories]
        results[name] = made.model_copy(update={"histories": tuple(histories)})
    (study,) = studies(results.values(), Wanted(measure=expected_measure("validation_accuracy")))
    best = next(line for line in results_table(study, TERMINAL).splitlines() if " 2 " in line)
    assert best.startswith("▲ better") and "0.800 ± 0.000 *" in best
    assert "0.900" not in results_table(study, TERMINAL)


HEAD = """\
schema: 1
name: a
data: {dataset: digits}
clients: {count: 3}
model: linear
training: {rounds: 2}
"""


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("validation_accuracy: {at_least: 0.5}", "expect.validation_accuracy is measured on what "
         "it holds out"),
        ("validation_loss: {at_most: 2}", "expect.validation_loss is measured on what it holds "
         "out"),
        ("best_accuracy: {at_least: 0.5, best_by: validation}", "expect.best_accuracy is measured "
         "on what it holds out"),
    ],
)  # fmt: skip
def test_a_metric_of_validation_needs_a_validation_set(
    problems: Callable[..., list[str]], expected: str, message: str
) -> None:
    assert problems(HEAD + f"expect: {{{expected}}}\n") == [
        f"f.yaml:3: data.validation_fraction: missing; {message}"
    ]
    held = HEAD.replace("digits", "digits, validation_fraction: 0.1")
    assert problems(held + f"expect: {{{expected}}}\n") == []


def test_what_chooses_the_round_is_named(problems: Callable[..., list[str]]) -> None:
    expected = "expect: {best_accuracy: {at_least: 0.5, best_by: train}}\n"
    assert problems(HEAD + expected) == [
        "f.yaml:7: expect.best_accuracy.best_by: got 'train'; allowed: validation"
    ]
    assert problems(HEAD + expected.replace("train", "null")) == []
