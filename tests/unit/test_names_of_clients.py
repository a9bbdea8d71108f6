"""The client that is served worst has its name wherever its figure is shown."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from example_results import example_scenario, history
from markdown_it import MarkdownIt
from pytest_federated.core.text import shortened
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.expectations.judging import judge
from pytest_federated.plugin.execution import ExpectationsFailed
from pytest_federated.report.describe import describe
from pytest_federated.report.html import page
from pytest_federated.report.plots.clients import accuracy_by_client
from pytest_federated.report.plots.labels import label_map, labels_by_client
from pytest_federated.report.tables.clients import worst_of_seeds
from pytest_federated.report.tables.seeds import seed_table
from pytest_federated.report.tables.verdicts import missed_line
from pytest_federated.results.record import Result
from pytest_federated.training.history import TrainingHistory, recorded_names
from report_texts import whole_report
from rich.cells import cell_len
from rich.console import Console

ODD = {
    "long": "hospital of the holy " * 20 + "ward 3",
    "pipe": "a | b",
    "newline": "north\nwing\r\n\tleft",
    "HTML": "<script>alert(1)</script>",
    "emoji": "\N{FACE WITH THERMOMETER}" * 40,
    "math": "$a_1$ and $b",
    "escapes": "\x1b[31mred\x00\u202e",
    "Markdown": "[x](http://y) *b* `c` #1",
}


def named(names: Sequence[str], accuracy: Sequence[float], **more: Any) -> TrainingHistory:
    fields = {
        "client_examples": (8,) * len(names),
        "client_accuracy": tuple(accuracy),
        "client_names": recorded_names(names, ()),
        **more,
    }
    return history([0.5, 0.6], **fields)


def judged(
    histories: Sequence[TrainingHistory], expect: Optional[dict[str, Any]] = None, **sections: Any
) -> Result:
    expected = expect or {"worst_client_accuracy": {"at_least": 0.9}}
    scenario = example_scenario(2, [h.seed for h in histories], expect=expected, **sections)
    return Result(
        id="a",
        settings=scenario.settings(),
        status="failed",
        histories=tuple(histories),
        verdicts=judge(scenario.expect, histories),
        versions={},
    )


def test_the_worst_client_has_its_name_in_every_place() -> None:
    result = judged([named(["north", "south", "east"], [0.5, 0.25, 0.75])])
    (verdict,) = result.verdicts
    assert missed_line(result, verdict) == ("worst_client_accuracy 0.25 (south) < 0.9")
    assert str(ExpectationsFailed(result)).startswith(missed_line(result, verdict))
    table = seed_table(result)
    assert table.rows[0][table.columns.index("worst client")] == "0.25 (south)"
    picture = accuracy_by_client(result)
    assert picture is not None
    assert "0.250 at the worst client (south)" in picture.alt
    for text in (whole_report([result]), page([result]), picture.svg()):
        assert "south" in text


def test_the_map_of_labels_has_the_names_of_both() -> None:
    counts = {"label_counts": [[1, 2], [3, 4]], "label_names": ("died", "lived")}
    picture = labels_by_client(judged([named(["north", "south"], [0.5, 0.25], **counts)]))
    assert picture is not None
    assert all(name in picture.svg() for name in ("died", "lived", "north", "south"))


def test_a_client_without_a_name_is_called_by_its_number() -> None:
    result = judged([named(["client-0", "client-1"], [0.5, 0.25])])
    assert not result.histories[0].client_names
    assert "client_names" not in result.model_dump_json()
    assert missed_line(result, result.verdicts[0]).startswith(
        "worst_client_accuracy 0.25 (client-1)"
    )


def test_clients_that_are_equally_bad_are_counted() -> None:
    result = judged([named(["north", "south", "east"], [0.25, 0.5, 0.25])])
    assert "0.25 (north and 1 more)" in missed_line(result, result.verdicts[0])


def test_seeds_with_other_worst_clients_name_the_worst_of_all() -> None:
    names = ["north", "south"]
    seeds = [named(names, [0.5, 0.25], seed=0), named(names, [0.125, 0.5], seed=7)]
    result = judged(seeds)
    assert worst_of_seeds(result, result.verdicts[0]) == "north in seed 7"
    same = judged([seeds[0], seeds[0].model_copy(update={"seed": 1})])
    assert worst_of_seeds(same, same.verdicts[0]) == "south"
    table = seed_table(result)
    place = table.columns.index("worst client")
    assert [row[place] for row in table.rows[:2]] == ["0.25 (south)", "0.125 (north)"]


def test_the_worst_by_another_metric_and_direction_is_named() -> None:
    """Of an error the greatest is the worst; a client without a value is none."""
    scores = {"mae": (1.0, None, 3.0)}
    trained = named(["a", "b", "c"], [], client_scores=scores, task="regression")
    data = {"dataset": "diabetes"}
    result = judged([trained], {"mae": {"at_most": 2.0, "over": "worst_client"}}, data=data)
    assert "mae 3 (c) > 2" in missed_line(result, result.verdicts[0])
    mean = judged([trained], {"mae": {"at_most": 1.0, "over": "clients"}}, data=data)
    assert missed_line(mean, mean.verdicts[0]).startswith("mae 2 > ")


def test_of_some_measured_clients_the_right_one_is_named() -> None:
    names = [f"ward-{n}" for n in range(2000)]
    trained = history(
        [0.6],
        client_examples=(8,) * 2000,
        client_accuracy=(0.5, 0.25),
        measured_clients=(3, 1777),
        client_names=recorded_names(names, (3, 1777)),
    )
    assert len(trained.client_names) <= 102
    assert "(ward-1777)" in missed_line(judged([trained]), judged([trained]).verdicts[0])


def test_no_client_is_named_where_it_is_not_known_whose_figures_these_are() -> None:
    result = judged([named(["a", "b", "c"], [0.5, 0.25])])
    assert worst_of_seeds(result, result.verdicts[0]) == ""


def test_names_stand_in_the_record_and_come_back() -> None:
    trained = named(["north", "söuth"], [0.5, 0.25])
    again = TrainingHistory.model_validate_json(trained.model_dump_json())
    assert again.client_names == {0: "north", 1: "söuth"}


@pytest.mark.parametrize("name", ODD.values(), ids=ODD.keys())
def test_odd_names_break_no_page(name: str) -> None:
    result = judged([named(["north", name], [0.5, 0.25], label_counts=[[1, 2], [3, 4]])])
    (line,) = missed_line(result, result.verdicts[0]).splitlines()
    assert line.isprintable()
    assert cell_len(line) <= 100
    render = MarkdownIt("commonmark").enable("table").render
    usual = judged([named(["north", "south"], [0.5, 0.25], label_counts=[[1, 2], [3, 4]])])
    html, plain = render(whole_report([result])), render(whole_report([usual]))
    for tag in ("<td", "<tr", "<a ", "<script", "<em>", "<code>", "<h"):
        assert html.count(tag) == plain.count(tag), tag
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = page([result])
    assert "<script>alert" not in shown
    assert shown.count("<script") == shown.count("</script>") == 2  # the data, and the program


@pytest.mark.parametrize("name", ODD.values(), ids=ODD.keys())
def test_odd_names_fit_into_the_terminal(name: str, tmp_path: Path) -> None:
    y = np.array([0, 1, 0, 1])
    data = FederatedData(
        train=Examples(np.zeros((4, 1), np.float32), y),
        clients=(np.array([0, 1]), np.array([2, 3])),
        names=("north", name),
        test=Examples(np.zeros((2, 1), np.float32), y[:2]),
        num_classes=2,
        label_names=("died", name),
    )
    console = Console(width=80, record=True, file=(tmp_path / "out").open("w", encoding="utf-8"))
    describe("a", data, console)
    lines = console.export_text().splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert sum(shortened(name, 24) in line for line in lines) == 2  # as a label, and as a client


def test_odd_names_can_be_drawn(tmp_path: Path) -> None:
    names, counts = tuple(ODD.values()), np.ones((len(ODD), len(ODD)), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        label_map(counts, names, "a", tmp_path / "a.svg", names)


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    text = shortened("north wing " * 10 + "ward 3", 20)
    assert text.startswith("north wing")
    assert text.endswith("ward 3")
    assert cell_len(text) == 20
    assert shortened("short", 20) == "short"
