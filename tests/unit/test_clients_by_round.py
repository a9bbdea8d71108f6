"""Reports and exports of single clients that were measured after rounds."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from example_results import example_result, example_scenario, history
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.metric import metrics
from pytest_federated.metrics.of_clients import metrics_of_clients
from pytest_federated.report.export import ROWS, csv_bytes
from pytest_federated.report.pictures import plots
from pytest_federated.report.plots.clients_by_round import accuracy_of_clients_by_round
from pytest_federated.report.scalars import scalars
from pytest_federated.report.tables.rounds import round_table
from pytest_federated.results.record import Result
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.references import compared

EARLY, LATE = (0.2, 0.5), (0.6, 0.9)
OF_CLIENTS = {
    "client_accuracy": 0.75,
    "client_accuracy_deviation": 0.15,
    "worst_client_accuracy": 0.6,
    "worst_tenth_accuracy": 0.6,
    "f1_clients": 0.6,
    "f1_worst_client": 0.5,
}


def measured(**more: Any) -> Result:
    """Returns a result of four rounds, with clients measured after the second and the fourth."""
    trained = history(
        [0.3, 0.4, 0.5, 0.8],
        client_accuracy=LATE,
        client_scores={"f1": (0.5, 0.7)},
        client_names={0: "ward-a", 1: "ward-b"},
        **more,
    )
    first, second, third, fourth = trained.rounds
    rounds = (
        first,
        second.model_copy(update={"client_accuracy": EARLY, "client_scores": {"f1": (0.1, None)}}),
        third,
        fourth.model_copy(update={"client_accuracy": LATE, "client_scores": {"f1": (0.5, 0.7)}}),
    )
    result = example_result()
    histories = (trained.model_copy(update={"rounds": rounds}),)
    return result.model_copy(update={"histories": histories})


def test_a_round_has_every_metric_of_clients() -> None:
    (trained,) = measured().histories
    last = metrics_of_clients(trained.rounds[-1])
    assert last == pytest.approx(OF_CLIENTS)
    of_clients = [n for n in metrics.names() if metrics[n].spec.accuracies]
    for name in of_clients:
        keys = {"over": "clients"} if metrics[name].spec.score else {}
        final = Measure(name).of(trained, keys)
        assert last.get(f"{name}_clients" if keys else name) == final
    assert metrics_of_clients(trained.rounds[0]) == {}


def test_clients_may_have_accuracies_or_other_metrics_alone() -> None:
    (trained,) = measured().histories
    last = trained.rounds[-1]
    accuracies = {n: v for n, v in OF_CLIENTS.items() if not n.startswith("f1_")}
    scores = {n: v for n, v in OF_CLIENTS.items() if n.startswith("f1_")}
    without = {"client_scores": {}}
    assert metrics_of_clients(last.model_copy(update=without)) == pytest.approx(accuracies)
    without = {"client_accuracy": ()}
    assert metrics_of_clients(last.model_copy(update=without)) == pytest.approx(scores)


def test_the_table_of_rounds_has_columns_of_clients() -> None:
    rows, columns = round_table(measured())
    assert columns[-2:] == ["worst client", "spread over clients"]
    assert [row[-2:] for row in rows] == [["–", "–"], ["0.2", "0.15"], ["–", "–"], ["0.6", "0.15"]]
    _, others = round_table(example_result())
    assert others == columns[:-2]


def test_the_plot_shows_the_worst_client_by_round() -> None:
    picture = accuracy_of_clients_by_round(measured())
    assert picture is not None
    assert "worst client" in picture.svg()
    assert picture.alt == (
        "Accuracy of clients by round of tiny: the worst 0.200 after round 2, 0.600 after round 4."
    )
    assert accuracy_of_clients_by_round(example_result()) is None
    assert plots([measured()])["tiny.clients-by-round.svg"].alt == picture.alt


def test_exports_have_metrics_by_round_and_figures_by_client() -> None:
    rows = list(ROWS["round"]([measured()]))
    assert [row["worst_client_accuracy"] for row in rows] == [None, 0.2, None, 0.6]
    assert [row["f1_worst_client"] for row in rows] == [None, 0.1, None, 0.5]
    assert not {"client_scores", "measured_clients"} & rows[0].keys()
    text = csv_bytes(list(ROWS["client"]([measured()]))).decode()
    by_client = list(csv.DictReader(io.StringIO(text)))
    shown = [(r["round"], r["client"], r["accuracy"], r["f1"]) for r in by_client]
    assert shown == [
        ("2", "ward-a", "0.2", "0.1"),
        ("2", "ward-b", "0.5", ""),
        ("4", "ward-a", "0.6", "0.5"),
        ("4", "ward-b", "0.9", "0.7"),
    ]


def test_clients_measured_at_the_end_only_have_rows_of_the_last_round() -> None:
    plain = history([0.3, 0.4], client_accuracy=(0.5,), measured_clients=(1,), clients=3)
    result = example_result().model_copy(update={"histories": (plain,)})
    (row,) = ROWS["client"]([result])
    assert (row["round"], row["client"], row["accuracy"]) == (2, "client-1", 0.5)
    assert list(ROWS["client"]([example_result()])) == []


def test_other_tools_get_the_metrics_of_clients() -> None:
    *_, last = measured().histories[0].rounds
    assert OF_CLIENTS.keys() <= scalars(last)["clients"].keys()


def test_a_record_has_them_only_where_clients_were_measured() -> None:
    result = measured()
    assert Result.model_validate_json(result.model_dump_json()) == result
    first, second = (r.model_dump() for r in result.histories[0].rounds[:2])
    assert not {"client_accuracy", "client_scores", "measured_clients"} & first.keys()
    assert second["client_accuracy"] == EARLY


def test_settings_have_the_key_only_where_it_is_set() -> None:
    training = example_scenario().settings()["training"]
    assert "eval_clients_every" not in training
    asked = {"rounds": 2, "eval_clients_every": 1}
    assert example_scenario(training=asked).settings()["training"]["eval_clients_every"] == 1


def test_trainings_that_a_scenario_is_compared_with_measure_no_clients_by_round() -> None:
    training = {"rounds": 2, "eval_clients_every": 1}
    expect = {"gain_over_local": {"at_least": 0.0}, "gap_to_centralized": {"at_most": 0.1}}
    scenario = example_scenario(training=training, expect=expect)
    others = compared(Case(scenario))
    assert {*others} == {*expect}
    assert [other.training.eval_clients_every for other in others.values()] == [None, None]
