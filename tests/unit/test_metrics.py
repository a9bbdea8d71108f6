"""Metrics: each is defined once, and no other module knows one by name."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Optional

import pytest
import pytest_federated
from example_results import expect
from example_results import history as example_history
from paths import ROOT
from pytest_federated.cli.collecting import load_plugins
from pytest_federated.core.errors import FederatedError, ScenarioError
from pytest_federated.expectations.baselines import baseline_of
from pytest_federated.expectations.bounds import Bounds, verdict_on
from pytest_federated.expectations.calibrating import propose
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.judging import judge
from pytest_federated.expectations.regression import compare_with_baseline, keys_of
from pytest_federated.metrics.measure import columns, expected_measure
from pytest_federated.metrics.metric import NoValue, metrics, spec_of
from pytest_federated.metrics.resolution import EVALUATED_ROUND, constant
from pytest_federated.report.compare import WORSE, outcome
from pytest_federated.report.export import by_scenario, by_seed, properties
from pytest_federated.report.html import page
from pytest_federated.results.record import Result
from pytest_federated.scenario.loader import load_file
from pytest_federated.training.history import TrainingHistory
from report_texts import whole_report
from source_trees import tree_of

PACKAGE = ROOT / "harness/pytest_federated"

# Names of metrics that mean something else in these files: fields of a round, and plots.
OTHER_MEANINGS = {
    "report/export.py": {"accuracy"},
    "report/plots/clients_by_round.py": {"accuracy"},
    "report/scalars.py": {"accuracy", "loss"},
    "report/plots/clients.py": {"accuracy"},
    "report/plots/curves.py": {"accuracy", "loss"},
    "report/plots/rounds.py": {"accuracy", "loss"},
    "report/tables/recall.py": {"recall"},
    "report/tables/settings.py": {"loss"},
}


history = partial(example_history, bytes_up=100, bytes_down=400)


# No other module knows a metric by name


def literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("folder", ["expectations", "report", "plugin", "cli", "running"])
def test_no_module_names_a_metric(folder: str) -> None:
    named = {
        f"{file.relative_to(PACKAGE)}: {text}"
        for file in (PACKAGE / folder).rglob("*.py")
        for text in literals(tree_of(file))
        if text in metrics
        and text not in OTHER_MEANINGS.get(file.relative_to(PACKAGE).as_posix(), ())
    }
    assert not named


def test_no_two_metrics_have_the_same_place() -> None:
    places = [spec.column for spec in map(spec_of, metrics.names()) if spec.column is not None]
    assert len(places) == len({*places})


def test_columns_have_places_and_titles_of_their_own() -> None:
    places = [measure.spec.column for measure in columns()]
    assert places == sorted(set(places), key=lambda place: place or 0)
    titles = [expected_measure(name).title for name in metrics.names()]
    assert len(set(titles)) == len(titles)


# Resolution

OF_LABELS = ("precision", "recall", "f1", "auc")

SIX = [None, None, 0.5, None, None, 0.9]
RESOLUTIONS: list[tuple[str, TrainingHistory, dict[str, Any], float, Optional[int]]] = [
    ("accuracy", history([0.5]), {}, 1 / 10, 10),
    ("best_accuracy", history([0.5], test_examples=360), {}, 1 / 360, 360),
    ("accuracy_drop", history([0.5, 0.4]), {}, 1 / 10, 10),
    ("accuracy_area", history([0.4, 0.5, 0.6, 0.7, 0.8]), {}, 1 / 40, 10),
    ("loss", history([0.5]), {}, 0, None),
    ("rounds_to_accuracy", history([0.5, 0.9]), {"target": 0.9}, 1, None),
    ("rounds_to_accuracy", history(SIX), {"target": 0.9}, 3, None),
    ("rounds_to_accuracy", history([*SIX, 0.9]), {"target": 0.9}, 3, None),
    ("bytes_to_accuracy", history(SIX), {"target": 0.9}, 1500, None),
    ("bytes_to_accuracy", history(SIX), {"target": 0.9, "direction": "up"}, 300, None),
    ("bytes_to_accuracy", history(SIX, bytes_down=None), {"target": 0.9}, 0, None),
    ("megabytes_down", history([0.5, 0.6]), {}, 400e-6, None),
    ("megabytes_up", history([0.5, 0.6]), {}, 100e-6, None),
    ("dropped_clients", history([0.5]), {}, 1, None),
    ("epsilon", history([0.5], epsilon=3.0), {}, 0, None),
    ("seconds_per_round", history([0.5]), {}, 0, None),
    ("gap", history([0.5]), {"relative_to": "[alpha=1]"}, 1 / 10, 10),
    ("custom", history([0.5]), {}, 0, None),
    ("client_accuracy_deviation", history([0.5], client_accuracy=(0.2, 0.8)), {}, 0, None),
    ("client_accuracy", history([0.5], client_accuracy=(0.2, 0.8)), {}, 1 / 10, 10),
    ("personalized_accuracy", history([0.5], personalized_accuracy=(0.2, 0.8)), {}, 1 / 10, 10),
    # One example of the worst client, where its size is known.
    (
        "worst_client_accuracy",
        history([0.5], client_examples=(20, 4), client_accuracy=(0.6, 0.25)),
        {},
        1 / 4,
        4,
    ),
    (
        "worst_client_accuracy",
        history(
            [0.5], client_examples=(9, 20, 4), measured_clients=(1, 2), client_accuracy=(0.1, 0.25)
        ),
        {},
        1 / 20,
        20,
    ),
    # Judged on held-out examples: 0.6 is no whole number of four examples.
    (
        "worst_client_accuracy",
        history([0.5], client_examples=(20, 4), client_accuracy=(0.6, 0.6)),
        {},
        1 / 10,
        10,
    ),
    (
        "worst_client_accuracy",
        history([0.5], client_examples=(20, 4), client_accuracy=(0.6, 0.25)),
        {"personalized": True},
        1 / 10,
        10,
    ),
    (
        "worst_tenth_accuracy",
        history([0.5], client_examples=(8,) * 11, client_accuracy=(0.25, 0.5, *[1.0] * 9)),
        {},
        1 / 16,
        16,
    ),
    (
        "unseen_client_accuracy",
        history([0.5], unseen_examples=(20, 4), unseen_accuracy=(0.6, 0.25)),
        {},
        1 / 40,
        24,
    ),
    ("unseen_client_accuracy", history([0.5]), {}, 0, None),
    ("backdoor_success", history([0.5], test_examples=50, backdoor_success=0.4), {}, 1 / 50, 50),
    *((name, history([0.5], test_examples=360), {}, 1 / 360, 360) for name in OF_LABELS),
    *(
        (name, history([0.5], client_examples=(20, 4)), {"over": "clients"}, 1 / 40, 24)
        for name in OF_LABELS
    ),
    *(
        (name, history([0.5], client_examples=(20, 4)), {"over": "worst_client"}, 1 / 4, 4)
        for name in OF_LABELS
    ),
    *((name, history([0.5]), {}, 0, None) for name in ("mae", "mse", "r2", "validation_loss")),
    ("accuracy", history([0.5] * 4, test_examples=50), {"over_last": 2}, 1 / 100, 50),
    # Of the last three rounds, the last one and the one before the last were evaluated.
    (
        "accuracy",
        history([0.1, 0.2, None, 0.3, 0.4], test_examples=50),
        {"over_last": 3},
        1 / 100,
        50,
    ),
    (
        "validation_accuracy",
        history([0.5] * 4, validation_examples=10),
        {"over_last": 4},
        1 / 40,
        10,
    ),
    *(
        (name, history([0.5], validation_examples=50), {}, 1 / 50, 50)
        for name in ("validation_accuracy", "best_validation_accuracy")
    ),
    # One example of the label: its share of the clients' examples is that of the test set.
    (
        "class_recall",
        history(
            [0.5],
            test_examples=40,
            client_examples=(10, 10),
            label_counts=((5, 5), (10, 0)),
            class_recall=(0.9, 0.8),
        ),
        {"label": 0},
        1 / 30,
        30,
    ),
    (
        "class_recall",
        history(
            [0.5],
            test_examples=40,
            client_examples=(10, 10),
            label_counts=((5, 5), (10, 0)),
            class_recall=(0.9, 0.8),
        ),
        {},
        1 / 10,
        10,
    ),
    ("class_recall", history([0.5], test_examples=360, class_recall=(1.0,) * 10), {}, 1 / 36, 36),
]


@pytest.mark.parametrize(("name", "training", "keys", "size", "examples"), RESOLUTIONS)
def test_each_metric_comes_in_its_steps(
    name: str,
    training: TrainingHistory,
    keys: Mapping[str, Any],
    size: float,
    examples: Optional[int],
) -> None:
    step = spec_of(name).steps.step(training, keys)
    assert (step.size, step.examples) == (pytest.approx(size), examples)


def test_every_metric_has_a_resolution_that_is_tested() -> None:
    missing = {"gap_to_centralized", "gain_over_local"}  # the same as gap
    assert {name for name, *_ in RESOLUTIONS} | missing == set(metrics.names())


def test_one_example_of_a_label_is_not_worse() -> None:
    """With one seed, from 36 of 36 to 35 of 36."""

    def of(recall: float) -> Result:
        trained = history([0.9], test_examples=360, class_recall=(recall, *[1.0] * 9))
        settings = {**SETTINGS, "expect": {"class_recall": {"at_least": 0.5, "label": 0}}}
        return judged(settings, [trained])

    before = of(1.0)
    verdicts = compare_with_baseline(of(35 / 36), baseline_of(before, keys=keys_of(before)))
    assert all(verdict.passed for verdict in verdicts)
    verdicts = compare_with_baseline(of(20 / 36), baseline_of(before, keys=keys_of(before)))
    assert [c.metric for c in verdicts if not c.passed] == ["class_recall"]


# A metric of the user's own

SCENARIO = """\
schema: 1
name: a
data: {dataset: digits}
clients: {count: 4, split: iid}
model: mlp
training: {rounds: 2}
seeds: [0, 1, 2]
expect: {rounds_to_loss: {target: 0.5, at_most: 9}}
"""
SETTINGS: dict[str, Any] = {
    "name": "a",
    "description": "",
    "data": {"dataset": {"kind": "digits"}},
    "clients": {"count": 2, "per_round": None, "split": {"kind": "iid"}},
    "model": {"kind": "mlp"},
    "training": {
        "algorithm": {"kind": "fedavg"},
        "rounds": 6,
        "local_epochs": 1,
        "batch_size": 20,
        "client_optimizer": {"kind": "sgd", "learning_rate": 0.1},
        "server_optimizer": {"kind": "sgd", "learning_rate": 1.0},
    },
    "seeds": [0],
}


def judged(settings: dict[str, Any], histories: list[TrainingHistory]) -> Result:
    """Builds a result as `run` does."""
    seeds = [h.seed for h in histories]
    return Result(
        id="a",
        settings={**settings, "seeds": seeds},
        status="passed",
        histories=tuple(histories),
        verdicts=judge(expect(**settings["expect"]), histories),
    )


@pytest.fixture
def rounds_to_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers a metric as a conftest.py does."""
    monkeypatch.setattr(metrics, "_entries", {n: metrics[n] for n in metrics.names()})

    @pytest_federated.metric(
        "rounds_to_loss",
        title="rounds to loss",
        unit="rounds",
        direction="lower",
        scale="positive count",
        resolution=EVALUATED_ROUND,
        bounds=("at_most", "between"),
        phrase="loss {target:g} by round {at_most}",
        column=35,
    )
    def rounds_to_loss(history: TrainingHistory, *, target: float) -> float:
        """The first evaluated round with a loss of `target`."""
        for done in history.evaluated:
            if done.loss is not None and done.loss <= target:
                return done.round
        raise NoValue("not reached")


def reaching(*rounds: int, every: int = 1) -> Result:
    """A result whose seeds reach a loss of 0.5 in these rounds, evaluated `every` rounds."""
    curves = [
        [
            None if number % every else 0.6 if number >= reached else 0.4
            for number in range(1, 3 * every + 13)
        ]
        for reached in rounds
    ]
    settings = {**SETTINGS, "expect": {"rounds_to_loss": {"target": 0.5, "at_most": 30}}}
    return judged(settings, [history(c, seed=s) for s, c in enumerate(curves)])


@pytest.mark.usefixtures("rounds_to_loss")
def test_a_metric_of_the_user_is_an_expectation(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    file = tmp_path / "a.yaml"
    file.write_text(SCENARIO)
    (case,) = load_file(file)
    (verdict,) = judge(case.scenario.expect, [history([0.4, 0.6])])
    assert (verdict.measured, verdict.passed) == (2, True)
    assert verdict.expected == "loss 0.5 by round 9"
    (verdict,) = judge(case.scenario.expect, [history([0.4, 0.4])])
    assert verdict.note == "not reached in 1 of 1 seed(s)"
    file.write_text(SCENARIO.replace("at_most: 9", "at_least: 9"))
    with pytest.raises(ScenarioError, match=r"rounds_to_loss\.at_least: unknown key"):
        load_file(file)


@pytest.mark.usefixtures("rounds_to_loss")
def test_a_metric_of_the_user_is_calibrated_to_whole_rounds() -> None:
    proposal = propose("rounds_to_loss", ["at_most"], [7, 8, 8, 7, 8], 5, 0.01)
    assert proposal.bounds == {"at_most": 10}
    assert isinstance(proposal.bounds["at_most"], int)


@pytest.mark.usefixtures("rounds_to_loss")
def test_a_metric_of_the_user_has_columns_and_is_compared() -> None:
    first, second = reaching(3, 4, 3), reaching(9, 8, 9)
    assert [row["rounds_to_loss"] for row in by_seed([first])] == [3, 4, 3]
    (row,) = by_scenario([first])
    assert row["rounds_to_loss"] == pytest.approx(10 / 3)
    assert properties(second)["rounds_to_loss"] == pytest.approx(26 / 3)
    assert outcome(first, second, expected_measure("rounds_to_loss")) == WORSE
    text = whole_report([first])
    assert "rounds to loss |" in text
    assert "3.33 to 0.5" in page([first])  # in the summary, as one of rounds that has a target


@pytest.mark.usefixtures("rounds_to_loss")
@pytest.mark.parametrize(("now", "passed"), [(10, True), (15, False)])
def test_the_baseline_of_a_metric_of_the_user_knows_its_step(now: int, passed: bool) -> None:
    """One evaluation later is one step, two are more; 25 % of 5 would be less than either."""
    before, later = reaching(5, every=5), reaching(now, every=5)
    verdicts = compare_with_baseline(later, baseline_of(before, keys=keys_of(before)))
    (compared,) = [c for c in verdicts if c.metric == "rounds_to_loss"]
    assert compared.passed == passed
    assert (compared.before, compared.margin) == (5, 5)


def test_a_record_keeps_the_figures_of_a_metric_that_is_not_loaded(
    rounds_to_loss: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = reaching(3, 4, 3), reaching(9, 8, 9)
    metrics._entries.pop("rounds_to_loss")
    measure = expected_measure("rounds_to_loss")
    assert measure.by_seed(first) == [3, 4, 3]
    assert outcome(first, second, measure) == "differs"  # the better direction is unknown
    assert r"rounds\_to\_loss" in whole_report([first])


def test_a_trait_that_is_misspelled_is_refused() -> None:
    with pytest.raises(TypeError, match=r"has no trait 'tittle'.*did you mean 'title'"):
        pytest_federated.metric("mine", tittle="mine")  # pyright: ignore
    with pytest.raises(TypeError, match="direction"):
        pytest_federated.metric("mine", direction="up")  # pyright: ignore


def test_a_step_may_be_constant() -> None:
    assert constant(0.5).step(history([0.5]), {}).size == 0.5
    assert math.isclose(spec_of("custom").steps.step(history([0.5]), {}).size, 0)


# Records of entries that are no longer registered


def test_a_choice_that_is_no_longer_registered_is_shown_by_its_name() -> None:
    gone = {"kind": "gone", "strength": 2}
    settings = {
        **SETTINGS,
        "data": {"dataset": gone, "holdout": "per_client"},
        "clients": {
            **{"count": 2, "per_round": None, "split": gone, "size": gone, "shift": [gone]},
            **dict.fromkeys(("sampling", "dropout", "stragglers", "attacks"), gone),
        },
        "model": gone,
        "training": {
            **SETTINGS["training"],
            **dict.fromkeys(
                ("algorithm", "aggregator", "client_optimizer", "server_optimizer"), gone
            ),
        },
        "expect": {"gone": {"at_most": 1}},
    }
    for epsilon in (None, 2.0):
        trained = history([0.5, 0.6], epsilon=epsilon, delta=1e-5)
        result = Result(id="a", settings=settings, status="passed", histories=(trained,))
        text = whole_report([result])
        assert "gone (strength 2)" in text
        assert list(by_seed([result])) and list(by_scenario([result]))


def test_commands_read_the_metrics_of_a_conftest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(metrics, "_entries", {n: metrics[n] for n in metrics.names()})
    (tmp_path / "conftest.py").write_text(
        "import pytest_federated\n\n\n"
        '@pytest_federated.metric("from_conftest", direction="lower")\n'
        "def from_conftest(history):\n    return 1.0\n"
    )
    (tmp_path / "scenarios").mkdir()
    load_plugins(tmp_path / "scenarios")
    assert spec_of("from_conftest").direction == "lower"
    (tmp_path / "scenarios/conftest.py").write_text("1 / 0\n")
    with pytest.raises(FederatedError, match=r"(?s)scenarios/conftest\.py:1: .*ZeroDivisionError"):
        load_plugins(tmp_path / "scenarios")


def test_a_name_of_both_a_metric_and_an_expectation_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever was registered first: neither may hide the other."""
    monkeypatch.setattr(expectations, "_entries", expectations.entries())
    monkeypatch.setattr(metrics, "_entries", metrics.entries())
    expectations("twice")(lambda histories: verdict_on("twice", [1.0], Bounds()))
    metrics("twice")(lambda history: 1.0)
    with pytest.raises(FederatedError, match="'twice' is registered by"):
        expectations["twice"]
