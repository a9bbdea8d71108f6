"""Trainings that are done already, in memory and in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Optional

from pytest_federated.core.errors import warn_not_kept, warn_not_used
from pytest_federated.core.files import UnfitFileError, read_bytes, sealed, unsealed, write_bytes
from pytest_federated.results.store import file_name, json_text
from pytest_federated.training.checkpoints import Checkpoints
from pytest_federated.training.history import TrainingHistory

FOLDER = "federated"  # in pytest's cache
CHECKPOINTS = "checkpoints"
_LARGEST = 200_000_000  # bytes of a training, far above real use
_A_FILE = "a file of the cache of finished trainings"


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

        None where there is none. None, and a warning, where its file is not what `add` wrote for
        this key: it is damaged, or that of another training.
        """
        if self._folder is None:
            return None
        try:
            held = read_bytes(self._file(key), _LARGEST)
        except UnfitFileError:
            warn_not_used(_A_FILE)
            return None
        except OSError:
            return None
        try:
            history = TrainingHistory.model_validate_json(unsealed(key, held))
        except ValueError:  # pydantic's ValidationError is one
            warn_not_used(_A_FILE)
            return None
        self._in_memory[key] = history
        return history

    def add(self, key: str, history: TrainingHistory) -> None:
        """Keeps a finished training: in memory, and in the folder where that can be written to."""
        self._in_memory[key] = history
        if self._folder is None:
            return
        text = json_text(history).encode()
        try:
            write_bytes(self._file(key), sealed(key, text))
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
                lock = _opened(self._folder / "lock")
                held.callback(os.close, lock)
                # One byte of the file for each key, so that other trainings do not wait.
                fcntl.lockf(lock, fcntl.LOCK_EX, 1, int(key[:8], 16))
            except OSError as error:
                warn_not_kept("the cache of finished trainings", error)
            yield

    @property
    def computations(self) -> Optional[Path]:
        """Where compiled computations are kept; None without a folder."""
        return self._folder and self._folder / "computations"

    def checkpoints(
        self,
        key: str,
        scenario_id: str,
        seed: int,
        every: Optional[int] = None,
        keeps_last: bool = False,
    ) -> Optional[Checkpoints]:
        """Returns the checkpoints of a training; None without a folder.

        `key` stands for trainings of any number of rounds. A checkpoint is kept `every` so many
        rounds, or 30 seconds; the last one is kept for a training of more rounds if `keeps_last`.
        """
        if self._folder is None:
            return None
        return Checkpoints(self._checkpoints(scenario_id, seed) / key, every, keeps_last)

    def clear_checkpoints(self, scenario_id: str, seed: int, except_key: str = "") -> None:
        """Removes the checkpoints of a scenario and seed that has ended, except those of one key.

        Also those under other keys, from before the scenario or the code was changed.
        """
        if self._folder is None:
            return
        folder = self._checkpoints(scenario_id, seed)
        for of_key in folder.glob("*"):
            if of_key.name != except_key:
                shutil.rmtree(of_key, ignore_errors=True)
        with contextlib.suppress(OSError):  # others are left, or there is none
            folder.rmdir()
            folder.parent.rmdir()

    def _checkpoints(self, scenario_id: str, seed: int) -> Path:
        assert self._folder is not None
        return self._folder / CHECKPOINTS / _folder_name(scenario_id) / f"seed-{seed}"

    def _file(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key}.training"


def _opened(file: Path) -> int:
    """Opens a file, and makes it and its folder where they are missing; returns its descriptor.

    Raises:
        OSError: it cannot be opened.

    """
    # For both, so that in the place of a pipe nobody waits for a reader.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(file, flags)
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, flags)


def leftover_checkpoints(cache: Path, names: Iterable[str]) -> list[Path]:
    """Returns the folders in pytest's cache folder with checkpoints of others than these.

    Those of a training that has ended are gone already, but for the last one with --fed-resume.
    """
    present = {_folder_name(name) for name in names}
    folders = sorted((cache / "d" / FOLDER / CHECKPOINTS).glob("*"))
    return [folder for folder in folders if folder.name not in present]


def _folder_name(scenario_id: str) -> str:
    return file_name(scenario_id).removesuffix(".json")
