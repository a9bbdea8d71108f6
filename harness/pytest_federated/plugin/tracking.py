"""Other tools that are told what a scenario came to: TensorBoard and MLflow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest

from pytest_federated.core.errors import TimeLimitExceeded, warn_not_kept
from pytest_federated.plugin.options import folder
from pytest_federated.results.record import Result
from pytest_federated.results.store import file_name
from pytest_federated.training.history import Round, TrainingHistory

if TYPE_CHECKING:
    from pytest_federated.tff.tensorboard import ScalarsByRound


class Tracking:
    """What the command line asks for, for one scenario.

    Where it cannot be written that is warned of, and the scenario goes on without.
    """

    def __init__(self, config: pytest.Config, result_id: str, seeds: Sequence[int]) -> None:
        self._tensorboard = folder(config, "tensorboard")
        self._mlflow = folder(config, "mlflow")
        self._name = Path(file_name(result_id)).stem
        self._seeds = seeds
        self._writers: dict[int, ScalarsByRound] = {}
        self._written: dict[int, int] = {}

    def on_round(self, position: int, done: Round) -> None:
        """Writes a round as it ends, unless one before it is not known yet.

        Positions behind the seeds are trainings that the scenario is only compared with.
        """
        is_own = position < len(self._seeds)
        if self._tensorboard and is_own and done.round == self._written.get(position, 0) + 1:
            with _going_on("--fed-tensorboard"):
                self._write(position, done)

    def finish(self, result: Result) -> None:
        """Writes what is left: all rounds of trainings that were done before, and MLflow's runs."""
        with _going_on("--fed-tensorboard"):
            for position, history in enumerate(result.histories):
                self._complete(position, history)
        if self._mlflow:
            from pytest_federated.report.mlflow import log

            with _going_on("--fed-mlflow"):
                log(result, self._mlflow)

    def _complete(self, position: int, history: TrainingHistory) -> None:
        if self._tensorboard:
            for done in history.rounds[self._written.get(position, 0) :]:
                self._write(position, done)

    def _write(self, position: int, done: Round) -> None:
        from pytest_federated.report.scalars import scalars
        from pytest_federated.tff.tensorboard import ScalarsByRound

        writer: Optional[ScalarsByRound] = self._writers.get(position)
        if writer is None:
            assert self._tensorboard
            place = self._tensorboard / self._name / f"seed-{self._seeds[position]}"
            writer = self._writers[position] = ScalarsByRound(place)
        writer.write(done.round, scalars(done))
        self._written[position] = done.round


@contextlib.contextmanager
def _going_on(option: str) -> Iterator[None]:
    """What these tools raise, of whatever type, costs their files and no result."""
    try:
        yield
    except TimeLimitExceeded:
        raise
    except Exception as error:
        warn_not_kept(f"what {option} asks for", error)
