"""Trainings that are done already, in memory and in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Optional

from pydantic import ValidationError

from pytest_federated.core.errors import warn_not_kept
from pytest_federated.core.files import write_text
from pytest_federated.results.store import json_text
from pytest_federated.training.checkpoints import Checkpoints
from pytest_federated.training.history import TrainingHistory


class Store:
    """Finished trainings by key; several processes may share its folder.

    Those that this process did or read are in memory as well. In the folder each has a file, and
    checkpoints of trainings that are not finished are beside them.
    """

    def __init__(self, folder: Optional[Path] = None) -> None:
        """Without a folder, trainings are kept in memory only."""
        self._folder = folder
        self._in_memory: dict[str, TrainingHistory] = {}

    def without_memory(self) -> Store:
        """Returns a store of the same folder that has nothing in memory yet."""
        return Store(self._folder)

    def remembered(self, key: str) -> Optional[TrainingHistory]:
        """Returns the training of that key from memory, or None."""
        return self._in_memory.get(key)

    def read(self, key: str) -> Optional[TrainingHistory]:
        """Reads the training of that key from the folder.

        None where there is none, or its file is damaged.
        """
        if self._folder is None:
            return None
        try:
            history = TrainingHistory.model_validate_json(self._file(key).read_bytes())
        except (OSError, ValidationError):
            return None
        self._in_memory[key] = history
        return history

    def add(self, key: str, history: TrainingHistory) -> None:
        """Keeps a finished training: in memory, and in the folder where that can be written to."""
        self._in_memory[key] = history
        if self._folder is None:
            return
        try:
            write_text(self._file(key), json_text(history))
        except OSError as error:
            warn_not_kept("the cache of finished trainings", error)

    @contextlib.contextmanager
    def claim(self, key: str) -> Generator[None, None, None]:
        """Lets one process at a time do the training of that key; the others wait.

        Nobody waits where the folder cannot be written to, as nothing is kept there.
        """
        if self._folder is None:
            yield
            return
        import fcntl  # here, as Windows has none and reads this module all the same

        with contextlib.ExitStack() as held:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                lock = held.enter_context((self._folder / "lock").open("w"))
                # One byte of the file for each key, so that other trainings do not wait.
                fcntl.lockf(lock, fcntl.LOCK_EX, 1, int(key[:8], 16))
            except OSError as error:
                warn_not_kept("the cache of finished trainings", error)
            yield

    def checkpoints(self, key: str, every: Optional[int] = None) -> Optional[Checkpoints]:
        """Returns the checkpoints of the training of that key; None without a folder.

        `every` is a number of rounds; None means every 30 seconds.
        """
        if self._folder is None:
            return None
        return Checkpoints(self._folder / "checkpoints" / key, every)

    def _file(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key}.json"
