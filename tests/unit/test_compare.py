"""Runs side by side: what is compared, what is noise, and where runs are read from."""

from __future__ import annotations

import copy
import math
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_results import example_result
from markdown_it import MarkdownIt
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError
from pytest_federated.metrics.measure import expected_measure
from pytest_federated.report.compare import (
    BETTER,
    NO_FIGURE,
    NOT_COMPARABLE,
    SAME,
    UNDECIDED,
    WORSE,
    comparison,
    mark,
    outcome,
    require_comparable,
    worse,
)
from pytest_federated.report.markup import MARKDOWN, TERMINAL
from pytest_federated.report.variants import by_settings, of_matrices, pivot_table
from pytest_federated.results.record import Result
from pytest_federated.results.runs import Run, read_runs
from pytest_federated.results.store import write_result
from scipy import stats

ACCURACY = expected_measure("accuracy")


def run(name: str, *results: Result) -> Run:
    return Run(name, {r.id: r for r in results})


def row_of(text: str, name: str) -> list[str]:
    """The cells of the first row of a Markdown table that has this name, behind a mark or not."""
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines())
    return next(cells for cells in rows if name in cells[:2])


# Differences


def test_a_difference_has_the_interval_of_its_pairs() -> None:
    one, two = [0.80, 0.82, 0.81, 0.84], [0.90, 0.88, 0.93, 0.91]
    sides = example_result(accuracies=one), example_result(accuracies=two)
    found = ACCURACY.compare(*sides)
    assert found is not None and found.pairs == 4
    expected = stats.ttest_rel(two, one, alternative="less")
    assert found.chance == pytest.approx(expected.pvalue, rel=1e-6)
    differences = np.subtract(two, one)
    half = stats.t.ppf(0.975, 3) * differences.std(ddof=1) / 2
    low, high = differences.mean() - half, differences.mean() + half
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)
    runs = [run("a", sides[0]), run("b", sides[1])]
    cells = row_of(comparison(runs, ACCURACY, MARKDOWN), "tiny")
    assert cells[0] == BETTER
    assert cells[4] == f"{differences.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def test_runs_on_other_seeds_have_the_interval_of_welch() -> None:
    one, two = [0.80, 0.82, 0.81, 0.84], [0.90, 0.88, 0.93]
    found = ACCURACY.compare(on_seeds(range(4), one), on_seeds(range(7, 10), two))
    assert found is not None and found.pairs == 0
    expected = stats.ttest_ind(two, one, equal_var=False, alternative="less")
    assert found.chance == pytest.approx(expected.pvalue, rel=1e-6)
    # The interval by hand, after Welch (1947) and Satterthwaite (1946).
    errors = [np.var(s, ddof=1) / len(s) for s in (one, two)]
    free = sum(errors) ** 2 / (errors[0] ** 2 / 3 + errors[1] ** 2 / 2)
    half = stats.t.ppf(0.975, free) * sum(errors) ** 0.5
    middle = np.mean(two) - np.mean(one)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), rel=1e-6)


@pytest.mark.parametrize(
    ("accuracies", "metric", "expected"),
    [
        ((0.90, 0.91, 0.93), "accuracy", BETTER),
        ((0.70, 0.71, 0.73), "accuracy", WORSE),
        ((0.81, 0.80, 0.83), "accuracy", UNDECIDED),
        ((0.802, 0.811, 0.821), "accuracy", SAME),
        ((0.80, 0.81, 0.82), "accuracy", SAME),
        ((0.795, 0.806, 0.815), "accuracy", SAME),  # certainly lower, and by less than a point
        ((0.90, 0.91, 0.93), "loss", BETTER),  # the loss is 1 - accuracy
        ((0.70, 0.71, 0.73), "loss", WORSE),
    ],
)
def test_differences_are_marked(accuracies: tuple[float, ...], metric: str, expected: str) -> None:
    base = example_result(accuracies=(0.80, 0.81, 0.82))
    other, measure = example_result(accuracies=accuracies), expected_measure(metric)
    assert mark(measure.compare(base, other)) == expected
    worse_ones = worse([run("a", base), run("b", other)], measure)
    assert worse_ones == (["tiny"] if expected == WORSE else [])


@pytest.mark.slow
def test_of_many_scenarios_none_is_worse_by_chance() -> None:
    """Holm's procedure: among twenty scenarios, a chance of 1 % proves nothing; 0.01 % does."""
    rng = np.random.default_rng(0)

    def runs_with(fall: float) -> list[Run]:
        first, second = [], []
        for place in range(20):
            before = rng.normal(0.8, 0.02, 5)
            now = before + rng.normal(0, 0.01, 5) - (fall if place == 3 else 0)
            first.append(example_result(f"s{place}", accuracies=before.tolist()))
            second.append(example_result(f"s{place}", accuracies=now.tolist()))
        return [run("a", *first), run("b", *second)]

    false = sum(bool(worse(runs_with(0), ACCURACY)) for _ in range(30))
    assert false <= 6  # 5 % of 30 and three standard errors, had each difference mattered
    assert worse(runs_with(0.2), ACCURACY) == ["s3"]


def test_seeds_that_agree_are_not_certain_beyond_a_test_example() -> None:
    """Two seeds that agree have no spread, but one of 1,000 examples is still no difference."""
    one, two = example_result(accuracies=(0.5, 0.5)), example_result(accuracies=(0.501, 0.501))
    far = example_result(accuracies=(0.6, 0.6))
    assert mark(ACCURACY.compare(one, two)) == SAME
    assert mark(ACCURACY.compare(one, far)) == BETTER


def test_one_seed_has_a_difference_and_no_mark() -> None:
    runs = [run("a", example_result(accuracies=[0.5])), run("b", example_result(accuracies=[0.7]))]
    assert row_of(comparison(runs, ACCURACY, MARKDOWN), "tiny") == [
        *("", "tiny", "0.500", "0.700", "+0.200")
    ]


def on_seeds(seeds: Sequence[int], accuracies: Sequence[float], **more: Any) -> Result:
    one = example_result(accuracies=accuracies, **more)
    trained = zip(one.histories, seeds)
    return one.model_copy(
        update={"histories": tuple(h.model_copy(update={"seed": seed}) for h, seed in trained)}
    )


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (([0], [0.9]), ([1], [0.2]), NOT_COMPARABLE),
        (([0], [0.9]), ([1], [0.9]), NOT_COMPARABLE),
        (([0], [0.9]), ([1, 2], [0.2, 0.3]), NOT_COMPARABLE),
        (([0, 1, 2], [0.9, 0.9, 0.9]), ([5], [0.2]), NOT_COMPARABLE),
        (([0, 1, 2], [0.9, 0.2, 0.2]), ([0], [0.8]), "-0.100"),
        (([1], [0.2]), ([0, 1], [0.9, 0.4]), "+0.200"),
        (([0, 1], [0.9, 0.8]), ([1, 0], [0.8, 0.9]), "the same"),
    ],
)
def test_one_seed_is_compared_with_the_same_seed_only(
    first: tuple[list[int], list[float]], second: tuple[list[int], list[float]], shown: str
) -> None:
    runs = [run("a", on_seeds(*first)), run("b", on_seeds(*second))]
    text = comparison(runs, ACCURACY, MARKDOWN)
    if shown == "the same":
        assert "1 the same; all figures are equal" in text and "|" not in text
    elif shown == NOT_COMPARABLE:
        assert row_of(text, "tiny")[0] == NOT_COMPARABLE and row_of(text, "tiny")[4] == "–"
    else:
        assert row_of(text, "tiny")[4] == shown
    assert ("1 not comparable" in text) == (shown == NOT_COMPARABLE)
    assert ("With one seed on a side" in text) == (shown != "the same")
    assert worse(runs, ACCURACY) == []


@pytest.mark.parametrize("figure", ["accuracy", "loss"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_value_that_is_no_longer_finite_is_worse(figure: str, seeds: int) -> None:
    """In one seed only, which a mean over the others would hide."""
    good = example_result(accuracies=[0.9, 0.8, 0.7][:seeds])
    runs = [run("a", good), run("b", example_result(accuracies=[0.9, 0.8, 0.7, math.nan][-seeds:]))]
    assert worse(runs, expected_measure(figure)) == ["tiny"]
    cells = row_of(comparison(runs, expected_measure(figure), MARKDOWN), "tiny")
    assert cells[0] == WORSE and cells[3:5] == ["not finite", "not finite"]
    assert outcome(runs[1].results["tiny"], good, expected_measure(figure)) == ""


def test_a_verdict_on_runs_needs_something_to_compare() -> None:
    one, other = run("a", on_seeds([0], [0.9])), run("b", on_seeds([1], [0.9]))
    for runs, figure, said in (
        ([one], "accuracy", "nothing to compare a with; give a second run"),
        ([one, run("b", example_result("other"))], "accuracy", "a and b: no scenario in common"),
        (
            [one, one, run("c", example_result("other"))],
            "accuracy",
            "a and c: no scenario in common",
        ),
        ([one, other], "accuracy", r"a and b: nothing .* 1 .*\(one seed against other seeds\)"),
        ([one, one], "epsilon", r"a and a: nothing .* \(epsilon is not in both\)"),
    ):
        with pytest.raises(FederatedError, match=said):
            require_comparable(runs, expected_measure(figure))
    require_comparable([one, one], ACCURACY)
    both = [example_result("more"), on_seeds([0], [0.9])]
    require_comparable([run("a", *both), run("b", *both[:1], on_seeds([1], [0.9]))], ACCURACY)


def test_other_seeds_and_no_figures_together_are_nothing_to_compare() -> None:
    """One scenario has other seeds, the other one none with a figure on the second side."""
    first = [on_seeds([0], [0.9]), example_result("more")]
    second = [on_seeds([1], [0.9]), example_result("more").model_copy(update={"histories": ()})]
    with pytest.raises(FederatedError, match=r"the 2 scenario\(s\) in common \(one seed against"):
        require_comparable([run("a", *first), run("b", *second)], ACCURACY)


@pytest.mark.parametrize(("confidence", "said"), [(0.95, 20), (0.99, 100)])
def test_how_many_are_marked_by_chance_is_said(confidence: float, said: int) -> None:
    runs = [run("a", example_result()), run("b", example_result(accuracies=(0.7, 0.9)))]
    text = comparison(runs, ACCURACY, MARKDOWN, confidence=confidence)
    assert f"followed by its {100 * confidence:g} % interval" in text
    assert f"Of {said} scenarios that did not change, about one is marked by chance" in text


@pytest.mark.parametrize("status", ["failed", "diverged", "errored", "not reached", "skipped"])
@pytest.mark.parametrize("before", ["passed", "reported", "failed"])
def test_what_no_longer_passes_is_worse(before: str, status: str) -> None:
    """Even without a figure to compare; what was skipped, or failed before, is not."""
    sides = example_result(status=before), example_result(status=status, histories=())
    is_lost = before != "failed" and status != "skipped"
    runs = [run("a", sides[0]), run("b", sides[1])]
    assert worse(runs, ACCURACY) == (["tiny"] if is_lost else [])


def test_each_later_run_may_be_worse_in_a_scenario_of_its_own() -> None:
    """In the order of the first run, and without those that are only in one."""
    good, bad = (0.80, 0.81, 0.82), (0.60, 0.61, 0.62)
    first = run("a", *(example_result(n, good) for n in ("x", "y", "z", "gone")))
    second = run("b", example_result("y", bad), example_result("x", good), example_result("new"))
    third = run("c", example_result("x", bad), example_result("y", good))
    assert worse([first, second, third], ACCURACY) == ["x", "y"]
    assert worse([first, third], ACCURACY) == ["x"]


def test_a_certain_difference_that_does_not_matter_ends_no_search() -> None:
    """The most certain one is smaller than what matters; the next one is worse."""
    before = [0.80 + 0.01 * place for place in range(6)]
    tiny = [v - 0.005 for v in before]
    noise = [0.0, 0.01, -0.01, 0.02, -0.02, 0.0]
    large = [v - 0.1 + n for v, n in zip(before, noise)]
    sides = [
        run("a", example_result("tiny", before), example_result("large", before)),
        run("b", example_result("tiny", tiny), example_result("large", large)),
    ]
    assert worse(sides, ACCURACY) == ["large"]


def test_a_difference_without_any_spread_is_the_most_certain() -> None:
    """Losses have no step, and the same fall in each seed has a chance of 0."""
    sides = example_result(accuracies=(0.5, 0.75)), example_result(accuracies=(0.25, 0.5))
    found = expected_measure("loss").compare(*sides)
    assert found and found.chance == 0
    assert worse([run("a", sides[0]), run("b", sides[1])], expected_measure("loss")) == ["tiny"]


def test_holms_procedure_ends_with_the_first_that_is_not_certain() -> None:
    """Each of the two has a chance between 2.5 and 5 %, so neither is worse."""
    before, now, later = (0.80, 0.80, 0.80), (0.66, 0.70, 0.75), (0.66, 0.70, 0.751)
    runs = [
        run("a", example_result("s", before), example_result("t", before)),
        run("b", example_result("s", now), example_result("t", later)),
    ]
    assert worse(runs, ACCURACY) == []


def test_a_figure_on_one_side_only_is_none_to_compare() -> None:
    one = example_result()
    gone = one.model_copy(update={"histories": ()})
    assert outcome(one, gone, ACCURACY) == outcome(gone, one, ACCURACY) == NO_FIGURE
    assert outcome(gone, gone, ACCURACY) == NO_FIGURE
    text = comparison([run("a", one), run("b", gone)], ACCURACY, MARKDOWN)
    assert row_of(text, "tiny") == [NO_FIGURE, "tiny", "0.550 (0 to 1)", NO_FIGURE, NO_FIGURE]


def test_a_remark_on_single_seeds_is_only_there_if_they_differ() -> None:
    alone, other = on_seeds([0], [0.9]), on_seeds([0], [0.8])
    assert "With one seed" not in comparison([run("a", alone), run("b", other)], ACCURACY, MARKDOWN)
    more = example_result("more")
    runs = [run("a", alone, more), run("b", on_seeds([1], [0.8]), more)]
    assert "With one seed" in comparison(runs, ACCURACY, MARKDOWN)


def test_verdicts_are_shown_unless_all_passed() -> None:
    first = run("a", example_result("x"), example_result("y"))
    for status in ("passed", "failed"):
        now = example_result("x", (0.1, 0.2)), example_result("y", (0.1, 0.2), status=status)
        text = comparison([first, run("b", *now)], ACCURACY, MARKDOWN)
        assert (row_of(text, "x")[-1] == "passed") == (status == "failed")
        assert ("passed → failed" in text) == (status == "failed")


def test_holms_levels_rise_with_each_that_is_worse() -> None:
    """Of two, the second is tested at the whole level, once the first is worse."""
    before, now = (0.80, 0.80, 0.80), (0.66, 0.70, 0.75)
    runs = [
        run("a", example_result("s", before), example_result("t", before)),
        run("b", example_result("s", now), example_result("t", (0.5, 0.5, 0.5))),
    ]
    assert worse(runs, ACCURACY) == ["s", "t"]


def test_scenarios_are_in_the_order_of_the_first_run() -> None:
    good, bad = (0.80, 0.81, 0.82), (0.60, 0.61, 0.62)
    names = ["x", "y", "z"]
    first = run("a", *(example_result(name, good) for name in names))
    second = run("b", *(example_result(name, bad) for name in names[::-1]))
    text = comparison([first, second], ACCURACY, MARKDOWN)
    assert re.findall(r"^\| ▼ worse +\| (\w+)", text, re.M) == names


def test_a_setting_that_differs_in_both_scenarios_is_one_row() -> None:
    runs = [run("a", example_result("x"), example_result("y"))]
    runs.append(run("b", example_result("x", rounds=3), example_result("y", rounds=3)))
    assert row_of(comparison(runs, ACCURACY, MARKDOWN), "all 2") == [
        *("all 2", "training.rounds", "2", "3")
    ]


@pytest.mark.parametrize(("others", "is_worse"), [(0, True), (1, False)])
def test_the_level_is_shared_by_all_scenarios(others: int, is_worse: bool) -> None:
    """Its chance is 3.3 %: enough for one at 5 %, and too much for the first of two."""
    before, now = (0.80, 0.80, 0.80), (0.66, 0.70, 0.75)
    found = ACCURACY.compare(example_result("s", before), example_result("s", now))
    assert found and found.chance and 0.025 < found.chance < 0.05
    same = [example_result(f"same{n}", before) for n in range(others)]
    runs = [run("a", example_result("s", before), *same), run("b", example_result("s", now), *same)]
    assert worse(runs, ACCURACY) == (["s"] if is_worse else [])


def test_a_scenario_that_fails_now_is_worse() -> None:
    first, second = example_result(), example_result(status="failed")
    runs = [run("a", first), run("b", second)]
    assert worse(runs, ACCURACY) == ["tiny"]
    assert row_of(comparison(runs, ACCURACY, MARKDOWN), "tiny")[-1] == "passed → failed"


def test_three_runs_are_each_compared_with_the_first() -> None:
    runs = [
        run("a", example_result(accuracies=(0.80, 0.81, 0.82))),
        run("b", example_result(accuracies=(0.90, 0.91, 0.92))),
        run("c", example_result(accuracies=(0.70, 0.71, 0.72))),
    ]
    _, up, down = comparison(runs, ACCURACY, MARKDOWN).split(" against a: ")
    assert row_of(up, "tiny")[0] == BETTER and row_of(up, "tiny")[4].startswith("+0.100 (")
    assert row_of(down, "tiny")[0] == WORSE and row_of(down, "tiny")[4].startswith("-0.100 (")


def test_scenarios_not_in_every_run_and_settings_that_differ_are_listed() -> None:
    runs = [
        run("old", example_result(), example_result("gone")),
        run("new", example_result(rounds=4, versions={"numpy": "1.26.0"}), example_result("added")),
    ]
    text = comparison(runs, ACCURACY, MARKDOWN)
    assert re.findall("^#+ .*", text, re.MULTILINE) == [
        *("# Comparison", "## Not in every run", "## What else is different")
    ]
    assert row_of(text, "gone") == ["gone", "old"]
    assert row_of(text, "added") == ["added", "new"]
    assert ["tiny", "training.rounds", "2", "4"] in [
        [c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()
    ]
    assert row_of(text, "all") == ["all", "numpy", "1.25.2", "1.26.0"]


def test_the_same_runs_differ_in_nothing() -> None:
    variants = [example_result(f"m[a={a},b={b}]") for a in (1, 2) for b in (1, 2)]
    runs = [run(name, example_result(), *variants) for name in ("a", "b")]
    assert comparison(runs, ACCURACY, MARKDOWN) == (
        "# Comparison\n\n**b against a: 5 scenario(s), 0 better, 0 worse, 5 the same; "
        "all figures are equal**\n"
    )


def test_what_differs_comes_first_and_what_is_equal_is_only_counted() -> None:
    before = {"equal": 0.7, "up": 0.7, "down": 0.7}
    after = {"equal": 0.7, "up": 0.8, "down": 0.6}
    first, second = (
        run(name, *(example_result(n, (m, m + 0.01, m + 0.03)) for n, m in means.items()))
        for name, means in (("a", before), ("b", after))
    )
    text = comparison([first, second], ACCURACY, MARKDOWN)
    assert "3 scenario(s), 1 better, 1 worse, 1 the same; 1 with equal figures are not" in text
    assert re.findall(r"^\| ([▲▼].*?) +\| (\w+)", text, re.M) == [(WORSE, "down"), (BETTER, "up")]


def test_rows_of_long_names_can_be_seen_at_once() -> None:
    name = "a-very-long-name-of-a-scenario[alpha=0.1,algorithm=fedprox(mu=0.1),local_epochs=10]"
    accuracies = (0.80, 0.81, 0.82)
    runs = [
        run("reports/of/the/run/before", example_result(name, accuracies)),
        run("reports/of/the/run/after", example_result(name, accuracies[::-1], rounds=3)),
    ]
    rows = [r for r in comparison(runs, ACCURACY, MARKDOWN).splitlines() if r.startswith("|")]
    assert len(rows) == 6
    assert max(len(re.sub(r"\\| {2,}", "", row)) for row in rows if "--" not in row) <= 120


def test_keys_that_a_newer_version_added_with_their_defaults_are_no_difference() -> None:
    new = example_result()
    old = without(new, "clients.attacks", "training.aggregator", "data.holdout")
    assert "What else" not in comparison([run("a", old), run("b", new)], ACCURACY, MARKDOWN)
    assert "What else" not in comparison([run("a", new), run("b", old)], ACCURACY, MARKDOWN)


@pytest.mark.parametrize(
    ("key", "value", "row"),
    [
        ("training.aggregator", {"kind": "zeroing"}, ["training.aggregator.kind", "–", "zeroing"]),
        ("training.eval_every", 2, ["training.eval_every", "–", "2"]),
        ("clients.unknown", 1, ["clients.unknown", "–", "1"]),
    ],
)
def test_keys_that_a_newer_version_added_with_other_values_are_listed(
    key: str, value: Any, row: list[str]
) -> None:
    old, new = without(example_result(), key), example_result()
    section, _, name = key.partition(".")
    new.settings[section][name] = value
    text = comparison([run("a", old), run("b", new)], ACCURACY, MARKDOWN)
    assert [cell.replace("\\", "") for cell in row_of(text, "tiny")] == ["tiny", *row]


def test_a_setting_that_differs_in_many_scenarios_is_one_row() -> None:
    names = [f"s{place}" for place in range(9)]
    runs = [
        run("a", *map(example_result, names)),
        run("b", *(example_result(n, rounds=3) for n in names[:-1]), example_result(names[-1])),
    ]
    runs[1].results["s8"].settings.update(description="other", comparison={"reference": ""})
    text = comparison(runs, ACCURACY, MARKDOWN)
    assert "description" not in text and "comparison." not in text
    assert row_of(text, "s0 and 7 more") == ["s0 and 7 more", "training.rounds", "2", "3"]
    assert text.count("training.rounds") == 1


def without(result: Result, *keys: str) -> Result:
    """The result as a version recorded it that did not know these keys."""
    settings = copy.deepcopy(result.settings)
    for section, _, name in (key.partition(".") for key in keys):
        settings[section].pop(name, None)
    return result.model_copy(update={"settings": settings})


def test_names_are_shown_as_they_are_when_rendered() -> None:
    name = "odd_name[a=x|y,b=*c*]"
    runs = [run("main", example_result(name)), run("my_branch", example_result(name, (0.1, 0.3)))]
    html = MarkdownIt("commonmark").enable("table").render(comparison(runs, ACCURACY, MARKDOWN))
    assert f"<td>{name}</td>" in html
    assert ">my_branch</th>" in html
    assert "<em>c" not in html
    assert name in comparison(runs, ACCURACY, TERMINAL)


# Side by side


def test_the_best_of_a_row_is_bold_where_the_seeds_tell_it() -> None:
    results = [
        example_result("m[alpha=10,algorithm=a]", (0.90, 0.91, 0.92)),
        example_result("m[alpha=10,algorithm=b(mu=1,nu=2)]", (0.91, 0.90, 0.93)),
        example_result("m[alpha=0.5,algorithm=a]", (0.5, 0.51, 0.52)),
        example_result("m[alpha=0.5,algorithm=b(mu=1,nu=2)]", (0.7, 0.71, 0.72)),
        example_result("m[alpha=2,algorithm=a]", (0.7, 0.71, 0.72)),
    ]
    (pivot,) = of_matrices(results)
    rows, columns = pivot_table(pivot, ACCURACY, MARKDOWN)
    assert columns == ["alpha", "a", "b(mu=1,nu=2)"]
    assert [row[0] for row in rows] == ["0.5", "2", "10"]
    assert rows[0][1].startswith("0.510") and rows[0][2].startswith("**0.710")
    assert rows[1][1:] == ["0.710 ± 0.025", "–"]
    assert rows[2][1].startswith("0.910") and rows[2][2].startswith("0.913")


def test_the_best_loss_is_the_least() -> None:
    results = [example_result("m[a=1]", (0.5, 0.6)), example_result("m[a=2]", (0.1, 0.2))]
    (pivot,) = of_matrices(results)
    rows, _ = pivot_table(pivot, expected_measure("loss"), TERMINAL)
    assert rows[0][1].endswith("*") and not rows[1][1].endswith("*")


@pytest.mark.parametrize(
    "other",
    [
        ([0], [0.5]),
        ([0], [0.2]),
        ([1], [0.2]),  # another seed
        ([0, 1], [0.5, 0.4]),
        ([0], [math.nan]),
    ],
)
def test_a_single_seed_is_never_the_best(other: tuple[list[int], list[float]]) -> None:
    results = [
        on_seeds([0], [0.9], name="m[algorithm=a]"),
        on_seeds([0], [0.9], name="m[algorithm=b]"),
        on_seeds(*other, name="m[algorithm=c]"),
    ]
    for variants in (results, results[1:]):
        (pivot,) = of_matrices(variants)
        assert "**" not in str(pivot_table(pivot, ACCURACY, MARKDOWN))


def test_the_best_has_to_be_told_from_each_of_the_others() -> None:
    best, close, far = (0.90, 0.91, 0.92), (0.89, 0.92, 0.91), (0.5, 0.51, 0.52)
    shown = [example_result(f"m[a={n}]", figures) for n, figures in enumerate((best, close, far))]
    for variants, is_told in ((shown, False), ([shown[0], shown[2]], True)):
        (pivot,) = of_matrices(variants)
        rows, _ = pivot_table(pivot, ACCURACY, MARKDOWN)
        assert ["**" in row[1] for row in rows] == [is_told, *[False] * (len(rows) - 1)]


def test_any_scenarios_can_be_arranged_by_two_settings() -> None:
    results = [
        example_result("one", split={"kind": "dirichlet", "alpha": 0.5}),
        example_result("two", split={"kind": "dirichlet", "alpha": 10.0}),
        example_result(
            "three",
            split={"kind": "dirichlet", "alpha": 0.5},
            algorithm={"kind": "fedprox", "mu": 0.1},
        ),
        example_result("four"),  # has no alpha
    ]
    pivot = by_settings(results, "alpha", "training.algorithm")
    assert {place: r.id for place, r in pivot.cells.items()} == {
        ("0.5", "fedavg"): "one",
        ("10", "fedavg"): "two",
        ("0.5", "fedprox"): "three",
    }


# Where runs are


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with three commits: no records, good ones, worse ones."""
    monkeypatch.chdir(tmp_path)
    for key, value in (("NAME", "A"), ("EMAIL", "a@b.c")):
        monkeypatch.setenv(f"GIT_AUTHOR_{key}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{key}", value)
    git("init", "-q", "-b", "main")
    (tmp_path / "a file").write_text("a")
    commit("nothing yet")
    git("tag", "empty")
    write_result(example_result("tiny[alpha=0.1]", (0.80, 0.81, 0.82)), tmp_path / "reports")
    write_result(example_result("Size", (0.80, 0.81, 0.82)), tmp_path / "reports")
    commit("first")
    git("checkout", "-qb", "other")
    write_result(example_result("tiny[alpha=0.1]", (0.70, 0.71, 0.72)), tmp_path / "reports")
    commit("second")
    return tmp_path


def commit(message: str) -> None:
    git("add", ".")
    git("commit", "-qm", message)


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


@pytest.mark.parametrize(
    "asked", [["main..other"], ["main", "HEAD"], ["main..."], ["main", "reports"]]
)
def test_git_revisions_are_read(repository: Path, asked: list[str]) -> None:
    first, second = read_runs(asked)
    assert list(first.results) == ["Size", "tiny[alpha=0.1]"]
    assert first.results["tiny[alpha=0.1]"].accuracies == [0.80, 0.81, 0.82]
    assert second.results["tiny[alpha=0.1]"].accuracies == [0.70, 0.71, 0.72]


def test_three_dots_are_from_where_the_second_branched_off(repository: Path) -> None:
    git("checkout", "-q", "main")
    write_result(example_result("Size", (0.50, 0.51, 0.52)), repository / "reports")
    commit("main went on")
    assert [
        read_runs([f"main{dots}other"])[0].results["Size"].accuracies for dots in ("..", "...")
    ] == [
        [0.50, 0.51, 0.52],
        [0.80, 0.81, 0.82],
    ]


def test_a_revision_is_read_from_below_the_root_too(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "below").mkdir()
    monkeypatch.chdir(repository / "below")
    assert len(read_runs(["main..other"])) == 2


def test_a_record_or_its_folder_is_a_run(repository: Path) -> None:
    for asked in ("reports/records/tiny-alpha=0.1.json", "reports/records", "reports"):
        (found,) = read_runs([asked])
        assert "tiny[alpha=0.1]" in found.results


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mian"], "mian: no such file, folder or git revision; did you mean 'main'?"),
        (["main..nope"], "nope: no such file, folder or git revision"),
        (["main", "main"], "main: given twice"),
        (["other", "HEAD"], "HEAD: the same run as other"),
        (["reports", "./reports"], "./reports: the same run as reports"),
        (["empty"], "empty: no records in reports/records of that revision; --in names another"),
        (["main", "--in", "x"], "main: no records in x/records of that revision"),
        (["a file"], "a file: not a result record"),
        (["main", "--rows", "alpha"], "--rows and --columns need each other"),
        (["main", "--rows", "alpah", "--columns", "dataset"], "alpah: no scenario has such a key"),
        (
            ["main", "--rows", "dataset", "--columns", "algorithm"],
            "Size and tiny[alpha=0.1] both have dataset digits and algorithm fedavg",
        ),
        (["main..other", "--rows", "a", "--columns", "b"], "--rows, --columns, --reference and"),
        (["main..other", "--only", "x*"], "no scenario is named x*"),
        (["main", "--only", "Size"], "main: no scenario with a matrix"),
    ],
)
def test_mistakes_are_reported_in_one_line(
    repository: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(said) and error.count("\n") == 1


def test_outside_a_repository_compare_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["compare", "main..HEAD"]) == 1
    assert "not a git repository" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert main(["compare", "main..HEAD"]) == 1
    assert "git is not installed" in capsys.readouterr().err


def test_the_command_writes_markdown_and_can_fail(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", "main..other", "--only", "tiny[alpha=*"]
    assert main(arguments) == 0
    assert "-0.100" in capsys.readouterr().out
    assert main([*arguments, "--out", "out.md", "--fail-if-worse"]) == 1
    assert capsys.readouterr().err == "worse: tiny[alpha=0.1]\n"
    text = Path("out.md").read_text(encoding="utf-8")
    assert row_of(text, r"tiny\[alpha=0.1\]")[0] == WORSE
    assert "Size" not in text
    assert main(["compare", "main..other", "--metric", "loss"]) == 0
    assert re.search(r"worse.*tiny.*\+0\.100", capsys.readouterr().out)
    assert main(["compare", "main..other", "--confidence", "0.999999"]) == 0
    assert re.search(r"≈.*tiny.*-0\.100", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("accuracies", "seed", "arguments", "said"),
    [
        ([0.9], 0, [], ""),
        ([0.9], 1, [], "a and b: nothing can be compared of the 1 scenario(s) in common (one se"),
        ([0.9], 0, ["--metric", "epsilon"], "a and b: nothing can be compared of the 1 scenario"),
        ([0.9, 0.9], 7, [], ""),
    ],
)
def test_a_run_with_nothing_to_compare_does_not_pass(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    accuracies: list[float],
    seed: int,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    seeds = range(seed, seed + len(accuracies))
    write_result(example_result(accuracies=accuracies), Path("a"))
    write_result(on_seeds(seeds, accuracies), Path("b"))
    write_result(example_result("other"), Path("c"))
    assert main(["compare", "a", "b", "--fail-if-worse", *arguments]) == bool(said)
    error = capsys.readouterr().err
    assert error.startswith(said) and error.count("\n") == bool(said)
    assert main(["compare", "a", "c", "--fail-if-worse"]) == 1
    assert capsys.readouterr().err == "a and c: no scenario in common\n"
    assert main(["compare", "a", "c"]) == main(["compare", "a", "b"]) == 0


def test_wrong_usage_ends_with_code_2() -> None:
    with pytest.raises(SystemExit) as end:
        main(["compare", "main", "--confidence", "2"])
    assert end.value.code == 2


def test_an_unknown_metric_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["compare", "main..other", "--metric", "acuracy"])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert "--metric: got 'acuracy'; allowed: accuracy, " in error
    assert error.endswith("did you mean 'accuracy'?\n")
