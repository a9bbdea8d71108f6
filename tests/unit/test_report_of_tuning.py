"""How reports show a scenario that was tuned."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from example_results import example_result, with_validation
from pytest_federated.report.export import properties
from pytest_federated.report.html import page
from pytest_federated.report.pages import report, report_files
from pytest_federated.report.plots.style import VERMILION
from pytest_federated.report.plots.tuning import tuning_by_key
from pytest_federated.report.tables.tuning import tuning_table
from pytest_federated.report.tuned import tuned_text, tuning_remarks, tuning_warnings
from pytest_federated.results.record import Result
from pytest_federated.results.tuning import GridPoint, Tuning, best_place
from pytest_federated.scenario.matrix import value_text

RATE = "training.client_optimizer.learning_rate"
SERVER_RATE = "training.server_optimizer.learning_rate"
EPOCHS = "training.local_epochs"
ALGORITHM = "training.algorithm"
LOST = "seed 0 diverged in round 1: the loss is not finite"


def tuned(
    keys: Mapping[str, Sequence[Any]],
    figures: Callable[..., Optional[Sequence[float]]],
    *,
    name: str = "tiny",
    **more: Any,
) -> Result:
    """A result that was tuned over these keys; `figures` are of the values, None where lost."""
    points: list[GridPoint] = []
    for values in itertools.product(*keys.values()):
        found = figures(*values)
        points.append(
            GridPoint(
                name=",".join(map(value_text, values)),
                values=dict(zip(keys, values)),
                figures=(None,) if found is None else tuple(found),
                note=LOST if found is None else "",
            )
        )
    fields = {"metric": "validation_accuracy", "by": "validation", "sign": 1, "seeds": (0, 1)}
    chosen = best_place(tuple(points), 1)
    tuning = Tuning.model_validate({**fields, "points": points, "chosen": chosen, **more})
    return example_result(name).model_copy(update={"tuning": tuning})


def by_rate(rate: float, *_: Any) -> Optional[list[float]]:
    if rate > 1:
        return None
    middle = 0.9 if rate == 0.1 else 0.6
    return [middle, middle + 0.02]


RATES = (0.01, 0.1, 1, 10)


def test_a_sentence_says_what_was_chosen_and_by_what() -> None:
    assert tuned_text(tuned({RATE: RATES}, by_rate)) == (
        "Tuned: learning_rate 0.1 is the best of 4 points by validation accuracy "
        "(0.91 after the last round, mean of 2 seeds)."
    )
    two = tuned({RATE: RATES, EPOCHS: (1, 5)}, by_rate, over_last=3, seeds=(0,))
    assert tuned_text(two) == (
        "Tuned: learning_rate 0.1, local_epochs 1 is the best of 8 points by validation accuracy "
        "(0.91 over the last 3 rounds)."
    )
    assert tuned_text(example_result()) == ""


def test_keys_with_the_same_end_are_named_in_full() -> None:
    text = tuned_text(tuned({RATE: (0.1, 1), SERVER_RATE: (1, 2)}, by_rate))
    assert "client_optimizer.learning_rate 0.1, server_optimizer.learning_rate 1 is" in text


def test_warnings_are_of_the_edge_and_of_the_test_set() -> None:
    assert tuning_warnings(tuned({RATE: RATES}, by_rate)) == []
    assert tuning_warnings(tuned({RATE: (0.1, 1)}, by_rate, by="test")) == [
        f"At the edge of the grid: {RATE} 0.1 is the smallest that was tried (0.1 to 1). "
        "A better value may lie beyond.",
        "Chosen on the test data, so that its figures are better than new data would give.",
    ]


def test_remarks_are_of_points_as_good_and_of_those_that_could_not_be_chosen() -> None:
    result = tuned({RATE: (0.1, 1, 10), EPOCHS: (1, 5)}, by_rate)
    assert tuning_remarks(result) == [
        "Equally good, and later in the grid: learning_rate 0.1, local_epochs 5.",
        "Could not be chosen: learning_rate 10, local_epochs 1; learning_rate 10, local_epochs 5 "
        f"({LOST}).",
    ]


def test_remarks_name_the_points_that_the_seeds_cannot_tell_from_the_best() -> None:
    figures = {0.1: (0.9, 0.5), 1: (0.5, 0.8), 2: (0.1, 0.1)}
    result = tuned({RATE: (0.1, 1, 2)}, figures.__getitem__)
    assert tuning_remarks(result) == [
        "Not told from it by the seeds: learning_rate 1; learning_rate 2."
    ]
    alone = tuned({RATE: (0.1, 1)}, lambda rate: (1 - rate / 10,), seeds=(0,))
    assert tuning_remarks(alone) == [], "one seed cannot tell anything"


@pytest.mark.parametrize(("over_last", "is_told"), [(None, False), (5, True)])
def test_differences_that_agree_are_no_more_certain_than_a_step(
    over_last: Optional[int], is_told: bool
) -> None:
    """Both seeds are better by one example of eight; a mean of five rounds has smaller steps."""
    result = tuned({RATE: (0.1, 1)}, lambda rate: (0.5,) * 2 if rate == 1 else (0.625,) * 2)
    tuning = result.tuning
    assert tuning is not None
    tuning = tuning.model_copy(update={"over_last": over_last})
    rounds = example_result(rounds=5).histories
    histories = tuple(with_validation(h, [0.5] * 5, examples=8) for h in rounds)
    result = result.model_copy(update={"histories": histories, "tuning": tuning})
    told = [] if is_told else ["Not told from it by the seeds: learning_rate 1."]
    assert tuning_remarks(result) == told


def test_many_points_are_counted() -> None:
    (remark,) = tuning_remarks(tuned({RATE: range(1, 8)}, by_rate))
    assert remark.startswith("Could not be chosen: learning_rate 2; learning_rate 3; ")
    assert "; and 2 more (" in remark


def test_the_table_has_the_best_point_first() -> None:
    table = tuning_table(tuned({RATE: RATES}, by_rate))
    assert table.columns == ["learning_rate", "validation accuracy", "tuning"]
    assert [row[0] for row in table.rows] == ["0.1", "0.01", "1", "10"]
    assert [row[-1] for row in table.rows[:3]] == ["chosen", "", ""]
    assert table.rows[3][1] == "–"
    assert table.rows[3][2].startswith("seed 0 diverged")
    assert not tuning_table(example_result()).rows


def texts_of(result: Result) -> str:
    picture = tuning_by_key(result)
    assert picture
    return picture.svg()


def test_two_numeric_keys_are_a_heat_map_with_a_frame_around_the_best() -> None:
    svg = texts_of(tuned({RATE: RATES, EPOCHS: (1, 5)}, by_rate))
    assert svg.count(">0.91<") == 2 and svg.count(">0.61<") == 4 and svg.count(">–<") == 2
    assert svg.count(VERMILION) == 1
    assert "over learning_rate and local_epochs, 8 points: the best is 0.91 at" in svg
    assert ">local_epochs<" in svg and ">learning_rate<" in svg


def test_one_numeric_key_is_a_line_and_another_key_is_one_line_each() -> None:
    one = texts_of(tuned({RATE: RATES}, by_rate))
    assert ">0.01<" in one and ">10<" in one and ">validation accuracy<" in one
    several = tuned(
        {ALGORITHM: ("fedavg", {"kind": "fedprox", "mu": 0.1}), RATE: (1, 2)},
        lambda a, r: (0.1, 0.2),
    )
    svg = texts_of(several)
    assert ">fedavg<" in svg and ">fedprox(mu=0.1)<" in svg and ">algorithm<" in svg


@pytest.mark.parametrize(
    "keys",
    [
        {ALGORITHM: ("fedavg", "fedprox")},
        {RATE: (1, 2), EPOCHS: (1, 2), "training.batch_size": (1, 2)},
        {RATE: range(1, 20), EPOCHS: (1, 2)},
        {ALGORITHM: ("fedavg", "fedprox"), "model": ("mlp", "linear"), RATE: (1, 2)},
    ],
)
def test_other_grids_have_no_picture(keys: Mapping[str, Sequence[Any]]) -> None:
    assert tuning_by_key(tuned(keys, lambda *_: (0.5, 0.6))) is None


def test_a_key_with_one_value_is_no_axis() -> None:
    svg = texts_of(tuned({RATE: RATES, EPOCHS: (5,)}, by_rate))
    assert "over learning_rate, 4 points" in svg


def test_a_grid_of_which_nothing_could_be_chosen_is_shown_too() -> None:
    result = tuned({RATE: (10, 20), EPOCHS: (1, 2)}, by_rate)
    assert tuned_text(result) == "" and tuning_warnings(result) == [] == tuning_remarks(result)
    assert texts_of(result).count(">–<") == 4
    assert len(tuning_table(result).rows) == 4


def test_a_page_shows_the_sentence_the_picture_and_the_table() -> None:
    result = tuned({RATE: (0.1, 1)}, by_rate)
    files = report_files([result])
    text = files["pages/scenarios.md"]
    assert "Tuned: learning\\_rate 0.1 is the best of 2 points" in text
    assert "**At the edge of the grid: " in text
    assert "](../plots/tiny.tuning.svg)" in text
    assert "plots/tiny.tuning.svg" in files
    assert "| chosen |" in " ".join(text.split())
    assert "tuning" not in "".join(report([example_result()]).values())


def test_the_html_page_and_junit_say_what_was_chosen() -> None:
    result = tuned({RATE: (0.1, 1)}, by_rate)
    assert "Tuned: learning_rate 0.1 is the best of 2 points" in page([result])
    assert properties(result)["tuned"] == "learning_rate 0.1"
    assert "tuned" not in properties(example_result())


def test_a_picture_that_no_record_has_is_left_over(tmp_path: Path) -> None:
    from pytest_federated.report.leftovers import plots
    from pytest_federated.report.pages import write_report

    write_report([tuned({RATE: (0.1, 1)}, by_rate)], tmp_path)
    assert (tmp_path / "plots/tiny.tuning.svg").is_file()
    assert plots(tmp_path) == []
    (record,) = (tmp_path / "records").iterdir()
    record.unlink()
    assert plots(tmp_path) == [tmp_path / "plots/tiny.tuning.svg"]
