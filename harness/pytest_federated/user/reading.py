"""Which scenarios are now read or run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

_read_from: list[Path] = []  # the folders of scenario files, the current one last


@contextlib.contextmanager
def read_from(folder: Path) -> Iterator[None]:
    """Says in which folder the scenarios are that are now read or run."""
    _read_from.append(folder.resolve())
    try:
        yield
    finally:
        _read_from.pop()


def scenario_folder() -> Optional[Path]:
    """The folder of the scenarios that are now read or run; None where they are in no file."""
    return _read_from[-1] if _read_from else None
