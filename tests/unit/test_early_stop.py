"""A run ends early once its verdict is certain, and never before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from example_results import example_result, example_scenario, expect, history, with_validation
from hypothesis import event, example, given
from hypothesis import strategies as st
from made_trainings import TRAIN, training
from pytest_federated.expectations.ending_early import certain
from pytest_federated.expectations.judging import judge
from pytest_federated.metrics.measure import Measure, headline
from pytest_federated.metrics.metric import metrics
from pytest_federated.report.compare import comparison
from pytest_federated.report.export import by_scenario, properties
from pytest_federated.report.markup import TERMINAL
from pytest_federated.report.plots.plot import draw_overviews, draw_scenario
from pytest_federated.report.tables.recall import recall_table
from pytest_federated.report.tables.rounds import round_table
from pytest_federated.report.tables.seeds import seed_table
from pytest_federated.report.tables.summary import headline as in_few_words
from pytest_federated.report.tables.summary import summary_row
from pytest_federated.results.record import Result
from pytest_federated.results.runs import Run
from pytest_federated.results.store import json_text
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.running.store import Store

curves = st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=3, max_size=3)


@given(st.lists(curves, min_size=1, max_size=3), st.integers(0, 20), st.integers(1, 4), st.data())
def test_what_is_certain_is_what_comes_out(
    accuracies: list[list[float]], threshold: int, rounds: int, data: st.DataObject
) -> None:
    """Wherever a run is cut off, a certain verdict equals that of the whole run."""
    names = ["best_accuracy", "best_validation_accuracy", "accuracy_drop", "rounds_to_accuracy"]
    name = data.draw(st.sampled_from(names))
    keys: dict[str, Any] = {"at_most": threshold / 20}
    if name.startswith("best_"):
        keys = {data.draw(st.sampled_from(["at_least", "at_most"])): threshold / 20}
    if name == "rounds_to_accuracy":
        keys = {"target": threshold / 20, "at_most": rounds}
    chosen = expect(**{name: keys})
    whole = [with_validation(history(list(curve)), curve[::-1]) for curve in accuracies]
    if name == "best_accuracy" and data.draw(st.booleans()):
        chosen = expect(**{name: {**keys, "best_by": "validation"}})
    finished = data.draw(st.integers(0, len(whole) - 1))
    begun = whole[finished].rounds[: data.draw(st.integers(0, 3))]
    found = certain(chosen, whole[:finished], begun, len(whole))
    if found is not None:
        (after,) = judge(chosen, whole)
        assert [v.passed for v in found] == [after.passed]


@pytest.fixture
def rising(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Trainings that reach 0.1 in round 1, 0.2 in round 2, ...; their rounds are counted."""
    log: list[int] = []
    curve = [n / 10 for n in range(1, 10)]
    monkeypatch.setattr(TRAIN, training({0: curve, 1: curve}, log))
    return log


thirtieths = st.integers(0, 30).map(lambda n: n / 30)


@given(
    st.lists(
        st.lists(st.integers(0, 10).map(lambda n: n / 10), min_size=4, max_size=4),
        min_size=1,
        max_size=3,
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "best_accuracy": st.fixed_dictionaries({"at_least": thirtieths}),
            "accuracy_drop": st.fixed_dictionaries({"at_most": thirtieths}),
            "rounds_to_accuracy": st.fixed_dictionaries(
                {"target": thirtieths, "at_most": st.integers(1, 5)}
            ),
            "accuracy": st.fixed_dictionaries({"at_least": thirtieths}),
        },
    ),
)
@example([[0.7, 0.8, 0.7, 0.8]], {"accuracy_drop": {"at_most": 0.1}})  # 0.8 - 0.7 is above 0.1
def test_a_run_that_ends_early_has_the_verdicts_of_the_whole_run(
    curves: list[list[float]], bounds: dict[str, dict[str, float]]
) -> None:
    """Thresholds often equal a figure or a mean over seeds exactly."""
    one = example_scenario(4, range(len(curves)), expect=bounds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TRAIN, training(dict(enumerate(curves))))
        whole, ended = run(one, Options(store=Store())), run(one, early())
    event(ended.reason.partition(",")[0] or "not ended")
    assert ended.status == whole.status
    after = {verdict.expectation: verdict for verdict in whole.verdicts}
    for verdict in ended.verdicts:
        if verdict.outcome != "not judged":
            assert verdict.passed == after[verdict.expectation].passed
        if verdict.measured is not None:
            assert verdict == after[verdict.expectation]
    if not ended.reason:
        assert ended == whole
    for cut, full in zip(ended.histories, whole.histories):
        assert cut.rounds == full.rounds[: len(cut.rounds)]
        assert cut.ended_early == (len(cut.rounds) < len(full.rounds))
        for name in metrics.names():
            keys = bounds.get(name, {})
            assert Measure(name).of(cut, keys) in (None, Measure(name).of(full, keys))


def early() -> Options:
    return Options(early_stop=True, store=Store())


def test_a_run_that_can_no_longer_pass_ends(rising: list[int], tmp_path: Path) -> None:
    """The first seed needs 6 rounds, so both need more than 3 on average once it has run 5."""
    target = {"target": 0.6, "at_most": 3}
    one = example_scenario(expect={"rounds_to_accuracy": target, "accuracy": {"at_least": 0.1}})
    result = run(one, Options(early_stop=True, store=Store(tmp_path)))
    assert rising == [0] * 5
    assert (result.status, result.reason) == ("failed", "ended early, after round 5 of seed 0")
    missed, other = result.verdicts
    assert (missed.outcome, missed.note) == ("fail", "can no longer hold: 3.5 or more")
    assert (other.outcome, other.passed) == ("not judged", True)
    run(one, Options(store=Store(tmp_path)))  # the run that was cut off was not stored
    assert rising == [0] * 5 + [0] * 9 + [1] * 9


def test_a_run_that_can_no_longer_fail_ends(rising: list[int]) -> None:
    result = run(example_scenario(expect={"best_accuracy": {"at_least": 0.15}}), early())
    assert rising == [0, 0, 0]  # 0.3 in the first seed is enough for both
    assert (result.status, result.reason) == ("passed", "ended early, after round 3 of seed 0")
    assert result.verdicts[0].note == "holds already: 0.15 to 1"


def test_the_figure_that_a_run_stopped_for_is_kept(rising: list[int]) -> None:
    """It is that of the whole run, with its interval and margin."""
    one = example_scenario(expect={"rounds_to_accuracy": {"target": 0.6, "at_most": 7}})
    (found,), (whole,) = run(one, early()).verdicts, run(one, Options()).verdicts
    assert rising == [0] * 9 + [1] * 6 + [0] * 9 + [1] * 9
    assert found == whole and found.measured == 6
    assert summary_row(run(one, early()))[-2:] == ["6 to 0.6", "passed"]


def test_a_target_that_nobody_waited_for_is_not_called_missed(rising: list[int]) -> None:
    """Another expectation ended the run first."""
    target = {"target": 0.9, "at_most": 9}
    expected = {"rounds_to_accuracy": target, "best_accuracy": {"at_most": 0.1}}
    result = run(example_scenario(seeds=[0], expect=expected), early())
    assert rising == [0, 0]
    assert summary_row(result)[-2:] == ["–", "failed"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), {"best_accuracy": {"at_least": 0.1}}),
        (Options(early_stop=True, inconclusive="fail"), {"best_accuracy": {"at_least": 0.1}}),
        (early(), {"best_accuracy": {"at_least": 0.1}, "accuracy": {"at_least": 0.1}}),
        (early(), {"loss": {"at_most": 0.1}}),
        (early(), {}),
    ],
)
def test_an_uncertain_run_goes_to_its_end(
    rising: list[int], options: Options, expected: dict[str, Any]
) -> None:
    result = run(example_scenario(expect=expected), options)
    assert rising == [0] * 9 + [1] * 9
    assert result.reason == ""


def test_a_verdict_reached_in_the_last_round_is_an_ordinary_one(rising: list[int]) -> None:
    one = example_scenario(3, [0], expect={"best_accuracy": {"at_least": 0.3}})
    result = run(one, early())
    assert result.reason == "" and result.verdicts[0].measured == 0.3


READERS: dict[str, Callable[[Result], Any]] = {
    "summary": lambda result: (summary_row(result)[7], in_few_words(result)),
    "rounds": round_table,
    "recall": recall_table,
    "seeds": lambda result: [r for r in seed_table(result).rows if r[0] == "mean"],
    "plots": lambda result: {kind: p.svg() for kind, p in draw_scenario(result).items()},
    "overview": lambda result: {
        kind: p.svg() for kind, p in draw_overviews([result, example_result()]).items()
    },
    "export": lambda result: [{**row, "clients": 0} for row in by_scenario([result])],
    "properties of a test": properties,
    "compare": lambda result: comparison(
        [Run("before", {"a": example_result("a")}), Run("now", {"a": result})], headline(), TERMINAL
    ),
    "accuracies": lambda result: result.accuracies,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("is_diverged", [False, True])
def test_means_over_seeds_leave_out_what_did_not_come_to_its_end(
    reader: str, is_diverged: bool
) -> None:
    """A training of another length would be a mean of unlike things."""
    two = example_result("a", (0.8, 0.9), rounds=4)
    extra = example_result("a", (0.1,), rounds=3).histories[0]
    mark = {"diverged": "diverged in round 3"} if is_diverged else {"ended_early": True}
    figures = {"client_accuracy": (0.1, 0.2), "class_recall": (0.1, 0.2, 0.3), "epsilon": 9.0}
    cut = extra.model_copy(update={"seed": 2, **mark, **figures})
    read = READERS[reader]
    assert read(two.model_copy(update={"histories": (*two.histories, cut)})) == read(two)


def test_a_training_that_was_ended_says_so_in_its_record(rising: list[int]) -> None:
    result = run(example_scenario(expect={"best_accuracy": {"at_least": 0.15}}), early())
    text = json_text(result)
    assert '"ended_early": true' in text
    assert Result.model_validate_json(text).histories == result.histories
    assert summary_row(result)[6:8] == ["0 of 2", "–"]
    assert "ended_early" not in json_text(run(example_scenario(), early()))
