"""Other tools that get the figures of a scenario: TensorBoard and MLflow."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from pytest_federated.core.errors import TimeLimitExceeded, warn_not_kept
from pytest_federated.results.record import Result
from pytest_federated.results.store import file_name
from pytest_federated.training.history import Round, TrainingHistory
from pytest_federated.training.observer import Observer, Progress, Run

if TYPE_CHECKING:
    from pytest_federated.tff.tensorboard import ScalarsByRound


class TensorBoard(Observer):
    """Writes the rounds of a scenario's own trainings for TensorBoard, a folder for each seed.

    Where the scenario is tuned, the seeds of each point of the grid are in a folder of their own.
    Where they cannot be written that is warned of, and the scenario goes on without.
    """

    def __init__(self, folder: Path, result_id: str) -> None:
        self._folder = folder / Path(file_name(result_id)).stem
        self._writer: Optional[ScalarsByRound] = None
        self._run: Optional[Run] = None
        self._written = 0  # rounds of this run

    def begin(self, run: Run) -> None:
        self._run, self._writer, self._written = run, None, 0

    def after_round(self, progress: Progress) -> bool:
        self._write(progress.rounds)
        return False

    def end(self, history: Optional[TrainingHistory]) -> None:
        if history is not None:
            self._write(history.rounds)

    def _write(self, rounds: tuple[Round, ...]) -> None:
        """Writes those that are not written yet."""
        if self._run is None or self._run.is_reference:
            return
        with _going_on("--fed-tensorboard"):
            from pytest_federated.report.scalars import scalars
            from pytest_federated.tff.tensorboard import ScalarsByRound

            if self._writer is None:
                point = Path(file_name(self._run.point)).stem if self._run.point else ""
                self._writer = ScalarsByRound(self._folder / point / f"seed-{self._run.seed}")
            for done in rounds[self._written :]:
                self._writer.write(done.round, scalars(done))
                self._written = done.round


def save_models(result: Result, folder: Path) -> None:
    """Writes the final models of a scenario; where that fails it is warned of."""
    with _going_on("--fed-save-models"):
        result.save(folder / Path(file_name(result.id)).stem)


def log_to_mlflow(result: Result, folder: Path) -> None:
    """Logs a run of MLflow for each training; where that fails it is warned of."""
    from pytest_federated.report.mlflow import log

    with _going_on("--fed-mlflow"):
        log(result, folder)


@contextlib.contextmanager
def _going_on(option: str) -> Generator[None, None, None]:
    """Lets what these tools raise, of whatever type, cost their files and no result."""
    try:
        yield
    except TimeLimitExceeded:
        raise
    except Exception as error:
        warn_not_kept(f"what {option} asks for", error)
