"""Server states on disk, so that a training that was cut off can go on."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from pytest_federated.core.errors import warn_not_kept, warn_not_used
from pytest_federated.training.history import Round, TrainingHistory
from pytest_federated.training.observer import Observer, Progress

if TYPE_CHECKING:
    import tensorflow_federated as tff

_EVERY_SECONDS = 30.0
_PREFIX = "round-"


class Checkpoints(Observer):
    """The checkpoints of one training, in a folder of their own, named by the key of its states.

    One is written when it is due, where the training is cut off and, if it is to be kept, when it
    ends. They are written by TFF's `FileProgramStateManager`, each under another name first, so
    that a reader sees it whole or not at all.
    """

    def __init__(self, folder: Path, every: Optional[int] = None, keeps_last: bool = False) -> None:
        """`every` is a number of rounds; None means every 30 seconds."""
        self._folder = folder
        self._every = every
        self._keeps_last = keeps_last
        self._saved = 0
        self._at = time.monotonic()
        self._latest: Optional[Progress] = None

    def latest(self, like: Any, most: int) -> Optional[Progress]:
        """Reads the newest whole checkpoint of at most `most` rounds; None if there is none.

        Its state has the structure of `like`. Those that cannot be read are removed, and what
        interrupted writes left.
        """
        import asyncio

        import tensorflow as tf

        structure = [b"", *tf.nest.flatten(like)]
        try:
            manager = self._manager()
            versions = asyncio.run(manager.get_versions()) or []
            for path in self._folder.iterdir():
                if not path.name.removeprefix(_PREFIX).isdigit():
                    shutil.rmtree(path, ignore_errors=True)
        except (OSError, tf.errors.OpError):  # a folder that cannot be made or read holds none
            return None
        for version in sorted((v for v in versions if v <= most), reverse=True):
            try:
                text, *leaves = asyncio.run(manager.load(version, structure))
                written = json.loads(text)
                rounds = tuple(Round.model_validate(r) for r in written["rounds"])
                is_whole = [r.round for r in rounds] == list(range(1, version + 1))
                if written["training"] != self._folder.name or not is_whole:
                    raise ValueError
            except Exception:  # TensorFlow raises whatever damaged files come to
                warn_not_used("a checkpoint")
                shutil.rmtree(self._folder / f"{_PREFIX}{version}", ignore_errors=True)
                continue
            self._saved, self._at = len(rounds), time.monotonic()
            return Progress(rounds, tf.nest.pack_sequence_as(like, leaves))
        return None

    def after_round(self, progress: Progress) -> bool:
        """Writes a checkpoint when one is due."""
        self._latest = progress
        is_due = (
            time.monotonic() - self._at >= _EVERY_SECONDS
            if self._every is None
            else len(progress.rounds) % self._every == 0
        )
        if is_due:
            self.save(progress)
        return False

    def end(self, history: Optional[TrainingHistory]) -> None:
        """Writes a checkpoint of a training that was cut off, and of one that is to be kept."""
        is_needed = history is None or (self._keeps_last and not history.diverged)
        if is_needed and self._latest is not None:
            self.save(self._latest)

    def save(self, progress: Progress) -> None:
        """Writes a checkpoint, unless there is one of this round.

        One that cannot be written, as on a full disk, is warned of and costs the training nothing.
        """
        import asyncio

        import tensorflow as tf
        import tensorflow_federated as tff

        if len(progress.rounds) == self._saved:
            return
        rounds = [r.model_dump(mode="json") for r in progress.rounds]
        text = json.dumps({"training": self._folder.name, "rounds": rounds})
        # A flat list: TensorFlow cannot save tuples beside this release of typing-extensions.
        leaves = [text.encode(), *tf.nest.flatten(progress.state)]
        self._at = time.monotonic()
        try:
            asyncio.run(self._manager().save(leaves, len(progress.rounds)))
        except (OSError, tf.errors.OpError, tff.program.ProgramStateExistsError) as error:
            warn_not_kept("a checkpoint", error)
            return
        self._saved = len(progress.rounds)

    def clear(self) -> None:
        """Removes them all, and what an interrupted write left."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _manager(self) -> tff.program.FileProgramStateManager:
        import tensorflow_federated as tff

        # The last two: if the machine goes down before the newest is on the disk, one is left.
        return tff.program.FileProgramStateManager(
            str(self._folder), prefix=_PREFIX, keep_total=2, keep_first=False
        )
