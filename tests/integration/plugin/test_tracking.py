"""What other tools receive: TensorBoard, MLflow, JUnit, GitHub."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from example_results import example_result
from pytest_federated.__main__ import main
from pytest_federated.metrics.metric import metrics
from pytest_federated.report.mlflow import log
from pytest_federated.results.store import read_results
from pytest_federated.training.observer import Progress, Run
from scenario_texts import TINY

pytestmark = pytest.mark.usefixtures("tff")


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns all scalars in a folder's event files, as steps and values in written order."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorflow import make_ndarray

    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: [(e.step, float(make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def test_tensorboard_junit_and_github_get_the_same_values(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a second run, whose trainings come from the cache."""
    (pytester.path / "scenarios").mkdir()
    text = TINY.replace("rounds: 2", "rounds: 3") + "seeds: [0, 7]\n"
    (pytester.path / "scenarios" / "a.yaml").write_text(text)
    summary = pytester.path / "summary.md"
    summary.write_text("# Of another step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    arguments = ("scenarios", "--fed-tensorboard=tb", "--fed-report=out", "--junitxml=out.xml")

    for _ in range(2):
        pytester.runpytest_inprocess(*arguments).assert_outcomes(passed=1)
        for history in read_results(pytester.path / "out")[0].histories:
            found = scalars_of(pytester.path / f"tb/tiny/seed-{history.seed}")
            assert found["test/accuracy"] == [
                (r.round, pytest.approx(r.accuracy, abs=1e-6)) for r in history.rounds
            ]
            assert found["train/loss"] == [
                (r.round, pytest.approx(r.train_loss, rel=1e-5)) for r in history.rounds
            ]
            assert found["clients/cohort"] == [(n, 4.0) for n in (1, 2, 3)]
    cases = ElementTree.parse(pytester.path / "out.xml").iter("property")
    found = {str(p.get("name")): str(p.get("value")) for p in cases}
    (verdict,) = read_results(pytester.path / "out")[0].verdicts
    assert float(found["fed_accuracy"]) == verdict.measured
    assert float(found["fed_accuracy_low"]) == verdict.low
    assert float(found["fed_best_accuracy"]) > float(found["fed_accuracy"]) - 1e-6
    assert "fed_epsilon" not in found
    written = summary.read_text(encoding="utf-8")
    assert written.startswith("# Of another step\n## Federated scenarios\n\n**1 passed**")
    assert written.count("| tiny ") == 2


class FakeWriter:
    """Replaces the writer of event files, and records its calls."""

    written: list[tuple[str, int]]

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, number: int, _: Any) -> None:
        self.written.append((self.folder.name, number))


def test_rounds_that_were_not_reported_live_are_written_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a training continues from a checkpoint or comes from the cache."""
    from pytest_federated.plugin.tracking import TensorBoard

    # Imported here: pytester's runs leave an older module of that name behind.
    monkeypatch.setattr(
        import_module("pytest_federated.tff.tensorboard"), "ScalarsByRound", FakeWriter
    )
    monkeypatch.setattr(FakeWriter, "written", [], raising=False)
    one = example_result("tiny", (0.5, 0.6), rounds=4)
    tensorboard = TensorBoard(tmp_path, one.id)
    first, second = one.histories
    tensorboard.begin(Run(seed=0, position=0, rounds=4))
    tensorboard.after_round(Progress(first.rounds[:1], None))  # as it ends
    assert FakeWriter.written == [("seed-0", 1)]
    tensorboard.after_round(Progress(first.rounds[:3], None))  # with two that were not reported
    tensorboard.end(first)
    tensorboard.begin(Run(seed=1, position=1, rounds=4))
    tensorboard.end(second)
    tensorboard.begin(Run(seed=0, position=2, rounds=4, is_reference=True))
    tensorboard.after_round(Progress(first.rounds[:1], None))
    tensorboard.end(first)
    expected = [("seed-0", n) for n in (1, 2, 3, 4)] + [("seed-1", n) for n in (1, 2, 3, 4)]
    assert FakeWriter.written == expected


def test_missing_mlflow_is_reported_before_anything_runs(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_federated.report.mlflow.find_spec", lambda name: None)
    (pytester.path / "scenarios").mkdir()
    (pytester.path / "scenarios" / "a.yaml").write_text(TINY)
    result = pytester.runpytest_inprocess("scenarios", "--fed-mlflow=runs")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --fed-mlflow needs MLflow: pip install 'pytest-federated[[]mlflow[]]'"]
    )


def test_mlflow_has_a_run_for_each_seed(tmp_path: Path) -> None:
    """Runs if MLflow is installed, which is no development dependency."""
    mlflow = pytest.importorskip("mlflow")
    one = example_result("tiny[alpha=0.1]", (0.5, 0.6), rounds=3)
    log(one, tmp_path / "runs")
    log(one, tmp_path / "runs")
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "runs").as_uri())
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(r.info.run_name for r in runs) == [
        *("tiny[alpha=0.1] seed 0", "tiny[alpha=0.1] seed 0"),
        *("tiny[alpha=0.1] seed 1", "tiny[alpha=0.1] seed 1"),
    ]
    run = next(r for r in runs if r.data.tags["seed"] == "1")
    assert run.data.params["training.algorithm.kind"] == "fedavg"
    assert run.data.metrics["final/accuracy"] == 0.6
    history = client.get_metric_history(run.info.run_id, "test/accuracy")
    assert [(m.step, m.value) for m in history] == [
        (r.round, r.accuracy) for r in one.histories[1].rounds
    ]


def test_an_unknown_metric_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "reports", "--metric", "nope"])
    assert f"got 'nope'; allowed: {', '.join(metrics.names())}" in capsys.readouterr().err
