"""The folder of the scenarios that are being read or run."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Optional

_read_from: list[Path] = []  # the folders of scenario files, the current one last


@contextlib.contextmanager
def read_from(folder: Path) -> Generator[None, None, None]:
    """Sets the folder of the scenarios that the block reads or runs."""
    _read_from.append(folder.resolve())
    try:
        yield
    finally:
        _read_from.pop()


def scenario_folder() -> Optional[Path]:
    """Returns the folder of the scenarios being read or run; None where they are in no file."""
    return _read_from[-1] if _read_from else None
