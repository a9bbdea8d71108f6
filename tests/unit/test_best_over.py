"""`compare --best-over`: the best of the values of a key, for each combination of the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import pytest
from example_results import example_result, with_validation
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError
from pytest_federated.metrics.measure import Measure
from pytest_federated.report.best_over import Pick, best_over, picks_text
from pytest_federated.report.markup import MARKDOWN
from pytest_federated.results.record import Result
from pytest_federated.results.runs import Run
from pytest_federated.results.store import write_result

ACCURACY = Measure("accuracy")


def variant(
    variant_id: str, test: float, validation: Optional[float] = None, **more: Any
) -> Result:
    """A variant of two seeds with these final accuracies."""
    result = example_result(f"a[{variant_id}]", (test, test), **more)
    if validation is None:
        return result
    whole = tuple(with_validation(h, [0.0, validation]) for h in result.histories)
    return result.model_copy(update={"histories": whole})


def run_of(*results: Result, name: str = "now") -> Run:
    return Run(name, {result.id: result for result in results})


def picked(
    *results: Result, key: str = "learning_rate", measure: Measure = ACCURACY
) -> tuple[dict[str, Result], list[Pick]]:
    (run,), picks = best_over([run_of(*results)], key, measure)
    return run.results, picks


def test_each_combination_of_the_other_keys_keeps_the_best_value_on_validation_data() -> None:
    results, picks = picked(
        variant("alpha=1,learning_rate=0.1", 0.5, 0.9),
        variant("alpha=1,learning_rate=1", 0.8, 0.7),
        variant("alpha=9,learning_rate=0.1", 0.6, 0.5),
        variant("alpha=9,learning_rate=1", 0.4, 0.6),
    )
    assert {name: r.accuracies for name, r in results.items()} == {
        "a[alpha=1]": [0.5, 0.5],
        "a[alpha=9]": [0.4, 0.4],
    }
    assert [result.id for result in results.values()] == list(results)
    assert [(p.scenario, p.value, p.measure) for p in picks] == [
        ("a[alpha=1]", "0.1", Measure("validation_accuracy")),
        ("a[alpha=9]", "1", Measure("validation_accuracy")),
    ]


def test_without_validation_data_the_test_data_chooses_and_that_is_said() -> None:
    results, picks = picked(variant("learning_rate=0.1", 0.5), variant("learning_rate=1", 0.8))
    assert list(results) == ["a"]
    assert picks[0].measure == ACCURACY
    text = picks_text(picks, "learning_rate", MARKDOWN)
    assert "All chosen on the test data, as there is no validation set: the figures are " in text


def test_where_some_have_no_validation_data_the_test_data_chooses_among_all() -> None:
    _, picks = picked(variant("learning_rate=0.1", 0.5, 0.9), variant("learning_rate=1", 0.8))
    assert (picks[0].value, picks[0].measure) == ("1", ACCURACY)


def test_what_chose_is_said_of_each() -> None:
    two = [variant("learning_rate=0.1", 0.5, 0.9), variant("learning_rate=1", 0.8, 0.1)]
    _, picks = best_over(
        [
            run_of(*two),
            run_of(variant("learning_rate=1", 0.1), variant("learning_rate=2", 0.2), name="b"),
        ],
        "learning_rate",
        ACCURACY,
    )
    text = picks_text(picks, "learning_rate", MARKDOWN)
    assert "1 of 2 chosen on the test data" in text
    rows = [" ".join(line.split()) for line in text.splitlines() if line.startswith("| a")]
    assert rows == [
        "| a | now | 0.1 | 0.1, 1 | validation accuracy | 0.9 | at the edge |",
        "| a | b | 2 | 1, 2 | accuracy | 0.2 | at the edge |",
    ]


@pytest.mark.parametrize(
    ("values", "best", "remark"),
    [
        (("0.1", "1", "10"), "1", ""),
        (("0.1", "1", "10"), "10", "at the edge"),
        (("0", "1", "10"), "0", ""),
        (("sgd", "adam"), "adam", ""),
    ],
)
def test_a_value_at_the_edge_is_marked(values: Sequence[str], best: str, remark: str) -> None:
    _, picks = picked(*(variant(f"learning_rate={v}", 0.9 if v == best else 0.5) for v in values))
    assert (picks[0].value, picks[0].remark) == (best, remark)


def test_the_lowest_is_best_where_less_is_better() -> None:
    _, picks = picked(
        variant("learning_rate=0.1", 0.5), variant("learning_rate=1", 0.8), measure=Measure("loss")
    )
    assert picks[0].value == "1"


def test_a_variant_that_diverged_is_not_picked() -> None:
    lost = variant("learning_rate=1", 0.9)
    lost = lost.model_copy(
        update={
            "status": "diverged",
            "histories": tuple(h.model_copy(update={"diverged": "x"}) for h in lost.histories),
        }
    )
    _, picks = picked(variant("learning_rate=0.1", 0.5), lost)
    assert picks[0].value == "0.1"
    results, picks = picked(lost)
    assert (picks[0].measure, picks[0].remark) == (None, "none has the figure")
    assert results["a"].status == "diverged"


def test_other_scenarios_stay_as_they_are() -> None:
    other = example_result("other")
    results, _ = picked(variant("learning_rate=0.1", 0.5), variant("learning_rate=1", 0.8), other)
    assert results["other"] == other


def test_a_dotted_key_is_that_of_the_record() -> None:
    client, server = (
        "training.client_optimizer.learning_rate",
        "training.server_optimizer.learning_rate",
    )
    both = [
        variant(
            f"client_optimizer.learning_rate={one},server_optimizer.learning_rate=1", one
        ).model_copy(update={"matrix": {client: one, server: 1}})
        for one in (0.1, 0.2)
    ]
    results, picks = picked(*both, key=client)
    assert list(results) == ["a[server_optimizer.learning_rate=1]"]
    assert picks[0].value == "0.2"
    said = "a\\[.*: may be client_optimizer.learning_rate or server_optimizer.learning_rate"
    with pytest.raises(FederatedError, match=said):
        picked(*both)


def test_what_cannot_be_done_is_an_error() -> None:
    two = [variant("learning_rate=0.1", 0.5), variant("learning_rate=1", 0.8)]
    with pytest.raises(FederatedError, match=r"no matrix varies it; .*did you mean"):
        picked(*two, key="learning_rat")
    with pytest.raises(FederatedError, match="no matrix varies it"):
        picked(example_result("alone"))
    with pytest.raises(FederatedError, match="neither more nor less"):
        picked(*two, measure=Measure("custom"))


def test_the_command_compares_the_best_of_two_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, shift in (("before", 0.0), ("after", 0.1)):
        for rate, accuracy in (("0.1", 0.5), ("1", 0.8)):
            write_result(variant(f"learning_rate={rate}", accuracy + shift), tmp_path / folder)
    runs = [str(tmp_path / "before"), str(tmp_path / "after")]
    assert main(["compare", *runs, "--best-over", "learning_rate"]) == 0
    output = capsys.readouterr().out
    assert "1 better" in output
    assert "The best learning_rate" in output
    assert main(["compare", runs[0], "--best-over", "learning_rate"]) == 0
    assert "chosen on the test data" in capsys.readouterr().out


def test_a_mean_of_zero_is_picked_where_it_is_the_best() -> None:
    def lossless(result: Result) -> Result:
        rounds = [
            tuple(r.model_copy(update={"loss": 0.0}) for r in h.rounds) for h in result.histories
        ]
        whole = (h.model_copy(update={"rounds": r}) for h, r in zip(result.histories, rounds))
        return result.model_copy(update={"histories": tuple(whole)})

    _, (pick,) = picked(
        variant("learning_rate=1", 0.9),
        lossless(variant("learning_rate=2", 0.8)),
        measure=Measure("loss"),
    )
    assert (pick.value, pick.mean) == ("2", 0)
