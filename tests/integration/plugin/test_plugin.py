"""The plugin inside pytest: what a scenario file does, and what it prints."""

from __future__ import annotations

import json
import os
import re
import textwrap
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from processes import pytest_run, worker_pids
from scenario_texts import TINY

pytestmark = pytest.mark.usefixtures("tff")

FAILING = TINY.replace("name: tiny", "name: failing").replace(
    "accuracy: {at_least: 0.3}",
    "accuracy: {at_least: 0.3}\n  loss: {at_most: 0.01}\n"
    "  rounds_to_accuracy: {target: 0.99, at_most: 2}",
)
DIVERGING = TINY.replace("name: tiny", "name: diverging").replace(
    "local_epochs: 2", "local_epochs: 2, client_optimizer: {kind: sgd, learning_rate: 1.0e30}"
)
EMNIST = (
    TINY.replace("name: tiny", "name: writers")
    .replace("dataset: digits", "dataset: emnist")
    .replace("count: 4", "split: natural")
)


@pytest.fixture
def scenarios(pytester: pytest.Pytester) -> Any:
    """Writes scenario files below scenarios/ and returns their folder."""

    def write(**files: str) -> Path:
        folder = pytester.path / "scenarios"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / f"{name}.yaml").write_text(text)
        return folder

    return write


def test_a_session_may_pass_fail_and_diverge(pytester: pytest.Pytester, scenarios: Any) -> None:
    scenarios(a=TINY, b=FAILING, c=DIVERGING)
    result = pytester.runpytest_inprocess(
        "scenarios", "-v", "--fed-report=out", "--junitxml=out.xml"
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "scenarios/a.yaml::tiny PASSED (accuracy 0.*",
            "scenarios/b.yaml::failing FAILED*",
            "scenarios/c.yaml::diverging FAILED*",
            "loss * > 0.01; rounds_to_accuracy not reached in 1 of 1 seed(s), expected*",
            "scenarios/b.yaml::failing (line 1)",
            "expectation *expected *measured *margin *verdict",
            "accuracy * >= 0.3 * +* pass",
            "loss * <= 0.01 * -* FAIL",
            "rounds_to_accuracy * 0.99 by round 2 * not reached in 1 of 1 seed(s) * FAIL",
            "seed 0 diverged in round 1: *not finite",
            "* federated scenarios *",
            "FAILED scenarios/b.yaml::failing - loss *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert not worker_pids(parent=os.getpid())

    record = json.loads((pytester.path / "out/records/diverging.json").read_text())
    assert record["status"] == "diverged"
    assert len(record["histories"][0]["rounds"]) == 1
    assert record["reason"].startswith("seed 0 diverged in round 1")

    report = (pytester.path / "out/index.md").read_text()
    assert "**1 diverged, 1 failed, 1 passed**" in report
    assert str(pytester.path) not in report

    case = ElementTree.parse(pytester.path / "out.xml").find(".//testcase[@name='failing']")
    assert case is not None
    found = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert found["fed_status"] == "failed"
    assert float(found["fed_accuracy"] or 0) > 0.3


def test_the_report_is_the_same_bytes_again(pytester: pytest.Pytester, scenarios: Any) -> None:
    scenarios(a=TINY.replace("rounds: 2", "rounds: 3"))
    for out in ("one", "two"):
        pytester.runpytest_inprocess("scenarios", f"--fed-report={out}").assert_outcomes(passed=1)
    one, two = pytester.path / "one", pytester.path / "two"
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert [str(n) for n in names] == [
        *("index.md", "pages/scenarios.md", "pages/scenarios.svg", "records/tiny.json"),
    ]
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_wrong_file_is_a_usage_error_with_every_mistake(
    pytester: pytest.Pytester, scenarios: Any
) -> None:
    scenarios(
        a=TINY,
        b=TINY.replace("tiny", "second").replace("count: 4", "count: 0, splitt: iid"),
        c=TINY.replace("tiny", "third").replace("rounds: 2", "rounds: two"),
    )
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: 3 problem(s) in scenario files",
            "*scenarios/b.yaml:5: clients.count: got 0; must be at least 1",
            "*scenarios/b.yaml:5: clients.splitt: unknown key; *did you mean 'split'?",
            "*scenarios/c.yaml:7: training.rounds: got 'two'; must be an integer",
        ]
    )
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert not (pytester.path / "out").exists()


def test_one_name_in_two_files_is_a_usage_error(pytester: pytest.Pytester, scenarios: Any) -> None:
    scenarios(a=TINY, b=TINY)
    result = pytester.runpytest_inprocess("scenarios")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*b.yaml:1: name: got 'tiny'; taken in *a.yaml:1"])


def test_a_missing_file_is_a_usage_error(pytester: pytest.Pytester) -> None:
    assert pytester.runpytest_inprocess("scenarios/none.yaml").ret == pytest.ExitCode.USAGE_ERROR


MATRIX = TINY + "matrix:\n  clients.count: [2, 3]\n  training.batch_size: [10, 20]\n"


def test_collect_only_shows_variants(pytester: pytest.Pytester, scenarios: Any) -> None:
    scenarios(a=MATRIX)
    result = pytester.runpytest_inprocess("scenarios", "--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "scenarios/a.yaml::tiny[[]count=2,batch_size=10[]]",
            "scenarios/a.yaml::tiny[[]count=2,batch_size=20[]]",
            "scenarios/a.yaml::tiny[[]count=3,batch_size=10[]]",
            "scenarios/a.yaml::tiny[[]count=3,batch_size=20[]]",
            "4 tests collected*",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "selected"),
    [
        (("-k", "failing"), {"failing"}),
        (("-k", "not failing"), {"tiny", "other"}),
        (("-m", "smoke"), {"tiny", "failing"}),
        (("-m", "not smoke"), {"other"}),
        (("scenarios/a.yaml::tiny",), {"tiny"}),
    ],
)
def test_scenarios_are_selected_by_name_tag_and_node_id(
    pytester: pytest.Pytester, scenarios: Any, arguments: tuple[str, ...], selected: set[str]
) -> None:
    scenarios(a=TINY, b=FAILING, c=TINY.replace("tiny", "other").replace("smoke", "slow"))
    where = () if "::" in arguments[0] else ("scenarios",)
    result = pytester.runpytest_inprocess(
        *where, *arguments, "--collect-only", "-q", "--strict-markers"
    )
    assert {n.rpartition("::")[2] for n in result.outlines if "::" in n} == selected


def test_last_failed_runs_the_failed_variant_only(
    pytester: pytest.Pytester, scenarios: Any
) -> None:
    """The variant with one local epoch fails, the one with twelve passes."""
    scenarios(
        a=TINY.replace("rounds: 2", "rounds: 1").replace("0.3", "0.75")
        + "matrix:\n  training.local_epochs: [1, 12]\n"
    )
    first = pytester.runpytest_inprocess("scenarios", "-p", "cacheprovider")
    first.assert_outcomes(passed=1, failed=1)
    again = pytester.runpytest_inprocess("scenarios", "--lf", "--collect-only", "-q")
    assert [n for n in again.outlines if "::" in n] == ["scenarios/a.yaml::tiny[local_epochs=1]"]


def test_unavailable_data_skips_and_fails_when_strict(
    pytester: pytest.Pytester, scenarios: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        from urllib.error import URLError

        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    scenarios(a=EMNIST)
    arguments = ("scenarios", "-rs", "--fed-data-cache=cache", "--fed-report=out")
    result = pytester.runpytest_inprocess(*arguments)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED [[]1[]] scenarios/a.yaml:1: emnist is not in the data cache*no network*"]
    )
    assert "writers" in (pytester.path / "out/index.md").read_text()
    (record,) = (pytester.path / "out/records").iterdir()
    for written in (
        record,
        pytester.path / "out/index.md",
    ):  # they are the same on every such machine
        assert "could not be downloaded; run once while online" in written.read_text()
        assert "no network" not in written.read_text()
    assert not list((pytester.path / "cache").iterdir())

    strict = pytester.runpytest_inprocess(*arguments, "--fed-strict")
    strict.assert_outcomes(failed=1)
    strict.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("count: 4", "count: 5000"),
            "5000 clients with at least 1 example(s) each need 5000 training examples; there are *",
        ),
        (
            ("count: 4", "count: 40, split: {kind: dirichlet, alpha: 0.001}"),
            "the split dirichlet (alpha 0.001) leaves client * fewer than 1 of * a larger alpha",
        ),
        (
            ("{kind: mlp, hidden: [16]}", '{keras: "nowhere:build"}'),
            "model.keras: ModuleNotFoundError: No module named 'nowhere'; looked in *",
        ),
        (
            ("{kind: mlp, hidden: [16]}", '{keras: "mine:missing"}'),
            "model.keras: the module 'mine' has no function 'missing'",
        ),
        (
            ("{kind: mlp, hidden: [16]}", '{keras: "mine:raises"}'),
            "model.keras: mine:raises raised ValueError: no such width (line * of *mine.py: *",
        ),
        (
            ("{kind: mlp, hidden: [16]}", '{keras: "mine:wrong"}'),
            "model.keras: mine:wrong: the model gives outputs of shape (None, 3); the data has *",
        ),
        (
            ("{kind: mlp, hidden: [16]}", '{keras: "mine:normalized"}'),
            "model.keras: mine:normalized: the layer * is batch normalization: *",
        ),
        (
            ("{kind: mlp, hidden: [16]}", '{keras: "mine:large"}'),
            "model.keras: mine:large: the model takes examples of shape (28, 28, 1); the data *",
        ),
        (
            ("{kind: mlp, hidden: [16]}", '{keras: "mine:soft", outputs: logits}'),
            "model.keras: mine:soft: got 'outputs: logits'; its last layer is a softmax; leave *",
        ),
    ],
)
def test_a_mistake_that_shows_in_training_fails_in_one_line(
    pytester: pytest.Pytester, scenarios: Any, change: tuple[str, str], message: str
) -> None:
    folder = scenarios(a=TINY.replace(*change))
    (folder / "mine.py").write_text(
        textwrap.dedent(
            """
            import tensorflow as tf

            def raises(num_classes):
                raise ValueError("no such width")

            def wrong(input_shape):
                return tf.keras.Sequential([
                    tf.keras.layers.InputLayer(input_shape), tf.keras.layers.Flatten(),
                    tf.keras.layers.Dense(3),
                ])

            def large(num_classes):
                return tf.keras.Sequential([
                    tf.keras.layers.InputLayer((28, 28, 1)), tf.keras.layers.Flatten(),
                    tf.keras.layers.Dense(num_classes),
                ])

            def soft(input_shape, num_classes):
                return tf.keras.Sequential([
                    tf.keras.layers.InputLayer(input_shape), tf.keras.layers.Flatten(),
                    tf.keras.layers.Dense(num_classes, activation="softmax"),
                ])

            def normalized(input_shape, num_classes):
                return tf.keras.Sequential([
                    tf.keras.layers.InputLayer(input_shape), tf.keras.layers.Flatten(),
                    tf.keras.layers.BatchNormalization(), tf.keras.layers.Dense(num_classes),
                ])
            """
        )
    )
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.assert_outcomes(failed=1)
    rows = TINY.replace(*change).splitlines()
    line = next(n for n, row in enumerate(rows, start=1) if change[1] in row)
    result.stdout.fnmatch_lines([message, f"scenarios/a.yaml::tiny (line {line}*)"])
    assert "Traceback" not in result.stdout.str() and "Error\n" not in result.stdout.str()
    report = (pytester.path / "out/index.md").read_text(encoding="utf-8")
    assert "**1 errored**" in report and str(pytester.path) not in report


def test_a_keras_model_may_be_next_to_the_file(pytester: pytest.Pytester, scenarios: Any) -> None:
    folder = scenarios(a=TINY.replace("{kind: mlp, hidden: [16]}", '{keras: "own:build"}'))
    (folder / "own.py").write_text(
        "import tensorflow as tf\n"
        "def build(input_shape, num_classes):\n"
        "    layers = tf.keras.layers\n"
        "    return tf.keras.Sequential([layers.InputLayer(input_shape), layers.Flatten(),\n"
        "                                layers.Dense(num_classes)])\n"
    )
    pytester.runpytest_inprocess("scenarios").assert_outcomes(passed=1)


def test_with_fewer_rounds_nothing_is_judged(pytester: pytest.Pytester, scenarios: Any) -> None:
    scenarios(b=FAILING)
    result = pytester.runpytest_inprocess(
        "scenarios", "--fed-rounds=1", "--fed-seeds=2", "--fed-report=out"
    )
    result.assert_outcomes(passed=1)
    record = json.loads((pytester.path / "out/records/failing.json").read_text())
    assert record["status"] == "not judged" and record["verdicts"] == []
    assert [h["seed"] for h in record["histories"]] == [0, 1]
    assert [len(h["rounds"]) for h in record["histories"]] == [1, 1]


def test_options_may_be_in_the_ini_file(pytester: pytest.Pytester, scenarios: Any) -> None:
    scenarios(a=TINY)
    pytester.makeini("[pytest]\nfed_rounds = 1\nfed_report = from-ini\n")
    pytester.runpytest_inprocess("scenarios").assert_outcomes(passed=1)
    record = json.loads((pytester.path / "from-ini/records/tiny.json").read_text())
    assert record["status"] == "not judged"

    pytester.makeini("[pytest]\nfed_rounds = none\n")
    refused = pytester.runpytest_inprocess("scenarios")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR  # once, not for each scenario
    refused.stderr.fnmatch_lines(["ERROR: fed_rounds in *got 'none'; must be 1 or greater"])


def test_files_outside_scenarios_are_left_alone(pytester: pytest.Pytester) -> None:
    (pytester.path / "compose.yaml").write_text("services: {}\n")
    (pytester.path / "alone.yaml").write_text(TINY)
    (pytester.path / "named.scenario.yaml").write_text(TINY.replace("tiny", "named"))
    found = pytester.runpytest_inprocess("--collect-only", "-q").outlines
    assert [n for n in found if "::" in n] == ["named.scenario.yaml::named"]
    named = pytester.runpytest_inprocess("alone.yaml", "--collect-only", "-q").outlines
    assert [n for n in named if "::" in n] == ["alone.yaml::tiny"]


def test_the_federated_fixture_runs_and_judges(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        SCENARIO = dict(
            name="in-python",
            data={"dataset": "digits"},
            clients={"count": 4},
            model={"kind": "mlp", "hidden": [16]},
            training={"rounds": 2, "local_epochs": 2},
        )

        def test_result(federated):
            assert federated(SCENARIO).accuracies[0] > 0.3

        def test_missed(federated):
            federated({**SCENARIO, "expect": {"accuracy": {"at_least": 1.0}}})

        def test_not_judged_here(federated):
            wanted = {"accuracy": {"at_least": 1.0}}
            result = federated({**SCENARIO, "expect": wanted}, judge=False)
            assert [v.passed for v in result.verdicts] == [False]
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*accuracy 0.* < 1*"])


def test_a_conftest_may_register_a_split_and_an_expectation(
    pytester: pytest.Pytester, scenarios: Any
) -> None:
    pytester.makeconftest(
        """
        import pytest_federated
        import numpy as np

        @pytest_federated.split("by_position", random=False)
        def by_position(pool, rng, *, reverse: bool = False):
            client = np.arange(len(pool.labels)) * pool.clients // len(pool.labels)
            return client[::-1] if reverse else client

        @pytest_federated.expectation("no_fewer_seeds")
        def no_fewer_seeds(histories, *, than: int):
            return pytest_federated.Verdict(
                expectation="no_fewer_seeds", expected=str(than), passed=len(histories) >= than
            )
        """
    )
    scenarios(
        a=TINY.replace("count: 4", "count: 4, split: {kind: by_position, reverse: true}")
        + "  no_fewer_seeds: {than: 2}\n"
    )
    result = pytester.runpytest_inprocess("scenarios")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["no_fewer_seeds *FAIL"])

    from pytest_federated.data.splits.partition import splits
    from pytest_federated.expectations.expectation import expectations

    for registry, name in ((splits, "by_position"), (expectations, "no_fewer_seeds")):
        registry._entries.pop(name)


def test_each_folder_has_its_own_models(pytester: pytest.Pytester) -> None:
    for name, width in {"a": 40, "b": 70}.items():
        folder = pytester.mkdir(name)
        (folder / "own.py").write_text(OWN_MODEL.replace("WIDTH", str(width)))
        (folder / "x.scenario.yaml").write_text(
            TINY.replace("name: tiny", f"name: {name}").replace(
                "{kind: mlp, hidden: [16]}", '{keras: "own:build"}'
            )
        )
    output = pytest_run(pytester.path, "-s")
    assert "2 passed" in output
    assert re.search("width 40.*width 70", output, flags=re.DOTALL)


OWN_MODEL = """\
import tensorflow as tf

def build(input_shape, num_classes):
    print("width WIDTH")
    return tf.keras.Sequential([
        tf.keras.layers.Flatten(input_shape=input_shape),
        tf.keras.layers.Dense(WIDTH, activation="relu"),
        tf.keras.layers.Dense(num_classes),
    ])
"""
