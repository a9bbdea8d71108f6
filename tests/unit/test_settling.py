"""What a session makes of a result and its baseline, or the same scenario at a revision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from example_results import example_result
from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.baselines import baseline_file, baseline_of, write_baseline
from pytest_federated.plugin.baselines import Settled, settle
from pytest_federated.results.record import Result, Verdict

GOOD = (0.90, 0.91, 0.92)
OPEN = (0.94, 0.88, 0.90)  # with which nothing is decided
BAD = (0.40, 0.41, 0.42)


class Revision:
    """In place of a pytest at a revision: its results, and on how many seeds it was asked."""

    name = "main (1a2b3c4)"

    def __init__(self, before: Optional[Result], wider: Optional[Result] = None) -> None:
        self.before, self.wider = before, wider
        self.asked: list[int] = []

    def result(self, scenario: str) -> Optional[Result]:
        return self.before

    def result_on_seeds(self, scenario: str, file: Path, seeds: int) -> Optional[Result]:
        self.asked.append(seeds)
        return self.wider


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, in_tmp_path: Path) -> SimpleNamespace:
    """The options that matter here."""
    options = SimpleNamespace(
        baseline="check", against="", strict=False, margin={}, decide=None, inconclusive="mean"
    )
    monkeypatch.setattr("pytest_federated.plugin.baselines.session_options", lambda config: options)
    return options


def settled(result: Result, on_more: Optional[Result] = None) -> Settled:
    def rerun(seeds: Sequence[int]) -> Result:
        assert on_more is not None, "more seeds were run"
        return on_more

    config: Any = SimpleNamespace(stash=pytest.Stash())
    return settle(config, result, Path("a.yaml"), rerun)


def kept(accuracies: Sequence[float]) -> Result:
    """Writes the baseline of a result with these accuracies; returns the result."""
    before = example_result("a", accuracies)
    write_baseline(baseline_of(before), baseline_file(Path("a.yaml"), "a"))
    return before


def test_the_same_is_the_same(session: SimpleNamespace) -> None:
    assert settled(kept(GOOD)).kind == "same"


def test_on_the_same_seeds_there_is_no_second_look(session: SimpleNamespace) -> None:
    kept(GOOD)
    found = settled(example_result("a", BAD))
    assert (found.kind, found.result.status) == ("worse", "failed")


@pytest.mark.parametrize("policy", ["mean", "pass", "fail"])
def test_an_undecided_result_fails_if_the_policy_is_fail(
    session: SimpleNamespace, policy: str
) -> None:
    kept(GOOD)
    session.inconclusive = policy
    session.margin = {"loss": 0.5}
    found = settled(example_result("a", OPEN))
    changes = {c.metric: (c.change, c.passed) for c in found.result.compared}
    assert found.kind == "undecided"
    assert changes["loss"] == ("same", True)
    assert changes["accuracy"] == ("undecided", policy != "fail")
    assert found.result.status == ("failed" if policy == "fail" else "passed")


def test_a_missing_baseline_fails_only_if_strict(session: SimpleNamespace) -> None:
    one = example_result("a", GOOD)
    assert settled(one)._replace(details="") == Settled(one, "missing")
    session.strict = True
    found = settled(one)
    (problem,) = found.result.compared
    assert (found.result.status, problem.metric, problem.passed) == ("failed", "baseline", False)


@pytest.fixture
def against(session: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has results compared with those of a revision."""
    session.against = "main"

    def compare_with(before: Optional[Result], wider: Optional[Result] = None) -> Revision:
        revision = Revision(before, wider)
        monkeypatch.setattr("pytest_federated.plugin.baselines.against", lambda config: revision)
        return revision

    return compare_with


def stopped(status: str, accuracies: Sequence[float] = ()) -> Result:
    one = example_result("a", accuracies or GOOD)
    histories = one.histories if accuracies else ()
    return one.model_copy(update={"status": status, "reason": "why", "histories": histories})


@pytest.mark.parametrize(
    ("before", "kind", "details"),
    [
        (None, "new", "it was not run there"),
        (stopped("skipped"), "new", "why"),
        (stopped("diverged", GOOD), "not compared", "diverged there: why"),
        (stopped("errored", GOOD), "not compared", "errored there: why"),
        (stopped("not reached", GOOD), "not compared", "not reached there: why"),
        (stopped("failed", GOOD), "same", ""),
        (example_result("a", GOOD), "same", ""),
    ],
)
def test_what_ran_at_the_revision_is_compared(
    against: Any, before: Optional[Result], kind: str, details: str
) -> None:
    against(before)
    one = example_result("a", GOOD)
    found = settled(one)
    assert (found.kind, found.details) == (kind, details)
    assert found.result.status == "passed"


def test_what_is_worse_than_at_the_revision_is_looked_at_on_ten_seeds(against: Any) -> None:
    ten = example_result("a", [0.9 + seed / 1000 for seed in range(10)])
    revision = against(example_result("a", GOOD), ten)
    worse = example_result("a", [0.4 + seed / 1000 for seed in range(10)])
    found = settled(example_result("a", BAD), worse)
    assert (found.kind, found.result.status, revision.asked) == ("worse", "failed", [10])
    assert {c.pairs for c in found.result.compared} == {10}
    found = settled(example_result("a", BAD), ten)
    assert (found.kind, found.result.status) == ("same", "passed")


@pytest.mark.parametrize("wider", [None, example_result("a", [0.9] * 9)])
def test_a_revision_without_enough_seeds_is_an_error(against: Any, wider: Optional[Result]) -> None:
    against(example_result("a", GOOD), wider)
    with pytest.raises(FederatedError, match=r"a: main \(1a2b3c4\) has no result on 10 seeds"):
        settled(example_result("a", BAD), example_result("a", [0.4] * 10))


def with_figures(figures: Sequence[float]) -> Result:
    """Returns a result of which ``best_accuracy`` is expected, with these figures."""
    verdict = Verdict(expectation="best_accuracy", expected="", passed=True, figures=tuple(figures))
    return example_result("a", GOOD, verdicts=(verdict,))


@pytest.mark.parametrize(
    ("figures", "kind", "compared"), [(GOOD, "same", True), (GOOD[:2], "incomplete", False)]
)
def test_what_has_no_figure_of_every_seed_at_the_revision_is_not_compared(
    against: Any, figures: Sequence[float], kind: str, compared: bool
) -> None:
    against(with_figures(figures))
    found = settled(with_figures(GOOD))
    names = {c.metric for c in found.result.compared}
    assert (found.kind, "best_accuracy" in names) == (kind, compared)
    assert {"accuracy", "loss"} <= names
    if not compared:
        advice = "it has no figure of every seed at main (1a2b3c4)"
        assert found.details == f"best_accuracy not compared; {advice}"


@pytest.mark.parametrize(
    ("accuracies", "advice"),
    [
        ((0.9, 0.91), "--fed-seeds=2 runs another, --fed-baseline=update rewrites the baseline"),
        ((0.9,), "--fed-baseline=update rewrites the baseline"),
    ],
)
def test_where_no_seed_is_in_common_the_way_out_is_named(
    session: SimpleNamespace, accuracies: Sequence[float], advice: str
) -> None:
    kept(accuracies)
    one = example_result("a", (0.9,))
    histories = [history.model_copy(update={"seed": 7}) for history in one.histories]
    found = settled(one.model_copy(update={"histories": tuple(histories)}))
    assert found.kind == "not compared"
    assert found.details.endswith(f": a single seed is compared with the same seed only; {advice}")
