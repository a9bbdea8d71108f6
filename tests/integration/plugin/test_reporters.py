"""Scenarios beside plugins that report on tests, run them again, or order and time them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from made_trainings import SCENARIO, FakeTrainings
from pytest_federated.data.datasets.dataset import datasets

MATRIX = "matrix:\n  training.rounds: [3, 4]\n"


def property_counts(file: Path) -> list[Counter[str]]:
    """How often each property is in each test case of a JUnit file."""
    return [
        Counter(str(p.get("name")) for p in case.iter("property"))
        for case in ElementTree.parse(file).iter("testcase")
    ]


def test_a_missed_expectation_is_an_assertion_error(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    made.accuracies = {0: 0.1, 1: 0.1}
    pytester.makepyfile(
        """
        import pytest
        from pathlib import Path
        from ruamel.yaml import YAML

        def test_fails(federated):
            with pytest.raises(AssertionError, match="accuracy 0.1"):
                federated(YAML(typ="safe").load(Path("scenarios/made.yaml")))
        """
    )
    pytester.runpytest_inprocess("-k", "test_fails").assert_outcomes(passed=1)


def test_variants_have_a_callspec_and_others_none(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    (pytester.path / "scenarios/b.yaml").write_text(
        SCENARIO.replace("name: made", "name: varied") + MATRIX
    )
    items, _ = pytester.inline_genitems("scenarios")
    specs: dict[str, Any] = {i.name: getattr(i, "callspec", None) for i in items}
    assert specs.pop("made") is None
    assert {name: spec.params for name, spec in specs.items()} == {
        f"varied[rounds={n}]": {"variant": f"rounds={n}"} for n in (3, 4)
    }
    assert [f"varied[{spec.id}]" for spec in specs.values()] == list(specs)


@pytest.mark.parametrize("verbosity", ["-q", "-v", "-vv"])
def test_only_vv_shows_the_traceback_of_a_mistake(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, verbosity: str
) -> None:
    monkeypatch.setattr(datasets, "_entries", datasets.entries())  # restores them afterwards
    folder = pytester.path / "scenarios"
    folder.mkdir()
    name = f"own_{len(verbosity)}_{verbosity[1]}"
    (folder / "conftest.py").write_text(
        f"""
import pytest_federated

@pytest_federated.dataset("{name}")
def own(cache):
    return {{}}["missing"]
"""
    )
    (folder / "a.yaml").write_text(SCENARIO.replace("digits", name))
    pytester.makepyfile(
        """
        from pathlib import Path
        from ruamel.yaml import YAML

        def test_fixture(federated):
            federated(YAML(typ="safe").load(Path("scenarios/a.yaml")))
        """
    )
    result = pytester.runpytest_inprocess(".", verbosity)
    result.assert_outcomes(failed=2)
    output = result.stdout.str()
    assert output.count("KeyError: 'missing' (line 6 of ") >= 2
    traces = output.count("Traceback (most recent call last)")
    assert bool(traces) == (verbosity == "-vv")


def test_allure_shows_variants_as_tests_and_missed_expectations_as_failed(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    pytest.importorskip("allure_pytest")
    made.accuracies = {0: 0.1, 1: 0.1}
    (pytester.path / "scenarios/made.yaml").write_text(SCENARIO + MATRIX)
    pytester.runpytest_inprocess("scenarios", "--alluredir=allure").assert_outcomes(failed=2)
    results = [json.loads(f.read_text()) for f in pytester.path.glob("allure/*-result.json")]
    assert [r["status"] for r in results] == ["failed"] * 2
    assert len({r["historyId"] for r in results}) == 2
    assert all("accuracy 0.1" in r["statusDetails"]["message"] for r in results)


def test_github_shows_what_failed_at_the_line_of_the_scenario(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pytest_github_actions_annotate_failures")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path))
    made.accuracies = {0: 0.1, 1: 0.1}
    (pytester.path / "scenarios/made.yaml").write_text(f"# A comment\n{SCENARIO}")
    result = pytester.runpytest_inprocess("scenarios")
    result.assert_outcomes(failed=1)
    printed = result.stdout.str() + result.stderr.str()
    assert "::error file=scenarios/made.yaml,line=2::made%0A%0Aaccuracy 0.1 < " in printed


def test_reruns_give_each_property_once(pytester: pytest.Pytester, made: FakeTrainings) -> None:
    pytest.importorskip("pytest_rerunfailures")
    made.accuracies = {0: 0.1, 1: 0.1}
    result = pytester.runpytest_inprocess(
        "scenarios", "--reruns=2", "--junitxml=out.xml", "--fed-report=out"
    )
    assert result.parseoutcomes() == {"failed": 1, "rerun": 2}
    tries = property_counts(pytester.path / "out.xml")
    assert len(tries) == 3 and all(counts["fed_accuracy"] == 1 for counts in tries)
    assert all(set(counts.values()) == {1} for counts in tries)
    assert json.loads((pytester.path / "out/records/made.json").read_text())["status"] == "failed"


def test_html_has_a_row_for_each_scenario(pytester: pytest.Pytester, made: FakeTrainings) -> None:
    pytest.importorskip("pytest_html")
    (pytester.path / "scenarios/made.yaml").write_text(SCENARIO + MATRIX)
    pytester.runpytest_inprocess(
        "scenarios", "--html=out.html", "--self-contained-html"
    ).assert_outcomes(passed=2)
    page = (pytester.path / "out.html").read_text()
    assert all(f"scenarios/made.yaml::made[rounds={n}]" in page for n in (3, 4))


def test_scenarios_run_in_a_random_order(pytester: pytest.Pytester, made: FakeTrainings) -> None:
    pytest.importorskip("pytest_randomly")
    (pytester.path / "scenarios/made.yaml").write_text(
        SCENARIO + "matrix:\n  training.rounds: [3, 4, 5, 6, 7, 8]\n"
    )
    orders = []
    for seed in (1, 2):
        in_random_order = ("-p", "randomly", f"--randomly-seed={seed}")  # see tests/conftest.py
        result = pytester.runpytest_inprocess("scenarios", "-v", *in_random_order)
        result.assert_outcomes(passed=6)
        orders.append([line.split(" PASSED")[0] for line in result.outlines if " PASSED" in line])
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_timeout_of_the_session_leaves_scenarios_alone(
    pytester: pytest.Pytester, made: FakeTrainings, method: str
) -> None:
    pytest.importorskip("pytest_timeout")
    pytester.runpytest_inprocess(
        "scenarios", "--timeout=300", f"--timeout-method={method}"
    ).assert_outcomes(passed=1)


def test_a_timeout_ends_a_scenario_with_a_record(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    pytest.importorskip("pytest_timeout")
    (pytester.path / "conftest.py").write_text(
        """
import time, pytest_federated.running.pipeline as pipeline

def pytest_runtest_setup(item):
    inner = pipeline.train_seed
    def train(*given):
        time.sleep(60)
    pipeline.train_seed = train
"""
    )
    result = pytester.runpytest_inprocess("scenarios", "--timeout=1", "--fed-report=out")
    result.assert_outcomes(failed=1)
    record = json.loads((pytester.path / "out/records/made.json").read_text())
    assert record["status"] == "errored" and "Timeout" in record["reason"]
