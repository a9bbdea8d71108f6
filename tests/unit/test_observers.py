"""Observers: when they are called, and what ends a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest
from example_results import example_scenario, history
from made_trainings import TRAIN, training
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.running.store import Store
from pytest_federated.training.history import TrainingHistory
from pytest_federated.training.observer import Observer, Observers, Progress, Run


class Log(Observer):
    """Notes what it is called with, and ends trainings after a round."""

    def __init__(self, stop_after: int = 99) -> None:
        self.calls: list[str] = []
        self._stop_after = stop_after

    def begin(self, run: Run) -> None:
        self.calls.append(f"begin {run.seed}")

    def after_round(self, progress: Progress) -> bool:
        self.calls.append(f"round {len(progress.rounds)}")
        return len(progress.rounds) >= self._stop_after

    def end(self, history: Optional[TrainingHistory]) -> None:
        self.calls.append("cut off" if history is None else f"end {len(history.rounds)}")


SCENARIO = example_scenario(3, [5])


@pytest.fixture
def three_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRAIN, training({5: [0.1, 0.2, 0.3]}))


def test_all_observers_are_called_whichever_ends_the_training() -> None:
    first, second = Log(stop_after=1), Log()
    assert Observers([first, second]).after_round(Progress(history([0.1]).rounds, None))
    assert first.calls == second.calls == ["round 1"]


@pytest.mark.usefixtures("three_rounds")
def test_an_observer_follows_a_run_from_beginning_to_end(tmp_path: Path) -> None:
    log, again = Log(), Log()
    run(SCENARIO, Options(store=Store(tmp_path)), [log])
    assert log.calls == ["begin 5", "round 1", "round 2", "round 3", "end 3"]
    result = run(SCENARIO, Options(store=Store(tmp_path)), [again])
    assert result.reused == 1
    assert again.calls == ["begin 5", "round 3", "end 3"]


@pytest.mark.usefixtures("three_rounds")
def test_a_training_that_an_observer_ends_is_not_stored() -> None:
    options, log = Options(), Log(stop_after=2)
    run(SCENARIO, options, [log])
    assert log.calls == ["begin 5", "round 1", "round 2", "end 2"]
    assert run(SCENARIO, options).reused == 0
    assert run(SCENARIO, options).reused == 1


def test_an_observer_learns_that_a_training_was_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TRAIN, interrupted)
    log = Log()
    with pytest.raises(KeyboardInterrupt):
        run(SCENARIO, Options(), [log])
    assert log.calls == ["begin 5", "cut off"]
