"""The variants of a matrix compared with one of them: what is compared, found and shown."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from example_results import example_result
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError, ScenarioError
from pytest_federated.metrics.measure import expected_measure
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.metrics.targets import Speedup
from pytest_federated.report.comparison.findings import findings, verdict
from pytest_federated.report.comparison.page import (
    comparison_page,
    html_comparison,
    papers_verdict,
    report_comparisons,
)
from pytest_federated.report.comparison.places import follows, telling
from pytest_federated.report.comparison.published import (
    FAILS,
    HOLDS,
    OPEN,
    SEEMS,
    exceptions,
    outcome,
    pairs,
)
from pytest_federated.report.comparison.study import Study, Wanted, name_of, studies, text_of
from pytest_federated.report.comparison.tables import (
    ROWS,
    implied_text,
    results_table,
    short_texts,
    targets_table,
)
from pytest_federated.report.comparison.tasks import OverTasks, over_tasks
from pytest_federated.report.layout import INDEX, LARGEST, MARK
from pytest_federated.report.markup import MARKDOWN, TERMINAL
from pytest_federated.report.pages import report_files, write_report
from pytest_federated.report.plots.heat_map import heat_map
from pytest_federated.results.record import Result
from pytest_federated.results.store import read_results, write_result
from pytest_federated.scenario.loader import load_file
from scipy import stats

LOW, HIGH = (0.50, 0.52, 0.54, 0.51, 0.53), (0.60, 0.61, 0.65, 0.62, 0.62)


def matrix(
    *accuracies: tuple[str, Sequence[float]],
    name: str = "m",
    comparison: Optional[Mapping[str, Any]] = None,
    **more: Any,
) -> list[Result]:
    """Results of a matrix: the variant's part of the id, and its final accuracies."""
    results = [example_result(f"{name}[{v}]", of, **more) for v, of in accuracies]
    if comparison is None:
        return results
    return [
        r.model_copy(update={"settings": {**r.settings, "comparison": comparison}}) for r in results
    ]


def study(*accuracies: tuple[str, Sequence[float]], **wanted: Any) -> Study:
    (one,) = studies(matrix(*accuracies), Wanted(**wanted))
    return one


ALGORITHMS = study(
    ("alpha=0.1,algorithm=fedavg", LOW),
    ("alpha=0.1,algorithm=fedprox(mu=0.1)", HIGH),
    ("alpha=10,algorithm=fedavg", HIGH),
    ("alpha=10,algorithm=fedprox(mu=0.1)", HIGH),
    reference="algorithm=fedavg",
    targets=[0.3, 0.55, 0.9],
)


def cells_of(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


# What is compared


def test_variants_are_compared_with_the_reference_of_their_task() -> None:
    assert [text_of(task) for task in ALGORITHMS.tasks] == ["0.1", "10"]
    assert [text_of(v) for v in ALGORITHMS.variants] == ["fedavg", "fedprox(mu=0.1)"]
    assert (ALGORITHMS.task_key, ALGORITHMS.variant_key) == ("alpha", "algorithm")
    low, high = (ALGORITHMS.difference(*place) for place in ALGORITHMS.others)
    assert low and low.pairs == 5 and low.change == "better" and low.before == pytest.approx(0.52)
    assert high and high.change == "same"


@pytest.mark.parametrize(
    ("asked", "reference"),
    [
        ("", "a"),  # the first value of the last key
        ("algorithm=b", "b"),
        ("alpha=2", "2"),
        ("algorithm=b,alpha=1", "1, b"),
        ("alpha=1, algorithm=b", "1, b"),
    ],
)
def test_a_reference_names_what_its_variants_have_in_common(asked: str, reference: str) -> None:
    figures = [(f"alpha={a},algorithm={b}", LOW) for a in (1, 2) for b in "ab"]
    assert text_of(study(*figures, reference=asked).reference) == reference
    asking = matrix(*figures, comparison={"reference": asked})
    assert text_of(studies(asking)[0].reference) == reference


def test_keys_that_vary_together_are_one() -> None:
    one = study(
        *(
            (f"alpha={a},algorithm={b},learning_rate={r}", LOW)
            for a in (1, 2)
            for b, r in ("x1", "y2")
        ),
        reference="algorithm=x",
    )
    assert (one.task_key, one.variant_key) == ("alpha", "algorithm")
    assert [name_of(v) for v in one.variants] == ["x", "y"]
    assert len(one.others) == 2
    assert (
        "With algorithm goes learning_rate: x → 1; y → 2." in comparison_page([one], TERMINAL).text
    )


JOINT = (
    ("local_epochs=1,batch_size=all,learning_rate=0.2,rounds=120", LOW),
    ("local_epochs=1,batch_size=10,learning_rate=0.1,rounds=25", HIGH),
    ("local_epochs=5,batch_size=10,learning_rate=0.1,rounds=10", HIGH),
)
ROWS_OF_JOINT = ["local_epochs 1, batch_size all", "local_epochs 1, batch_size 10"]


@pytest.mark.parametrize(
    "reference", ["", "local_epochs=1,batch_size=all", "batch_size=all", "batch_size=10"]
)
def test_keys_whose_values_others_decide_name_no_variant(reference: str) -> None:
    one = study(*JOINT, reference=reference)
    names = [name_of((*task, *variant)) for task in one.tasks for variant in one.of_task(task)]
    assert sorted(names) == sorted([*ROWS_OF_JOINT, "local_epochs 5, batch_size 10"])


@pytest.mark.parametrize(
    ("reference", "published"),
    [
        ("learning_rate=0.2", {}),
        ("local_epochs=1", {"source": "s", "figures": {"learning_rate=0.2": 1.0}}),
        ("local_epochs=1", {"source": "s", "order": ["learning_rate=0.1", "learning_rate=0.2"]}),
    ],
)
def test_keys_that_the_scenario_names_variants_by_stay(
    reference: str, published: Mapping[str, Any]
) -> None:
    (one,) = studies(matrix(*JOINT, comparison={"reference": reference, "published": published}))
    labels = {label for task, variant in one.cells for label, _ in (*task, *variant)}
    assert "learning_rate" in labels and "rounds" not in labels


def test_what_goes_with_the_names_is_said_of_tasks_and_variants() -> None:
    joint = [
        (f"split={s},{e},algorithm={a},rate={r}", LOW)
        for s, e in (("iid", "epochs=1,shift=()"), ("shards", "epochs=2,shift=()"))
        for a, r in ("x1", "y2")
    ]
    one = study(*joint, reference="algorithm=x")
    assert (one.task_key, one.variant_key) == ("split", "algorithm")
    said = "With split goes epochs: iid → 1; shards → 2. With algorithm goes rate: x → 1; y → 2."
    assert said in comparison_page([one], TERMINAL).text.replace("\n", " ")
    many = [(f"k={n},rounds={n + 1},rate={n + 2}", LOW) for n in range(26)]
    text = implied_text(study(*many), TERMINAL).replace("\n", " ")
    assert text.startswith("With k go rounds, rate: 0 → 1, 2; 1 → 2, 3; ")
    assert text.endswith("23 → 24, 25; and 2 more.")
    text = implied_text(study(*many[:24]), TERMINAL).replace("\n", " ")
    assert text.endswith("; 23 → 24, 25.")
    assert implied_text(ALGORITHMS, TERMINAL) == ""
    crossed = [(f"a={a},k={k},rounds={a * k}", LOW) for a in (1, 2) for k in (1, 3)]
    text = implied_text(study(*crossed), TERMINAL).replace("\n", " ")
    assert text == "With a, k goes rounds: 1, 1 → 1; 1, 3 → 3; 2, 1 → 2; 2, 3 → 6."


def test_tasks_of_several_keys_read_as_a_sentence() -> None:
    places = [("0.0", 1), ("0.0", 5), ("0.1", 1)]
    figures = [(f"similar={s},epochs={e},k={k}", LOW) for s, e in places for k in "xy"]
    said = "y at similar 0.0 (epochs 1 and 5) and 0.1 (epochs 1)."
    assert findings(study(*figures, reference="k=x"))[-1].endswith(said)
    better = [
        (f"split={split},shift={shift},k={k}", of)
        for split, shift in (("iid", "()"), ("iid", "(noise)"), ("a", "()"))
        for k, of in (("x", LOW), ("y", HIGH if (split, shift) == ("iid", "(noise)") else LOW))
    ]
    found = findings(study(*better, reference="k=x"))
    assert found[0].startswith("With split iid, shift (noise), y is 10.0 points ahead of x")
    assert found[-1].endswith("y with split a (shift none) and iid (shift none).")


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from("ab"), min_size=width, max_size=width),
            min_size=1,
            unique_by=tuple,
        )
    )
)
def test_what_tells_places_apart_tells_all_of_them_apart(rows: list[list[str]]) -> None:
    labels = [f"k{n}" for n in range(len(rows[0]))]
    places = [dict(zip(labels, row)) for row in rows]
    kept = telling(labels, (), places)
    assert len({tuple(place[label] for label in kept) for place in places}) == len(places)
    assert all(
        len(kept) == 1 or not follows(one, [k for k in kept if k != one], places) for one in kept
    )
    assert telling(labels, labels, places) == labels


def test_keys_with_one_value_are_left_out() -> None:
    one = study(("alpha=1,seed=7,k=2", LOW), ("alpha=1,seed=7,k=3", HIGH))
    assert (one.task_key, one.variant_key) == ("", "k")


def test_a_task_without_its_reference_has_nothing_to_compare() -> None:
    one = study(("a=1,k=x", LOW), ("a=1,k=y", HIGH), ("a=2,k=y", HIGH), reference="k=x")
    assert "1 better, 1 without a result to compare" in verdict(one)
    assert findings(one)[-1] == "Nothing to compare: y at a 2."


def test_a_reference_that_there_is_not_is_named() -> None:
    with pytest.raises(FederatedError, match="--reference: got 'k=z'; allowed: k=x, k=y"):
        study(("k=x", LOW), ("k=y", HIGH), reference="k=z")


@pytest.mark.parametrize("asked", ["k=y,a=1", ",", "=", "k", "k=y,seed=7"])
def test_a_reference_that_no_variant_of_any_matrix_is_is_refused(asked: str) -> None:
    results = [*matrix(("k=x", LOW), ("k=y", HIGH)), *matrix(("a=1", LOW), ("a=2", LOW), name="n")]
    with pytest.raises(FederatedError, match=r"--reference: got .*; allowed: k=x, k=y, a=1, a=2"):
        studies(results, Wanted(asked))


def test_a_matrix_without_the_reference_of_another_keeps_its_own() -> None:
    asking = matrix(("a=1", LOW), ("a=2", HIGH), name="n", comparison={"reference": "a=2"})
    of_both = studies([*matrix(("k=x", LOW), ("k=y", HIGH)), *asking], Wanted("k=y"))
    assert [text_of(one.reference) for one in of_both] == ["y", "2"]


def test_a_target_that_no_study_can_have_is_refused_and_one_of_another_metric_left_out() -> None:
    of_loss = matrix(("k=x", LOW), ("k=y", HIGH), name="n", comparison={"metric": "loss"})
    of_both = [*matrix(("k=x", LOW), ("k=y", HIGH)), *of_loss]
    shares, losses = studies(of_both, Wanted(targets=[2.0, 0.5]))
    assert (shares.targets, losses.targets) == ([0.5], [0.5, 2.0])
    with pytest.raises(FederatedError, match="--target: got 2; accuracy is from 0 to 1"):
        studies(of_both[:2], Wanted(targets=[0.5, 2.0]))
    worst = Wanted(measure=expected_measure("worst_client_accuracy"), targets=[0.5])
    with pytest.raises(FederatedError, match="--target: worst_client_accuracy is not measured in"):
        studies(of_both, worst)


def test_what_the_command_asks_for_goes_before_what_the_scenario_says() -> None:
    asking = matrix(
        ("k=x", LOW),
        ("k=y", HIGH),
        comparison={"reference": "k=x", "metric": "loss", "targets": [0.4]},
    )
    (one,) = studies(asking)
    assert (text_of(one.reference), one.measure.name, one.targets) == ("x", "loss", [0.4])
    wanted = Wanted("k=y", expected_measure("accuracy"), [0.6, 0.5])
    (one,) = studies(asking, wanted)
    assert (text_of(one.reference), one.measure.name, one.targets) == ("y", "accuracy", [0.5, 0.6])


# What is found


def test_who_was_there_when_first_evaluated_has_no_speed() -> None:
    """One seed of one variant is enough, evaluated from the second round on."""
    results = matrix(("k=x", [0.5] * 3), ("k=y", [0.9] * 3), rounds=4)
    wanted = Wanted(targets=[0.4])
    (whole,) = studies(results, wanted)
    assert not any(whole.is_at_most((), v, 0.4) for v in whole.variants)
    assert whole.times_faster((), whole.variants[1], 0.4) is not None
    for side in (0, 1):
        late = evaluated_from(results[side], 2 if side else 4)
        mixed = (*results[side].histories[:2], late.histories[2])
        changed = list(results)
        changed[side] = results[side].model_copy(update={"histories": mixed})
        (one,) = studies(changed, wanted)
        assert [one.is_at_most((), v, 0.4) for v in one.variants] == [side == 0, side == 1]
        assert one.times_faster((), one.variants[1], 0.4) is None


def sending(results: list[Result], by_seed: Sequence[int]) -> list[Result]:
    """Returns these results; in each round so many bytes were sent, and as many received."""
    for result in results:
        for history, sent in zip(result.histories, by_seed):
            for done in history.rounds:
                object.__setattr__(done, "bytes_down", sent)
                object.__setattr__(done, "bytes_up", sent)
    return results


def test_what_is_sent_until_a_target_is_a_mean_over_seeds() -> None:
    results = sending(matrix(("k=x", [0.5, 0.5]), ("k=y", [0.5, 0.2])), (1_000_000, 2_000_000))
    (one,) = studies(results)
    first, second = one.variants
    assert one.megabytes((), first, 0.5) == 6
    assert one.megabytes((), first, 0.375) == 4.5
    assert one.megabytes((), second, 0.5) is None  # a seed does not get there
    lost = [results[0].model_copy(update={"histories": ()}), results[1]]
    (none,) = studies(lost)
    assert none.megabytes((), first, 0.5) is None


def test_a_study_is_described_where_all_variants_say_the_same() -> None:
    texts = [("two", "two"), ("two", "other"), ("", ""), (None, "")]
    for one, other in texts:
        results = matrix(("k=x", LOW), ("k=y", HIGH))
        for result, text in zip(results, (one, other)):
            result.settings["description"] = text
        assert studies(results)[0].description == ("two" if one == other == "two" else "")


def test_records_of_another_matrix_are_no_study() -> None:
    """Of the same name and with other keys, whichever comes first."""
    results = matrix(("k=x", LOW), ("k=y", HIGH), ("alpha=1,k=z", LOW), ("k=z,alpha=1", LOW))
    assert len(studies(results[:2])) == 1
    for others in ([0, 1, 2], [2, 0, 1], [0, 2, 1], [2, 3]):
        assert studies([results[n] for n in others]) == []
    assert studies(results[:1]) == []


def test_a_metric_beside_is_shown_if_one_variant_has_it() -> None:
    results = matrix(("k=x", LOW), ("k=y", HIGH))
    assert studies(results)[0].beside == []
    for history in results[1].histories:
        object.__setattr__(history, "client_accuracy", (0.2, 0.9))
    assert [one.title for one in studies(results)[0].beside] == ["worst tenth of the clients"]


def test_values_that_begin_with_a_letter_speak_for_themselves() -> None:
    shown = {"a1": "a1", "iid": "iid", "1a": "k 1a", "nan": "k nan", "True": "k True"}
    shown["all"] = "k all"
    assert {value: name_of((("k", value),)) for value in shown} == shown
    assert name_of((("k", "x"), ("more", "()"))) == "x"  # nothing chosen beside it
    assert name_of((("k", "()"),)) == "k ()"


def test_the_first_reason_why_no_study_can_have_a_target_is_said() -> None:
    other = {"metric": "worst_client_accuracy"}
    results = [
        *matrix(("k=x", LOW), ("k=y", HIGH)),
        *matrix(("k=x", LOW), ("k=y", HIGH), name="n", comparison=other),
    ]
    with pytest.raises(FederatedError, match="--target: got 2; accuracy is from 0 to 1"):
        studies(results, Wanted(targets=[2.0]))


def test_a_difference_is_one_plain_sentence() -> None:
    assert verdict(ALGORITHMS) == "Compared with fedavg: 1 better, 1 the same."
    found = findings(ALGORITHMS)
    assert found[0] == (
        "At alpha 0.1, fedprox(mu=0.1) is 10.0 points ahead of fedavg (paired over 5 seeds, "
        "8.8 to 11.2)."
    )
    assert (
        found[-1]
        == "The same as fedavg, to within what matters (0.01): fedprox(mu=0.1) at alpha 10."
    )


@pytest.mark.parametrize(
    ("values", "metric", "said"),
    [
        (
            ("x", LOW, "y", HIGH),
            "accuracy",
            "y is 10.0 points ahead of x (paired over 5 seeds, 8.8",
        ),
        (("x", HIGH, "y", LOW), "accuracy", "y is 10.0 points behind x (paired over 5 seeds, 8.8"),
        (("1", LOW, "2", HIGH), "accuracy", "k 2 is 10.0 points ahead of k 1 (paired"),
        (
            ("x", LOW, "y", HIGH),
            "loss",
            "The loss of y is 0.1 below that of x (paired over 5 seeds",
        ),
    ],
)
def test_the_direction_is_said_in_words(values: Any, metric: str, said: str) -> None:
    one, low, other, high = values
    measure = expected_measure(metric)
    compared = study((f"k={one}", low), (f"k={other}", high), measure=measure)
    assert findings(compared)[0].startswith(said)


def test_other_seeds_are_not_called_pairs() -> None:
    results = matrix(("k=x", LOW), ("k=y", HIGH))
    moved = tuple(h.model_copy(update={"seed": h.seed + 9}) for h in results[1].histories)
    (one,) = studies([results[0], results[1].model_copy(update={"histories": moved})])
    assert "(other seeds, " in findings(one)[0]


def test_a_single_seed_tells_nothing() -> None:
    one = study(("k=x", [0.5]), ("k=y", [0.9]))
    assert verdict(one) == "Compared with x: 1 of one seed, undecided."
    assert findings(one) == ["With one seed, which tells nothing of the difference from x: y."]
    assert "**" not in results_table(one, MARKDOWN)


def test_undecided_variants_share_a_sentence() -> None:
    wide = (0.1, 0.9, 0.5, 0.7, 0.3)
    one = study(*((f"a={a},k={k}", LOW if k == "x" else wide) for a in (1, 2, 3) for k in "xyz"))
    assert findings(one) == ["Undecided, with these seeds: y at a 1, 2 and 3; z at a 1, 2 and 3."]


def test_speed_is_said_where_the_seeds_tell_it() -> None:
    slow, fast = (0.5, 0.51, 0.52, 0.53, 0.54), (0.9, 0.93, 0.9, 0.92, 0.91)
    there = study(("k=x", slow), ("k=y", fast), targets=[0.49])
    assert any(
        s.startswith("y is 1.8 times faster than x to accuracy 0.49") for s in findings(there)
    )
    back = study(("k=x", fast), ("k=y", slow), targets=[0.49])
    assert any(s.startswith("y needs 1.8 times the rounds of x to") for s in findings(back))
    never = study(("k=x", slow), ("k=y", fast), targets=[0.8])
    assert "y reaches accuracy 0.8 with all 5 seeds, x with none." in findings(never)


def test_a_speed_has_its_interval_in_the_direction_that_is_said() -> None:
    """By hand: the paired t interval of the logarithms of rounds, to two digits."""
    slow, fast = (0.5, 0.52, 0.53), (0.9, 0.97, 0.95)
    goal, rounds = 0.49, [[2 * 0.49 / v for v in side] for side in (slow, fast)]
    logs = np.log(rounds[0]) - np.log([max(1.0, n) for n in rounds[1]])
    half = stats.t.ppf(0.975, 2) * logs.std(ddof=1) / np.sqrt(3)
    low, middle, high = (
        f"{math.exp(n):.2g}" for n in (logs.mean() - half, logs.mean(), logs.mean() + half)
    )
    said = f"{middle} times {{}} to accuracy 0.49 (paired over 3 seeds, {low} to {high})."
    there = findings(study(("k=x", slow), ("k=y", fast), targets=[goal]))
    assert f"y is {said.format('faster than x')}" in there
    back = findings(study(("k=x", fast), ("k=y", slow), targets=[goal]))
    assert f"y needs {said.format('the rounds of x')}" in back


def reaching(text: str) -> list[str]:
    """Returns findings on who reaches 0.8: x and y have these final accuracies, in tenths."""
    x, y = ([int(n) / 10 for n in of] for of in text.split())
    found = findings(study(("k=x", x), ("k=y", y), targets=[0.8]))
    return [one for one in found if "accuracy 0.8" in one]


@pytest.mark.parametrize(
    ("tenths", "said"),
    [
        ("555 999", "y reaches accuracy 0.8 with all 3 seeds, x with none."),
        ("999 555", "x reaches accuracy 0.8 with all 3 seeds, y with none."),
        ("55 99", "y reaches accuracy 0.8 with all 2 seeds, x with none."),
        ("5 9", "y reaches accuracy 0.8 with its seed, x with none."),
        ("555 995", ""),
        ("559 999", ""),
        ("955 599", ""),
        ("555 555", ""),
        ("999 989", ""),  # both do, and the seeds do not tell who is faster
        ("889 998", ""),
        ("9 8", ""),
    ],
)
def test_who_reaches_a_target_is_said_where_all_do_or_none(tenths: str, said: str) -> None:
    assert reaching(tenths) == ([said] if said else [])


def test_who_has_no_result_reaches_nothing() -> None:
    results = matrix(("k=x", (0.9,) * 3), ("k=y", (0.9,) * 3))
    for missing in (0, 1):
        lost = [
            r.model_copy(update={"histories": ()}) if place == missing else r
            for place, r in enumerate(results)
        ]
        (one,) = studies(lost, Wanted(targets=[0.8]))
        assert findings(one) == ["Nothing to compare: y."]


def test_each_task_and_target_has_its_own_finding() -> None:
    """Also after one of which there is nothing to say, or another thing."""
    wide, low, high = (0.1, 0.9, 0.5), (0.50, 0.51, 0.53), (0.90, 0.91, 0.92)
    of_tasks = {1: (wide, wide[::-1]), 2: (low, high), 3: (wide, wide[::-1]), 4: (low, high)}
    one = study(
        *((f"a={a},k={k}", of) for a, pair in of_tasks.items() for k, of in zip("xy", pair)),
        targets=[0.3, 0.8],
    )
    assert [(text[:10], text.split()[-1]) for text in findings(one)] == [
        ("At a 2, y ", "41.1)."),
        ("At a 4, y ", "41.1)."),
        ("At a 2, y ", "1.3)."),
        ("At a 4, y ", "1.3)."),
        ("At a 2, y ", "none."),
        ("At a 4, y ", "none."),
        ("Undecided,", "3."),
    ]


def test_a_loss_is_said_with_three_digits_and_its_direction() -> None:
    up = study(
        ("k=x", (0.5, 0.5001)), ("k=y", (0.26543, 0.26553)), measure=expected_measure("loss")
    )
    assert findings(up) == [
        "The loss of y is 0.235 above that of x (paired over 2 seeds, 0.235 to 0.235)."
    ]


def test_tasks_that_are_not_all_numbers_are_not_at_something() -> None:
    names = ("1", "iid", "2")
    one = study(*((f"a={a},k={k}", LOW) for a in names for k in "xy"))
    assert findings(one)[-1].endswith(": y with a 1, 2 and iid.")


def test_many_findings_are_cut_short() -> None:
    values = [(f"k={n}", LOW if n == 0 else HIGH) for n in range(30)]
    found = findings(study(*values, reference="k=0"))
    assert len(found) == 13 and found[-1] == "... and 17 more, in the tables."
    assert findings(study(*values[:14], reference="k=0"))[-1] == "... and 1 more, in the tables."
    assert len(findings(study(*values[:13], reference="k=0"))) == 12


scores = st.lists(st.integers(0, 100).map(lambda n: n / 100), min_size=5, max_size=5)


@settings(max_examples=40)
@given(scores, scores, st.permutations(range(5)))
def test_swapping_the_reference_flips_signs_and_the_order_of_seeds_changes_nothing(
    one: list[float], other: list[float], order: list[int]
) -> None:
    results = matrix(("k=x", one), ("k=y", other))
    (there,), (back,) = (studies(results, Wanted(f"k={k}", targets=[0.4])) for k in "xy")
    forth, again = there.difference(*there.others[0]), back.difference(*back.others[0])
    assert forth and again and forth.low is not None and again.high is not None
    assert forth.difference == pytest.approx(-again.difference)
    assert forth.low == pytest.approx(-again.high)
    flipped = {"better": "worse", "worse": "better"}
    assert again.change == flipped.get(forth.change, forth.change)
    shuffled = [
        r.model_copy(update={"histories": tuple(r.histories[n] for n in order)}) for r in results
    ]
    (same,) = studies(shuffled, Wanted("k=x", targets=[0.4]))
    assert comparison_page([same], MARKDOWN).text == comparison_page([there], MARKDOWN).text


@settings(max_examples=20)
@given(scores, scores, st.sampled_from([0.1, 0.9]))
def test_only_pairs_count(one: list[float], other: list[float], more: float) -> None:
    """A seed that one side alone has changes its mean, and no difference."""
    both = study(("k=x", one), ("k=y", other))
    longer = study(("k=x", one), ("k=y", [*other, more]))
    assert both.difference(*both.others[0]) == longer.difference(*longer.others[0])


# Tables


def test_the_table_has_the_mark_first_and_tells_equal_names_apart() -> None:
    (one,) = studies(matrix(("size=a", LOW), ("size=b", HIGH), name="size"))
    head, first, second = cells_of(results_table(one, MARKDOWN))
    assert head == ["", "size", "accuracy", "difference"] and len(set(head)) == len(head)
    assert first == ["reference", "a", "0.520 ± 0.020", "–"]
    assert second[:3] == ["▲ better", "b", "**0.620 ± 0.023**"]
    assert second[3] == "+0.100 (+0.088 to +0.112)"


def test_the_worst_tenth_of_the_clients_is_there_if_it_was_measured() -> None:
    results = matrix(("k=x", LOW), ("k=y", HIGH))
    assert "worst tenth" not in comparison_page(studies(results), MARKDOWN).text
    for result, worst in zip(results, (0.2, 0.4)):
        for history in result.histories:
            object.__setattr__(history, "client_accuracy", (worst, 0.9))
    (one,) = studies(results)
    head, first, second = cells_of(results_table(one, MARKDOWN))
    assert head == ["", "k", "accuracy", "difference", "worst tenth of the clients"]
    assert first[3:] == ["–", "0.200 ± 0.000"]
    assert second[3:] == ["+0.100 (+0.088 to +0.112)", "**0.400 ± 0.000**"]
    assert any("y is 20.0 points ahead of x on the worst tenth" in s for s in findings(one))


def test_the_table_of_targets_says_what_is_not_reached() -> None:
    easy, middle, hard = targets_table(ALGORITHMS, MARKDOWN).split("\n\n")
    assert cells_of(easy)[0] == ["alpha", "algorithm", "rounds to 0.3", "times faster", "MB"]
    assert cells_of(easy)[1][2] == "1.2 ± 0.0"  # halfway to 0.52 after one round of two
    assert re.fullmatch(r"1\.\d\d \(1\.\d\d to 1\.\d\d\)", cells_of(easy)[2][3])
    assert cells_of(middle)[1][2] == "not reached"
    assert cells_of(middle)[2][2].startswith("1.8 ±") and cells_of(middle)[2][3] == "–"
    assert [row[2] for row in cells_of(hard)[1:]] == ["not reached"] * 4
    some = study(("k=x", LOW), ("k=y", LOW), targets=[0.525])
    assert cells_of(targets_table(some, MARKDOWN))[1][1] == "2 of 5 seeds"


def test_a_target_that_was_reached_before_the_first_evaluation_is_an_upper_bound() -> None:
    results = matrix(("k=x", HIGH), ("k=y", HIGH), rounds=4)
    for result in results:
        for history in result.histories:
            for done in history.rounds[:2]:
                object.__setattr__(done, "accuracy", None)
    (one,) = studies(results, Wanted(targets=[0.3, 0.55]))
    first, second = targets_table(one, MARKDOWN).split("\n\n")
    assert [row[1:3] for row in cells_of(first)[1:]] == [["≤ 3.0", "–"]] * 2
    assert cells_of(second)[1][1].startswith("3.6 ± ") and cells_of(second)[2][2].startswith("1.00")
    assert [row[3] for row in cells_of(first)[1:]] == ["–"] * 2, "nobody knows what was sent"
    sending(results, [1_234_567] * 5)
    first, second = targets_table(one, MARKDOWN).split("\n\n")
    assert [row[3] for row in cells_of(first)[1:]] == ["≤ 7.41"] * 2
    assert [row[3] for row in cells_of(second)[1:]] == ["8.77"] * 2  # 3.55 rounds


def test_rows_can_be_seen_at_once_and_large_matrices_are_cut() -> None:
    long = "a-value-that-is-really-very-long-indeed"
    one = study(*((f"algorithm={long}{n},a_long_key={n}{long}", LOW) for n in range(20)))
    apart = study(*((f"a={n}{long},k={long}{k}", LOW) for n in range(9) for k in "xy"))
    tables = results_table(one, MARKDOWN) + "\n\n" + results_table(apart, MARKDOWN)
    rows = [line for line in tables.splitlines() if line.startswith("|")]
    assert len({row for row in rows if "--" not in row}) == 2 + 20 + 18
    assert max(len(re.sub(r"\\| {2,}", "", row)) for row in rows if "--" not in row) <= 120
    many = study(*((f"k={n}", LOW) for n in range(ROWS + 5)))
    table = results_table(many, MARKDOWN)
    assert table.endswith("... and 5 more") and table.count("\n|") == 101
    one_more, all_shown = (
        results_table(study(*((f"k={n}", LOW) for n in range(count))), MARKDOWN)
        for count in (101, 100)
    )
    assert one_more.endswith("... and 1 more")
    assert "more" not in all_shown and all_shown.count("\n|") == 101


# Over several tasks


def test_tasks_of_several_matrices_count_together() -> None:
    two = [
        *matrix(("k=x", LOW), ("k=y", HIGH), name="one"),
        *matrix(("k=x", LOW), ("k=y", HIGH), name="two"),
        *matrix(("k=x", LOW), ("k=z", HIGH), name="other"),
    ]
    (one,) = over_tasks(studies(two))
    assert one.tasks == 2
    assert {text_of(v): rank for v, rank in one.ranks.items()} == {"x": 2, "y": 1}
    assert one.improvement((("k", "y"),)).value == 1
    assert one.sentence() == (
        "Over 2 tasks, y has the best average rank, 1.00 of 2, but the variants do not differ "
        "beyond noise (Friedman's test: χ² = 2.00, p = 0.157): differences between ranks are not "
        "to be read."
    )
    (loss,) = over_tasks(studies(two, Wanted(measure=expected_measure("loss"))))
    assert loss.improvement((("k", "y"),)).value == 1


def test_enough_tasks_tell_ranks_apart() -> None:
    tasks = [r for n in range(6) for r in matrix(("k=x", LOW), ("k=y", HIGH), name=f"m{n}")]
    (one,) = over_tasks(studies(tasks))
    assert one.sentence() == (
        "Over 6 tasks, y has the best average rank, 1.00 of 2. The variants differ (Friedman's "
        "test: χ² = 6.00, p = 0.0143): y is better than x by more than the critical difference, "
        "0.80."
    )


def test_no_pair_is_named_if_friedmans_test_does_not_reject() -> None:
    """Although the average ranks are apart by the critical difference."""
    points = ["3120", "2310", "2013", "3210", "3210", "3021"]
    tasks = [
        result
        for n, of_task in enumerate(points)
        for result in matrix(
            *((f"k=v{v}", [0.5 + int(more) / 10] * 3) for v, more in enumerate(of_task)),
            name=f"m{n}",
        )
    ]
    (one,) = over_tasks(studies(tasks))
    assert max(one.ranks.values()) - min(one.ranks.values()) > one.least
    assert one.friedman.p > 0.05
    assert "are not to be read" in one.sentence() and "better than" not in one.sentence()


def test_a_task_without_a_figure_of_each_variant_does_not_count() -> None:
    results = [r for n in range(3) for r in matrix(("k=x", LOW), ("k=y", HIGH), name=f"m{n}")]
    results[-1] = results[-1].model_copy(update={"histories": ()})
    (one,) = over_tasks(studies(results))
    assert one.tasks == 2
    assert over_tasks(studies(results[2:])) == []
    infinite = [*results[:2], *matrix(("k=x", LOW), ("k=y", [math.nan]), name="n")]
    assert over_tasks(studies(infinite)) == []


def of_tasks(*figures: Mapping[str, Sequence[float]], **wanted: Any) -> list[OverTasks]:
    """Returns what is over tasks, each a matrix of its own: accuracies by variant."""
    results = [
        result
        for n, of_task in enumerate(figures)
        for result in matrix(*((f"k={v}", of) for v, of in of_task.items()), name=f"m{n}")
    ]
    return over_tasks(studies(results, Wanted(**wanted)))


def test_the_table_over_tasks_has_the_best_rank_first_and_no_chance_of_the_reference() -> None:
    figures = {"x": [0.5, 0.6], "y": [0.7, 0.8], "z": [0.1, 0.55]}
    (one,) = of_tasks(figures, figures)
    head, *rows = cells_of(one.table(MARKDOWN))
    assert head == ["k", "average rank", "probability of being better than x"]
    assert rows == [
        ["y", "1.00", "1.00 (1.00 to 1.00)"],
        ["x", "2.00", "–"],
        ["z", "3.00", "0.25 (0.00 to 0.75)"],
    ]
    assert re.search(
        r"\|  +1\.00 \|  +1\.00 \(1\.00 to 1\.00\) \|$", one.table(MARKDOWN), re.MULTILINE
    )


@pytest.mark.parametrize(("length", "shown"), [(24, "k" * 24), (25, f"{'k' * 12}…{'k' * 11}")])
def test_a_long_key_is_shortened_in_the_table_over_tasks(length: int, shown: str) -> None:
    key = "k" * length
    tasks = [matrix((f"{key}=x", LOW), (f"{key}=y", HIGH), name=name) for name in ("one", "two")]
    (one,) = over_tasks(studies([result for task in tasks for result in task]))
    assert cells_of(one.table(MARKDOWN))[0][0] == shown


def test_one_variant_alone_is_not_compared_over_tasks() -> None:
    one = study(*((f"a={a},k={k}", LOW) for a in (1, 2) for k in "xy"))
    alone = {place: result for place, result in one.cells.items() if place[1] == one.reference}
    assert len(over_tasks([one])) == 1
    assert over_tasks([replace(one, cells=alone)]) == []


@pytest.mark.parametrize(
    ("metric", "is_drawn"),
    [("accuracy", True), ("loss", False), ("accuracy_drop", False), ("seconds_per_round", False)],
)
def test_profiles_are_drawn_of_shares_of_which_more_is_better(metric: str, is_drawn: bool) -> None:
    one = OverTasks(study(("k=x", LOW), ("k=y", HIGH), measure=expected_measure(metric)), {})
    figures = {v: [[0.5, 0.6], [0.7, 0.8]] for v in one.study.variants}
    assert (replace(one, scores=figures).picture() is not None) == is_drawn


def test_a_share_of_which_less_is_better_has_no_profiles() -> None:
    of_share = {name for name in metrics.names() if spec_of(name).scale == "share"}
    for name in (n for n in of_share if spec_of(n).sign < 0):
        of_name = study(("k=x", LOW), ("k=y", HIGH), measure=expected_measure(name))
        figures = {v: [[0.5, 0.6], [0.7, 0.8]] for v in of_name.variants}
        assert OverTasks(of_name, figures).picture() is None


def test_a_task_with_one_training_that_diverged_does_not_count() -> None:
    good = {"x": [0.5, 0.6], "y": [0.7, 0.8]}
    (one,) = of_tasks(good, good, {"x": [0.5, 0.6], "y": [0.7, math.nan]})
    assert one.tasks == 2


def test_what_has_no_better_direction_has_no_ranks() -> None:
    good = {"x": [0.5, 0.6], "y": [0.7, 0.8]}
    assert of_tasks(good, good, measure=expected_measure("custom")) == []
    assert len(of_tasks(good, good)) == 1


def test_very_small_chances_are_not_written_out() -> None:
    figures = {"x": [0.5, 0.6], "y": [0.7, 0.8]}
    texts = [of_tasks(*[figures] * n)[0].sentence() for n in (10, 11)]
    assert [text[text.index("p ") : text.index(")")] for text in texts] == [
        "p = 0.00157",
        "p < 0.001",
    ]


# The page


def test_the_page_has_the_verdict_before_anything_else_and_shows_pictures() -> None:
    page = comparison_page([ALGORITHMS], MARKDOWN, ["# Comparison"], "comparison")
    order = [
        "# Comparison",
        "**Compared with fedavg",
        "- At alpha 0.1",
        "](comparison/m.curves.svg)",
    ]
    places = [page.text.index(part) for part in [*order, "| reference", "rounds to 0.3", "## Over"]]
    assert places == sorted(places)
    assert set(page.pictures) == {"m.curves.svg", "tasks.svg"}
    drawn = {name: picture.svg() for name, picture in page.pictures.items()}
    for name, svg in drawn.items():
        assert f"(comparison/{name})" in page.text
        assert svg == page.pictures[name].svg() and len(svg) < 60_000
    curves = drawn["m.curves.svg"]
    assert all(
        f">{text}<" in curves for text in ("alpha 0.1", "alpha 10", "fedavg", "fedprox(mu=0.1)")
    )


@pytest.mark.slow
def test_the_picture_of_a_large_matrix_stays_small() -> None:
    one = study(
        *((f"a={a},k={k}", (0.5 + k / 100, 0.6)) for a in range(15) for k in range(25)),
        reference="k=0",
    )
    picture = comparison_page([one], MARKDOWN, (), "p").pictures["m.curves.svg"]
    assert "12 of 15 panel(s)" in picture.alt and "Shown are 20 of 25 variants." in picture.alt
    assert len(picture.svg()) < 300_000
    (long,) = studies(matrix(("k=x", LOW), ("k=y", HIGH), rounds=600))
    assert len(comparison_page([long], MARKDOWN, (), "p").pictures["m.curves.svg"].svg()) < 20_000


@pytest.mark.parametrize("tasks", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2)), 3])
@pytest.mark.parametrize("length", [1, pytest.param(12, marks=pytest.mark.slow), 60])
def test_the_legend_of_curves_fits_into_the_picture(tasks: int, length: int) -> None:
    """Names are long where the keys of a matrix vary together."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [f"k={digit}{'local-epochs-BATCH-SIZE-' * 3}"[: 3 + length] for digit in range(3)]
    one = study(
        *((f"a={a},{name}", LOW) for a in range(tasks) for name in names), reference=names[0]
    )
    picture = comparison_page([one], MARKDOWN, (), "p").pictures["m.curves.svg"]
    figure = Figure(figsize=(picture.width, picture.height))
    canvas = FigureCanvasAgg(figure)
    picture.draw(figure.add_axes((0, 0, 1, 1)))
    canvas.draw()
    (legend,) = figure.legends
    room = legend.get_window_extent()
    assert room.x0 >= 0 and room.x1 <= figure.bbox.x1
    assert room.y0 >= 0 and room.y1 <= figure.bbox.y1


def test_two_keys_that_are_numbers_have_a_heat_map() -> None:
    grid = {(1, 0.1): LOW, (1, 0.5): LOW, (5, 0.1): LOW, (5, 0.5): HIGH}
    one = study(*((f"local_epochs={a},learning_rate={b}", of) for (a, b), of in grid.items()))
    picture = comparison_page([one], MARKDOWN, (), "p").pictures["m.heat.svg"]
    assert picture.alt == (
        "Mean accuracy of m over local_epochs and learning_rate, the best at local_epochs 5, "
        "learning_rate 0.5."
    )
    svg = picture.svg()
    assert svg.count(">0.52<") == 3 and svg.count(">0.62<") == 1
    assert "#d55e00" in svg  # the frame: the seeds tell the best
    assert "m.heat.svg" not in comparison_page([ALGORITHMS], MARKDOWN, (), "p").pictures


def test_a_heat_map_has_each_mean_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key with more values goes across, whichever comes first, and values are in order."""
    drawn: list[Any] = []

    def draw(*arguments: Any, **more: Any) -> Any:
        drawn.append((*arguments, more))
        return heat_map(*arguments, **more)

    monkeypatch.setattr("pytest_federated.report.comparison.page.heat_map", draw)
    figures = {(a, b): [a / 10 + b / 100] * 3 for a in (1, 2) for b in (3, 10, 4)}
    figures[2, 4] = [0.2, math.nan, 0.2]
    for keys in ("a={},b={}", "b={1},a={0}"):
        one = study(*((keys.format(*place), of) for place, of in figures.items()))
        comparison_page([one], MARKDOWN, (), "p")
        alt, down, across, values, framed, more = drawn.pop()
        assert (down.title, down.texts) == ("a", ["1", "2"])
        assert (across.title, across.texts) == ("b", ["3", "4", "10"])
        expected = {(0, 0): 0.13, (0, 1): 0.14, (0, 2): 0.2, (1, 0): 0.23, (1, 2): 0.3}
        assert values == {**{at: pytest.approx(v) for at, v in expected.items()}, (1, 1): None}
        assert (framed, more) == ((1, 2), {"sign": 1})
        assert "the best at " in alt


@pytest.mark.parametrize(
    ("first", "second", "is_drawn"),
    [(2, 12, True), (12, 2, True), (2, 13, False), (13, 2, False)],
)
def test_a_heat_map_has_up_to_twelve_values_of_a_key(
    first: int, second: int, is_drawn: bool
) -> None:
    one = study(*((f"a={a},b={b}", LOW) for a in range(first) for b in range(second)))
    assert ("m.heat.svg" in comparison_page([one], MARKDOWN, (), "p").pictures) == is_drawn


@pytest.mark.parametrize("keys", ["a={},b=x{}", "a=x{},b={}", "a={},b={},c={}"])
def test_other_keys_have_no_heat_map(keys: str) -> None:
    places = dict.fromkeys(keys.format(a, b, c) for a in (1, 2) for b in (1, 2) for c in (1, 2))
    one = study(*((place, LOW) for place in places))
    assert "m.heat.svg" not in comparison_page([one], MARKDOWN, (), "p").pictures


def test_a_key_that_is_a_number_in_some_variants_only_has_no_heat_map() -> None:
    one = study(*((f"a={a},b={b}", LOW) for a in (1, 2) for b in (1, "iid")))
    assert "m.heat.svg" not in comparison_page([one], MARKDOWN, (), "p").pictures


def test_variants_over_several_groups_of_tasks_have_a_section_each() -> None:
    names = {"k": ("one", "two"), "other": ("three", "four")}
    several = [
        one
        for key, of_key in names.items()
        for name in of_key
        for one in studies(matrix((f"{key}=x", LOW), (f"{key}=y", HIGH), name=name))
    ]
    page = comparison_page(several, MARKDOWN, (), "p")
    headings = [line for line in page.text.splitlines() if line.startswith("## ")]
    over = ["## Over all tasks, k", "## Over all tasks, other"]
    assert headings == [*(f"## {one.title}" for one in several), *over, "## How this was computed"]
    assert {"tasks-1.svg", "tasks-2.svg"} < set(page.pictures)
    assert "\n## Over all tasks\n" in comparison_page(several[:2], MARKDOWN).text
    assert "more" not in page.text.partition("## How")[0]


def test_studies_that_have_no_room_are_counted_and_have_no_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first is there in any case."""
    names = ("one", "two", "three")
    all_of_them = [
        one for n in names for one in studies(matrix(("k=x", LOW), (f"k={n}", HIGH), name=n))
    ]
    both = comparison_page(all_of_them[:2], MARKDOWN, (), "p").text
    room = len(both.partition("## How")[0].encode())
    for bytes_of_studies, shown in ((room + 100, 2), (10, 1)):
        monkeypatch.setattr("pytest_federated.report.comparison.page._STUDIES", bytes_of_studies)
        page = comparison_page(all_of_them, MARKDOWN, (), "p")
        assert set(page.pictures) == {f"{name}.curves.svg" for name in names[:shown]}
        assert f"... and {3 - shown} more; `pytest-federated compare`" in page.text
        assert [f"## {name}\n" in page.text for name in names] == [n < shown for n in range(3)]


def test_how_it_was_computed_is_said_of_what_is_there() -> None:
    plain = study(("k=x", LOW), ("k=y", HIGH), confidence=0.9)
    text = comparison_page([plain], MARKDOWN).text
    assert "with its 90 % interval" in text and "Of 10 differences that are none" in text
    parts = ("Rounds to a target", "A paper's order", "The average rank")
    assert not any(part in text for part in parts)
    aimed = study(("k=x", LOW), ("k=y", HIGH), targets=[0.55])
    (paper,) = studies(published(["algorithm=b", "algorithm=a"]))
    for shown, part in (([plain, aimed], 0), ([plain, paper], 1), ([plain, aimed], 2)):
        assert parts[part] in comparison_page(shown, MARKDOWN).text
    assert "How this was computed" not in comparison_page([], MARKDOWN).text


def test_the_terminal_shows_the_same_without_pictures() -> None:
    text = comparison_page([ALGORITHMS], TERMINAL).text
    assert "Compared with fedavg: 1 better, 1 the same." in text
    assert "![" not in text and "**" not in text and "0.620 ± 0.023 *" in text


def test_names_are_shown_as_they_are_when_rendered() -> None:
    one = study(("k=odd_*a*_<b>|c", LOW), ("k=d", HIGH))
    page = comparison_page([one], MARKDOWN, (), "p")
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page.text)
    assert "<td>odd_*a*_&lt;b&gt;|c</td>" in html and "<b>" not in html


@pytest.mark.slow
def test_many_studies_stay_on_a_page_that_github_shows() -> None:
    results = [
        result
        for name in range(60)
        for result in matrix(*((f"k={n}", LOW) for n in range(30)), name=f"m{name}")
    ]
    page = comparison_page(studies(results), MARKDOWN)
    assert len(page.text.encode()) <= LARGEST
    assert re.search(r"\.\.\. and \d+ more; `pytest-federated compare` with --only", page.text)


# The report


def asking(**more: Any) -> list[Result]:
    comparison = {"reference": "k=x", "metric": None, "targets": [0.55]}
    return matrix(("k=x", LOW), ("k=y", HIGH), comparison=comparison, **more)


@pytest.mark.usefixtures("undrawn")
def test_a_report_compares_what_its_scenarios_ask_for(tmp_path: Path) -> None:
    assert report_comparisons(matrix(("k=x", LOW), ("k=y", HIGH))) == {}
    files = report_files([*asking(), *matrix(("k=x", LOW), ("k=y", HIGH), name="silent")])
    assert files["comparison.md"].startswith(MARK) and "silent" not in files["comparison.md"]
    assert "comparison/m.curves.svg" in files
    assert (
        "- [m](comparison.md#m) Compared with x: 1 better."
        in files[INDEX].split("## Comparisons")[1]
    )
    assert "## Comparisons" not in report_files(matrix(("k=x", LOW), ("k=y", HIGH)))[INDEX]


def test_a_report_made_twice_is_the_same_and_an_old_comparison_goes(tmp_path: Path) -> None:
    def contents() -> dict[str, bytes]:
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        return {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in files}

    write_report(asking(), tmp_path)
    once = contents()
    assert {"comparison.md", "comparison/m.curves.svg"} <= set(once)
    write_report(read_results(tmp_path), tmp_path)
    assert contents() == once
    assert main(["report", str(tmp_path), "--check"]) == 0
    write_report(matrix(("k=x", LOW), ("k=y", HIGH)), tmp_path)
    assert not {"comparison.md", "comparison/m.curves.svg"} & set(contents())


@pytest.mark.usefixtures("undrawn")
def test_somebody_elses_page_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "comparison.md").write_text("# Comparison of my own")
    with pytest.raises(FederatedError, match=r"comparison\.md: not a page of a report"):
        write_report(asking(), tmp_path)
    write_report(matrix(("k=x", LOW), ("k=y", HIGH)), tmp_path)
    assert (tmp_path / "comparison.md").read_text() == "# Comparison of my own"


def test_the_comparison_is_no_part_of_other_records() -> None:
    assert "comparison" not in example_result().settings


# The command


@pytest.fixture
def run_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for result in matrix(("k=x", LOW), ("k=y", HIGH)):
        write_result(result, tmp_path / "run")
    return tmp_path


def test_the_command_compares_the_variants_of_a_run(
    run_of_two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "run", "--reference", "k=y", "--target", "0.55"]) == 0
    text = capsys.readouterr().out
    assert "x is 10.0 points behind y" in text and "rounds to 0.55" in text
    assert main(["compare", "run", "--out", "docs/of it.md"]) == 0
    page = (run_of_two / "docs/of it.md").read_text()
    (link,) = re.findall(r"\]\((.*?)\)$", page, re.MULTILINE)
    assert (run_of_two / "docs" / link.replace("%20", " ")).is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--reference", "k=z"], "--reference: got 'k=z'; allowed: k=x, k=y"),
        (["run", "--target", "2"], "--target: got 2; accuracy is from 0 to 1"),
        (
            ["run", "--target", "0.5", "--metric", "worst_client_accuracy"],
            "--target: worst_client_accuracy is not measured in each round",
        ),
        (["run", "other", "--target", "0.5"], "--rows, --columns, --reference and --target are"),
    ],
)
def test_mistakes_of_the_command_are_one_line(
    run_of_two: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_result(example_result(), run_of_two / "other")
    assert main(["compare", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(said) and error.count("\n") == 1


def test_any_scenarios_are_compared_by_two_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for alpha, algorithm, of in (
        (0.5, "fedavg", LOW),
        (0.5, "fedsgd", HIGH),
        (10.0, "fedavg", LOW),
    ):
        split = {"kind": "dirichlet", "alpha": alpha}
        one = example_result(f"s{alpha}{algorithm}", of, split=split, algorithm=algorithm)
        write_result(one, tmp_path / "run")
    command = ["compare", "run", "--rows", "alpha", "--columns", "algorithm"]
    assert main(command) == 0
    assert "At alpha 0.5, fedsgd is 10.0 points ahead of fedavg" in capsys.readouterr().out
    assert main([*command, "--reference", "algorithm=fedsgd"]) == 0
    assert "fedavg is 10.0 points behind fedsgd" in capsys.readouterr().out
    assert main([*command, "--reference", "fedprox"]) == 1
    assert "allowed: algorithm=fedavg, algorithm=fedsgd" in capsys.readouterr().err


# The scenario file

FILE = """\
schema: 1
name: mine
data: {{dataset: digits}}
clients: {{count: 4}}
model: mlp
training: {{rounds: 2}}
{matrix}
comparison: {comparison}
"""
MATRIX = "matrix: {clients.count: [2, 3]}"


def load(folder: Path, comparison: str, matrix: str = MATRIX) -> list[dict[str, Any]]:
    file = folder / "mine.yaml"
    file.write_text(FILE.format(matrix=matrix, comparison=comparison))
    return [case.scenario.settings() for case in load_file(file, folder)]


def test_a_scenario_says_what_is_compared(tmp_path: Path) -> None:
    first, second = load(tmp_path, "{reference: count=3, metric: loss, targets: [1, 0.5]}")
    expected = {"reference": "count=3", "metric": "loss", "targets": [1.0, 0.5]}
    assert first["comparison"] == second["comparison"] == expected
    assert load(tmp_path, "{}")[0]["comparison"]["targets"] == []


@pytest.mark.parametrize(
    ("comparison", "given_matrix", "said"),
    [
        (
            "{}",
            "",
            "mine.yaml:8: comparison: compares the variants of a matrix, and there are none",
        ),
        (
            "{reference: count=4}",
            MATRIX,
            "mine.yaml:8: comparison.reference: got 'count=4'; allowed: count=2, count=3",
        ),
        ("{metric: acuracy}", MATRIX, "did you mean 'accuracy'?"),
        ("{targets: [0.5, 2]}", MATRIX, "comparison.targets: got 2; accuracy is from 0 to 1"),
        ("{targets: 0.5}", MATRIX, "comparison.targets: got 0.5; must be a list"),
        (
            "{metric: worst_client_accuracy, targets: [0.5]}",
            MATRIX,
            "worst_client_accuracy is not measured in each round; leave them out",
        ),
        ("{target: [0.5]}", MATRIX, "comparison.target: unknown key; allowed: reference, metric"),
        ("{}", "matrix: {comparison.metric: [loss]}", "matrix.comparison.metric: cannot be varied"),
    ],
)
def test_mistakes_in_a_comparison_are_shown_with_their_line(
    tmp_path: Path, comparison: str, given_matrix: str, said: str
) -> None:
    with pytest.raises(ScenarioError) as error:
        load(tmp_path, comparison, given_matrix)
    assert said in str(error.value)


@pytest.mark.usefixtures("undrawn")
def test_what_is_compared_changes_no_training(tmp_path: Path) -> None:
    """A skipped scenario keeps its figures, and its record says what is compared now."""
    write_report(asking(), tmp_path)
    now = copy.deepcopy(asking()[1])
    now.settings["comparison"] = None
    skipped = now.model_copy(
        update={
            "settings": {k: v for k, v in now.settings.items() if k != "comparison"},
            "status": "skipped",
            "histories": (),
        }
    )
    write_report([skipped], tmp_path)
    kept = next(r for r in read_results(tmp_path) if r.id == "m[k=y]")
    assert kept.histories and "comparison" not in kept.settings


PUBLISHED = {
    "source": "Doe 2020, table 1",
    "says": "B beats A.",
    "order": ["algorithm=b", "algorithm=a"],
    "figures": {"algorithm=a": 0.321, "algorithm=b": 0.654, "algorithm=b,alpha=10": 0.987},
}


def published(
    order: Sequence[Any],
    *,
    b: Sequence[float] = HIGH,
    figures: Mapping[str, float] = PUBLISHED["figures"],
) -> list[Result]:
    variants = [("alpha=0.1,algorithm=a", LOW), ("alpha=0.1,algorithm=b", b)]
    variants += [("alpha=10,algorithm=a", LOW), ("alpha=10,algorithm=b", HIGH)]
    comparison = {"reference": "algorithm=a", "published": {**PUBLISHED, "order": order}}
    comparison["published"]["figures"] = figures
    return matrix(*variants, comparison=comparison)


def test_a_papers_figures_and_order_stand_beside_ours_on_a_page_of_their_own() -> None:
    files = report_comparisons(published(["algorithm=b", "algorithm=a"]))
    assert list(files) == ["papers.md"]
    text = files["papers.md"].text
    verdict_of_all, _, rest = text.partition("## m")
    assert (
        "**Papers order 2 pair(s) of variants in 1 experiment(s): 2 hold here, 0 in the means "
        "alone, 0 cannot be told, 0 not.**"
    ) in verdict_of_all
    assert "- [m](#m) The paper's order holds in both pairs of variants." in verdict_of_all
    assert "Doe 2020, table 1: B beats A." in rest
    assert "The paper's order holds in both pairs of variants." in rest
    (row_b,) = (line for line in rest.splitlines() if "| 0.1" in line and "| b" in line)
    (row_10,) = (line for line in rest.splitlines() if "| 10" in line and "| b" in line)
    assert "0.654" in row_b
    assert "0.987" in row_10  # the figure whose variant says more


def test_a_papers_figures_have_a_column_beside_ours() -> None:
    (one,) = studies(published([]))
    head, _, second, *_ = cells_of(results_table(one, MARKDOWN))
    assert head == ["", "alpha", "algorithm", "accuracy", "the paper's", "difference"]
    assert second[1:] == ["0.1", "b", "**0.620 ± 0.023**", "0.654", "+0.100 (+0.088 to +0.112)"]
    (rounds,) = studies(published([]), Wanted(targets=[0.3]))
    assert "the paper's" not in results_table(rounds, MARKDOWN), "its figures are of rounds"
    head, first, *_ = cells_of(targets_table(rounds, MARKDOWN))
    assert head[2:] == ["rounds to 0.3", "the paper's", "times faster", "MB"]
    assert first == ["0.1", "a", "1.2 ± 0.0", "0.321", "–", "–"]


def test_the_page_says_what_a_study_is_about_and_where_a_papers_order_does_not_hold() -> None:
    results = published(["algorithm=a", "algorithm=b"])
    settings = [{**r.settings, "description": "About it."} for r in results]
    told = [r.model_copy(update={"settings": s}) for r, s in zip(results, settings)]
    text = comparison_page(studies(told), MARKDOWN).text
    said = ("## m", "About it.", "Doe 2020", "2 not.**", "- At alpha 0.1, a before b: not")
    places = [text.index(part) for part in said]
    assert places == sorted(places)


def test_a_description_of_a_thousand_characters_is_shown_whole() -> None:
    for length in (1000, 1001):
        one = replace(ALGORITHMS, description="d" * length)
        assert ("d" * length in comparison_page([one], MARKDOWN).text) == (length == 1000)
        assert "d" * 499 in comparison_page([one], MARKDOWN).text


def test_an_html_page_has_the_comparisons_that_scenarios_ask_for() -> None:
    assert html_comparison(matrix(("k=x", LOW), ("k=y", HIGH))) == ""
    html = html_comparison(asking())
    assert (
        html.startswith("<h2>Comparison</h2>")
        and "Compared with x: 1 better." in html
        and "<img" in html
    )


def test_an_order_that_does_not_hold_is_said_with_its_variants() -> None:
    (one,) = studies(published(["algorithm=a", "algorithm=b"]))
    assert outcome(one) == ("The paper's order holds in 0 of 2 pairs of variants; 2 not.")
    assert "0 hold here, 0 in the means alone, 0 cannot be told, 2 not." in papers_verdict([one])[0]
    assert exceptions(one)[0] == "At alpha 0.1, a before b: not here."


def test_an_order_that_the_seeds_cannot_tell_holds_in_the_means_alone() -> None:
    almost = (0.49, 0.55, 0.53, 0.55, 0.53)
    (one,) = studies(published(["algorithm=b", "algorithm=a"], b=almost))
    assert [pair.outcome for pair in pairs(one)] == [SEEMS, HOLDS]
    (line, _) = papers_verdict([one])
    assert ": 1 hold here, 1 in the means alone, 0 cannot be told, 0 not." in line
    (other,) = studies(published(["algorithm=a", "algorithm=b"], b=almost))
    assert [pair.outcome for pair in pairs(other)] == [OPEN, FAILS]
    (line, _) = papers_verdict([other])
    assert ": 0 hold here, 0 in the means alone, 1 cannot be told, 1 not." in line
    assert exceptions(other)[0] == "At alpha 0.1, a before b: cannot be told from these seeds."


def test_a_paper_may_order_other_keys_than_those_of_the_reference() -> None:
    orders = [["algorithm=b", "algorithm=a"], ["alpha=10", "alpha=0.1"]]
    (one,) = studies(published(orders, b=LOW))
    told = {(name_of(p.task), name_of(p.better), name_of(p.worse)): p.outcome for p in pairs(one)}
    assert told == {
        ("alpha 0.1", "b", "a"): OPEN,
        ("alpha 10", "b", "a"): HOLDS,
        ("a", "alpha 10", "alpha 0.1"): OPEN,
        ("b", "alpha 10", "alpha 0.1"): HOLDS,
    }


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"algorithm=a": 0.5, "algorithm=b": 0.51}, [HOLDS, HOLDS]),
        ({"algorithm=a": 0.51, "algorithm=b": 0.5}, [FAILS, FAILS]),
        ({"algorithm=a": 0.5, "algorithm=b": 0.509}, []),  # less than what matters
        ({"algorithm=a": 0.5, "alpha=10,algorithm=b": 0.6}, [HOLDS]),
    ],
)
def test_figures_order_variants_if_they_differ_by_what_matters(
    figures: Mapping[str, float], expected: Sequence[str]
) -> None:
    (one,) = studies(published([], figures=figures))
    assert [pair.outcome for pair in pairs(one)] == expected


@pytest.mark.parametrize(
    ("of_b", "expected"), [(20, [HOLDS]), (47.5, [HOLDS]), (48, []), (52, []), (80, [FAILS])]
)
def test_figures_of_rounds_order_by_fewer_of_them_if_5_percent_apart(
    of_b: float, expected: Sequence[str]
) -> None:
    comparison = {
        "reference": "algorithm=a",
        "targets": [0.8],
        "published": {"source": "x", "figures": {"algorithm=a": 50, "algorithm=b": of_b}},
    }
    slow, fast = (0.5,) * 5, (0.9,) * 5
    (one,) = studies(matrix(("algorithm=a", slow), ("algorithm=b", fast), comparison=comparison))
    assert [pair.outcome for pair in pairs(one)] == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), OPEN),  # nobody gets to the target
        ((0.9, 0.5, 0.5), (0.5, 0.5, 0.9), OPEN),  # equally many do
        ((0.5, 0.5, 0.5), (0.9, 0.5, 0.5), SEEMS),
        ((0.9, 0.5, 0.5), (0.5, 0.5, 0.5), OPEN),
        # All of one and none of the other: certain of four seeds each (p = 0.029).
        ((0.5,) * 4, (0.9,) * 4, HOLDS),
        ((0.9,) * 4, (0.5,) * 4, FAILS),
        ((0.5,) * 4, (0.9, 0.9, 0.9, 0.5), SEEMS),  # not quite all
        ((0.5, 0.9, 0.5, 0.5), (0.9,) * 4, SEEMS),  # not quite none
        ((0.9,) * 4, (0.5, 0.5, 0.9, 0.5), OPEN),
        ((0.5,) * 3, (0.9,) * 3, SEEMS),  # p = 0.1
        ((0.9,) * 3, (0.5,) * 3, OPEN),
        ((0.5,), (0.9,), SEEMS),  # one seed tells nothing
        ((0.9,), (0.5,), OPEN),
        ((0.5,), (0.9,) * 38, SEEMS),  # p = 0.051
        ((0.5,), (0.9,) * 40, HOLDS),
    ],
)
def test_an_order_by_rounds_where_seeds_miss_the_target(
    a: Sequence[float], b: Sequence[float], expected: str
) -> None:
    comparison = {
        "reference": "algorithm=a",
        "targets": [0.8],
        "published": {**PUBLISHED, "order": ["algorithm=b", "algorithm=a"]},
    }
    (one,) = studies(matrix(("algorithm=a", a), ("algorithm=b", b), comparison=comparison))
    assert [pair.outcome for pair in pairs(one)] == [expected]


@pytest.mark.parametrize(
    ("b", "evaluated", "confidence", "expected"),
    [
        ((0.9, 0.95, 0.99), 1, 0.95, HOLDS),  # at round 8, 8.4 and 8.8 of 10 in place of 10
        ((0.9, 0.95, 0.99), 1, 0.99, SEEMS),
        ((0.9, 0.8, 0.99), 1, 0.95, SEEMS),
        ((0.9,), 1, 0.95, SEEMS),
        ((0.9, 0.95, 0.99), 10, 0.95, OPEN),  # seen first where both are there
    ],
)
def test_an_order_by_rounds_is_judged_in_pairs(
    b: Sequence[float], evaluated: int, confidence: float, expected: str
) -> None:
    """A reaches the target in the last of ten rounds."""
    opposite = {HOLDS: FAILS, SEEMS: OPEN, OPEN: OPEN}[expected]
    for order, outcome_of_order in (("ba", expected), ("ab", opposite)):
        comparison = {
            "reference": "algorithm=a",
            "targets": [0.8],
            "published": {**PUBLISHED, "order": [f"algorithm={name}" for name in order]},
        }
        results = matrix(
            ("algorithm=a", [0.8] * len(b)), ("algorithm=b", b), comparison=comparison, rounds=10
        )
        results = [evaluated_from(result, evaluated) for result in results]
        (one,) = studies(results, Wanted(confidence=confidence))
        assert [pair.outcome for pair in pairs(one)] == [outcome_of_order]


@pytest.mark.parametrize(
    ("metric", "targets"), [("accuracy", [0.5, 0.8]), ("loss", [0.2, 0.5]), ("loss", [0.5, 0.2])]
)
def test_an_order_by_rounds_is_by_the_hardest_target(metric: str, targets: list[float]) -> None:
    """Of accuracy the highest, of a loss the lowest: A is the first at the other one."""
    comparison = {
        "reference": "algorithm=a",
        "metric": metric,
        "targets": targets,
        "published": {**PUBLISHED, "order": ["algorithm=b", "algorithm=a"]},
    }
    a, b = matrix(("algorithm=a", [0.7] * 4), ("algorithm=b", [0.9] * 4), comparison=comparison)
    for history in a.histories:
        object.__setattr__(history.rounds[0], "accuracy", 0.6)
        object.__setattr__(history.rounds[0], "loss", 0.4)
    (one,) = studies([a, b])
    assert [pair.outcome for pair in pairs(one)] == [HOLDS]
    (easy,) = studies([a, b], Wanted(targets=[0.5]))
    assert [pair.outcome for pair in pairs(easy)] == [FAILS]


def test_equal_figures_tell_no_order() -> None:
    """With an interval of no width that ends at no difference."""
    for order in (["algorithm=b", "algorithm=a"], ["algorithm=a", "algorithm=b"]):
        (one,) = studies(published(order, b=LOW))
        assert next(pair.outcome for pair in pairs(one)) == OPEN


@pytest.mark.parametrize(
    ("times", "low", "high", "is_beyond"),
    [
        (2.0, None, None, False),
        (2.0, 1.5, 2.5, True),
        (2.0, 1.0, 4.0, False),
        (0.5, 0.4, 0.6, True),
        (0.5, 0.25, 1.0, False),
        (1.0, 0.5, 2.0, False),
    ],
)
def test_a_speedup_is_beyond_noise_where_its_interval_leaves_out_one(
    times: float, low: Optional[float], high: Optional[float], is_beyond: bool
) -> None:
    assert Speedup(times, low, high, 1 if low is None else 3).is_beyond_noise is is_beyond


def test_equal_figures_of_a_paper_order_nothing() -> None:
    """Not even of a metric of which every difference matters, such as rounds."""
    for of_a, count in ((3, 0), (4, 1)):
        figures = {"algorithm=a": of_a, "algorithm=b": 3}
        comparison = {
            "reference": "algorithm=a",
            "metric": "rounds_to_accuracy",
            "published": {"source": "Doe 2020", "figures": figures},
        }
        (one,) = studies(matrix(("algorithm=a", LOW), ("algorithm=b", HIGH), comparison=comparison))
        assert len(pairs(one)) == count


def test_variants_without_a_result_have_no_order() -> None:
    """Neither the better nor the worse one may lack its result in a task."""
    results = published(["algorithm=b", "algorithm=a"])
    for missing in range(4):
        (one,) = studies([r for place, r in enumerate(results) if place != missing])
        assert [text_of(pair.task) for pair in pairs(one)] == ["10" if missing < 2 else "0.1"]
        assert outcome(one) == "The paper's order holds in the one pair of variants."
    (none,) = studies([results[0], results[2]], Wanted("alpha=10"))
    assert outcome(none) == "No two of the variants that the paper orders have a result here."


def test_exceptions_come_after_orders_that_hold() -> None:
    results = published(["algorithm=b", "algorithm=a"])
    results[3] = results[3].model_copy(update={"histories": results[2].histories})
    (one,) = studies(results)
    assert [pair.outcome for pair in pairs(one)] == [HOLDS, OPEN]
    assert exceptions(one) == ["At alpha 10, b before a: cannot be told from these seeds."]


def evaluated_from(result: Result, first: int) -> Result:
    """Returns a result whose rounds before `first` were not evaluated."""
    histories = [
        h.model_copy(
            update={
                "rounds": tuple(
                    r if r.round >= first else r.model_copy(update={"accuracy": None, "loss": None})
                    for r in h.rounds
                )
            }
        )
        for h in result.histories
    ]
    return result.model_copy(update={"histories": tuple(histories)})


def test_rounds_that_the_slower_needs_at_most_order_nothing() -> None:
    """B is evaluated each round, A first in the tenth: A may have been there in the fifth."""
    comparison = {
        "reference": "algorithm=a",
        "targets": [0.5],
        "published": {**PUBLISHED, "order": ["algorithm=b", "algorithm=a"]},
    }
    high = [0.9, 0.91, 0.92, 0.93]
    a, b = matrix(("algorithm=a", high), ("algorithm=b", high), comparison=comparison, rounds=10)
    for a_from, b_from, expected in ((10, 1, OPEN), (1, 10, OPEN), (1, 1, OPEN), (9, 10, OPEN)):
        (one,) = studies([evaluated_from(a, a_from), evaluated_from(b, b_from)])
        assert [pair.outcome for pair in pairs(one)] == [expected]
    slow = example_result("m[algorithm=a]", [0.5] * 4, rounds=20)
    slow = slow.model_copy(update={"settings": a.settings})
    (one,) = studies([slow, evaluated_from(b, 10)])  # 20 rounds, and at most 10
    assert [pair.outcome for pair in pairs(one)] == [HOLDS]


@pytest.mark.parametrize(
    ("published", "message"),
    [
        ("{source: x}", "needs order"),
        ("{order: [algorithm=fedavg, algorithm=fedavgm]}", "source"),
        ("{source: x, order: [algorithm=fedavg]}", "at least 2 variants"),
        ("{source: x, order: [algorithm=fedavg, algorithm=fedavgx]}", "algorithm=fedavgm"),
        ("{source: x, order: [[algorithm=fedavg]]}", "at least 2 variants"),
        ("{source: x, order: [[algorithm=fedavg, algorithm=fedavgx]]}", "algorithm=fedavgm"),
        ("{source: x, order: [algorithm=fedavg, [a, b]]}", "not both"),
        ("{source: x, order: [1, 2]}", "order"),
        ("{source: x, figures: {algorithm=fedavgx: 3}}", "algorithm=fedavgm"),
    ],
)
def test_what_a_paper_found_must_be_of_variants_that_there_are(
    tmp_path: Path, published: str, message: str
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "schema: 1\nname: a\ndata: {dataset: digits}\nclients: {count: 2}\nmodel: linear\n"
        "training: {rounds: 1}\nmatrix: {training.algorithm: [fedavg, fedavgm]}\n"
        f"comparison:\n  published: {published}\n"
    )
    with pytest.raises(ScenarioError, match=message):
        load_file(file)


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["a(s=0.3)", "b(s=0.3,e=0.5)", "c(s=0.3)"], ["a", "b(e=0.5)", "c"]),
        (["a(s=0.3)", "a(s=0.5)"], ["a(s=0.3)", "a(s=0.5)"]),
        (["mean", "krum(n=6)", "multi_krum(n=6)"], ["mean", "krum(n=6)", "multi_krum(n=6)"]),
        (["a(x=1)"], ["a(x=1)"]),
        (["a(x=b(y=1))", "c(x=b(y=1))"], ["a(x=b(y=1))", "c(x=b(y=1))"]),
        (["a(x=1)", "a(x=1,y=2)"], ["a", "a(y=2)"]),
        (
            ["a(one_key=1,another_key=1)", "a(one_key=2,another_key=2)"],
            ["one_key=1,another_key=1", "one_key=2,another_key=2"],
        ),
        (["0.1", "100"], ["0.1", "100"]),
        # As wide as there is room, and wider: all of them, one of them.
        (
            ["a(onekey=1,anotherkey=1)", "a(onekey=2,anotherkey=2)"],
            ["a(onekey=1,anotherkey=1)", "a(onekey=2,anotherkey=2)"],
        ),
        (["a(x=1)", "a(key=1,anotherlongkey=1)"], ["x=1", "key=1,anotherlongkey=1"]),
        (["a(x=1)", "a(x=1,yet=1,anotherlongkey=1)"], ["a", "a(yet=1,anot…rlongkey=1)"]),
    ],
)
def test_choices_are_shown_without_the_keys_that_all_have_in_common(
    texts: list[str], shown: list[str]
) -> None:
    values = [(("key", text),) for text in texts]
    assert list(short_texts(values).values()) == shown


@pytest.mark.parametrize(("keys", "width"), [(1, 24), (2, 12), (3, 8), (4, 8)])
def test_values_of_several_keys_share_the_room(keys: int, width: int) -> None:
    values = [tuple((f"k{k}", f"{n}{'v' * 30}") for k in range(keys)) for n in range(2)]
    (short, _) = short_texts(values).values()
    assert [len(text) for text in short.split(", ")] == [width] * keys
