"""Errors that are written for the user.

They are shown without a traceback: the message alone says what is wrong and what to do.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional


class FederatedError(Exception):
    """A mistake by the user or a problem of the environment; its message is for the user.

    Attributes:
        about: the concept and the name of what a scenario chooses, such as ``("split", "iid")``,
            where the error came from that; None where that is not known.

    """

    about: Optional[tuple[str, str]] = None


@contextlib.contextmanager
def about(what: str, name: str) -> Generator[None, None, None]:
    """Says of errors in the block which choice of the scenario they are about, unless they do."""
    try:
        yield
    except FederatedError as error:
        error.about = error.about or (what, name)
        raise


@dataclass(frozen=True)
class Problem:
    """A mistake in a scenario file.

    Attributes:
        file: the scenario file, or None for a scenario written in Python.
        line: line of the offending key or value, from 1; 0 when the whole file is meant.
        key: dotted path of the key, such as ``clients.split.alpha``; empty for the whole document.
        message: what the file says and what is allowed.

    """

    file: Optional[Path]
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = (
            ""
            if self.file is None
            else f"{self.file}:{self.line}: "
            if self.line
            else f"{self.file}: "
        )
        key = printable(self.key)
        return f"{where}{key}: {self.message}" if key else f"{where}{self.message}"


def printable(text: str) -> str:
    """Returns a text on one line, with escapes for what a terminal would not show."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class ScenarioError(FederatedError):
    """A scenario that cannot be read; holds all problems found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (str(p.file), p.line, p.key))
        super().__init__("\n".join(str(p) for p in self.problems))


class DataError(FederatedError):
    """Data that cannot be used as the scenario asks (too few examples, an empty client, ...)."""


class DataUnavailable(FederatedError):
    """Data that is not on this machine and cannot be fetched: the scenario is skipped.

    Attributes:
        reason: the message without what only this machine says, such as the error of its network
            or the path of its cache folder: the same on all machines.

    """

    def __init__(self, message: str, *, here: str = "") -> None:
        """`here` is what only this machine says; it is in parentheses in the message."""
        super().__init__(message)
        self.reason = message.replace(f" ({here})", "")


class ModelError(FederatedError):
    """The user's model function failed, or returned something that TFF cannot train."""


class RuntimeUnavailable(FederatedError):
    """TensorFlow Federated is missing or broken, or its worker process died."""


class TimeLimitExceeded(FederatedError):
    """A scenario took longer than it may."""


class NotKept(UserWarning):
    """Something that only saves work could not be written; results are not affected."""


def warn_not_kept(what: str, error: BaseException) -> None:
    """Warns that `what`, such as "a checkpoint", cannot be written, and goes on.

    It goes on under ``-W error``, too: a full disk is no reason to lose a training.
    """
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    with contextlib.suppress(NotKept):
        warnings.warn(f"{what} cannot be written: {reason}", NotKept, stacklevel=3)


class NotUsed(UserWarning):
    """Something that only saves work is damaged, so the work was done again."""


def warn_not_used(what: str) -> None:
    """Warns that `what`, such as "a checkpoint", is damaged, and goes on, as `warn_not_kept`."""
    with contextlib.suppress(NotUsed):
        warnings.warn(
            f"{what} is damaged or of something else, and was not used", NotUsed, stacklevel=3
        )
