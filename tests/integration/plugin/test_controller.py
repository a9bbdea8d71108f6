"""What xdist's controller and its processes each do, tried in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from example_results import example_result
from made_trainings import SCENARIO, TRAIN, FakeTrainings
from pytest_federated.core.errors import FederatedError, RuntimeUnavailable
from pytest_federated.plugin.session import FederatedSession
from pytest_federated.results.record import Result
from pytest_federated.results.store import read_results
from pytest_federated.running import dask
from pytest_federated.training.history import TrainingHistory

AGAINST = "pytest_federated.plugin.against.against"
DIED = "the process that ran it died: a crash, os._exit, or too little memory"
Controller = Callable[..., FederatedSession]


@pytest.fixture
def controller(pytester: pytest.Pytester, made: FakeTrainings) -> Controller:
    """Returns the session of a controller that has read its files and started no process."""

    def controller(*arguments: str) -> FederatedSession:
        config = pytester.parseconfigure("scenarios", "--tx=popen", "--fed-report=out", *arguments)
        session = config.pluginmanager.get_plugin("federated-session")
        assert isinstance(session, FederatedSession)
        session.pytest_sessionstart()
        return session

    return controller


def recorded() -> dict[str, tuple[str, str]]:
    return {result.id: (result.status, result.reason) for result in read_results(Path("out"))}


def ended(nodeid: str, outcome: Any, when: Any = "???") -> Any:
    """Returns a report as xdist makes it of a process that died: `when` is what it has there."""
    return pytest.TestReport(nodeid, ("", 0, ""), {}, outcome, "", when)


def test_the_controller_expects_the_scenarios_and_no_other_tests(controller: Controller) -> None:
    session = controller()
    session.pytest_xdist_node_collection_finished(
        ["scenarios/test_a.py::made", "test_b.py::test_it", "scenarios/made.yaml::made"]
    )
    assert recorded() == {"made": ("not reached", "the session ended before it did")}
    assert list(session._results) == ["scenarios/made.yaml::made"]


def test_a_scenario_whose_process_died_is_recorded(controller: Controller) -> None:
    session, nodeid = controller(), "scenarios/made.yaml::made"
    session.pytest_xdist_node_collection_finished([nodeid])
    session.pytest_runtest_logreport(ended("test_b.py::test_it", "failed"))
    session.pytest_runtest_logreport(ended(nodeid, "passed", "setup"))
    assert recorded()["made"][0] == "not reached"
    session.pytest_runtest_logreport(ended(nodeid, "failed"))
    session.pytest_xdist_node_collection_finished([nodeid])  # of a process that takes its place
    assert recorded() == {"made": ("errored", DIED)}


@pytest.mark.parametrize("result", [example_result("made"), None])
def test_what_a_process_reports_reaches_the_controller_as_json(
    controller: Controller, result: Optional[Result]
) -> None:
    """Also of a test that is no scenario."""
    hook = controller()._config.hook
    report = ended("scenarios/made.yaml::made", "passed", "call")
    if result:
        report.fed_result = result
    data = hook.pytest_report_to_serializable(config=controller()._config, report=report)
    data = json.loads(json.dumps(data))
    again = hook.pytest_report_from_serializable(config=controller()._config, data=data)
    assert getattr(again, "fed_result", None) == result


@pytest.mark.parametrize(
    ("ids", "is_error"),
    [
        (["scenarios/made.yaml::made"], True),
        # The markers of other tests are not known here.
        (["scenarios/made.yaml::made", "test_b.py::test_it"], False),
    ],
)
def test_the_controller_knows_unknown_tags_where_all_tests_are_scenarios(
    controller: Controller, ids: list[str], is_error: bool
) -> None:
    session = controller("-m", "smoek")
    if is_error:
        with pytest.raises(pytest.UsageError, match="no scenario has the tag 'smoek'"):
            session.pytest_xdist_node_collection_finished(ids)
    else:
        session.pytest_xdist_node_collection_finished(ids)


@pytest.mark.parametrize(
    ("accuracies", "seeds"), [((0.5,), [""]), ((0.5, 0.6), ["seed 1/2 ", "seed 2/2 "])]
)
def test_vv_shows_the_rounds_of_other_processes_by_seed_if_there_are_several(
    controller: Controller,
    capsys: pytest.CaptureFixture[str],
    accuracies: tuple[float, ...],
    seeds: list[str],
) -> None:
    session, result = controller("-vv"), example_result("made", accuracies)
    report = ended("scenarios/made.yaml::made", "passed", "call")
    report.node, report.fed_result = "of xdist", result
    session.pytest_runtest_logreport(report)
    lines = [line for line in capsys.readouterr().out.splitlines() if "round 2" in line]
    assert [line.partition("round 2")[0].strip() for line in lines] == [s.strip() for s in seeds]


class Revision:
    """In place of the results of a revision."""

    name = "main (1a2b3c4)"

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, files: list[Path]) -> None:
        self.started += [file.name for file in files]

    def tell(self, workerinput: dict[str, Any]) -> None:
        workerinput["folder"] = "there"

    def close(self) -> None:
        self.started.append("closed")


@pytest.mark.parametrize("revision", [Revision(), None])
def test_processes_are_told_where_the_revision_is(
    controller: Controller, monkeypatch: pytest.MonkeyPatch, revision: Optional[Revision]
) -> None:
    monkeypatch.setattr(AGAINST, lambda config: revision)
    session = controller()
    node = SimpleNamespace(workerinput={})
    session.pytest_configure_node(node)
    assert node.workerinput == ({"folder": "there"} if revision else {})
    assert not revision or revision.started == ["made.yaml"]


def test_without_scenarios_the_controller_starts_nothing(
    controller: Controller, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = Revision()
    monkeypatch.setattr(AGAINST, lambda config: revision)
    monkeypatch.setattr("pytest_federated.tff.imports.missing", lambda: "no TFF here")
    (pytester.path / "scenarios/made.yaml").unlink()
    node = SimpleNamespace(workerinput={})
    controller().pytest_configure_node(node)
    assert (revision.started, node.workerinput) == ([], {})


def test_without_tff_the_controller_stops(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_federated.tff.imports.missing", lambda: "no TFF here")
    with pytest.raises(pytest.UsageError, match="no TFF here"):
        controller()


def test_a_process_of_xdist_leaves_the_report_to_the_controller(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = Revision()
    revision.result = lambda scenario: None  # type: ignore[attr-defined]
    monkeypatch.setattr(AGAINST, lambda config: revision)
    monkeypatch.setattr("pytest_federated.plugin.baselines.against", lambda config: revision)
    monkeypatch.setattr("pytest_federated.tff.imports.missing", lambda: "asked for by others")
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_collection(session):
            session.config.workerinput = {}

        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish(session):
            del session.config.workerinput
        """
    )
    for selected, outcomes in [("smoek", {}), ("not smoek", {"passed": 1})]:
        result = pytester.runpytest_inprocess("scenarios", "--fed-report=out", "-m", selected)
        assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        assert {k: v for k, v in result.parseoutcomes().items() if k == "passed"} == outcomes
    assert not Path("out").exists()
    assert revision.started == []


def test_a_cluster_that_does_not_answer_ends_the_session_in_one_line(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(address: str) -> None:
        raise RuntimeUnavailable(f"{address}: no Dask scheduler answers there")

    monkeypatch.setattr(dask, "DaskCluster", refuse)
    result = pytester.runpytest_inprocess("scenarios", "--fed-executor=dask://host:1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: dask://host:1: no Dask scheduler answers there"])


def test_a_revision_that_cannot_run_ends_the_session_in_one_line(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = Revision()

    def start(files: list[Path]) -> None:
        raise FederatedError("broken at that commit")

    monkeypatch.setattr(revision, "start", start)
    monkeypatch.setattr(AGAINST, lambda config: revision)
    with pytest.raises(pytest.UsageError, match="broken at that commit"):
        controller()


def test_a_cluster_gets_the_trainings_of_all_scenarios_before_the_first_runs(
    pytester: pytest.Pytester, made: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []

    class Cluster:
        def __init__(self, address: str) -> None:
            log.append(address)

        def submit(self, scenario: Any, seed: int, options: Any) -> None:
            line = f"submit {scenario.name} {seed}"
            log.extend([line] if line not in log else [])

        def close(self) -> None:
            log.append("close")

    def train(scenario: Any, seed: int, *rest: Any) -> TrainingHistory:
        log.append(f"train {scenario.name} {seed}")
        return made.train(scenario, seed)

    monkeypatch.setattr(dask, "DaskCluster", Cluster)
    monkeypatch.setattr(TRAIN, train)
    text = SCENARIO.replace("name: made", "name: other").replace("rounds: 3", "rounds: 2")
    (pytester.path / "scenarios/other.yaml").write_text(text)
    result = pytester.runpytest_inprocess("scenarios", "--fed-executor=dask://host:1")
    result.assert_outcomes(passed=2)
    pairs = [f"{name} {seed}" for name in ("made", "other") for seed in (0, 1)]
    assert log == [
        "dask://host:1",
        *(f"submit {pair}" for pair in pairs),
        *(f"train {pair}" for pair in pairs),
        "close",
    ]
