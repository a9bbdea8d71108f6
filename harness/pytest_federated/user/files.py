"""The user's own data files that scenarios name: finding them, and telling them apart.

A path is looked for where the user's functions are: beside the scenario file, then where pytest
runs. What a file holds, not when it changed, is part of what a training depends on, so a copy on
another machine is the same file.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Optional

from pydantic import BaseModel, Field

from pytest_federated.core.errors import DataError
from pytest_federated.user.functions import marked
from pytest_federated.user.modules import folders

_BLOCK = 1 << 20


class _IsFile:
    """Marks a key as one that names a file or a folder."""


# The annotation of a key that names a data file of the user's, or a folder of them.
UserPath = Annotated[str, Field(min_length=1), _IsFile()]


def find(given: str, key: str, *, folder: bool = False) -> Path:
    """The file of that path: absolute, or relative to one of the user's own folders.

    Args:
        given: as the scenario has it; ``~`` is the home folder.
        key: of the scenario, for messages.
        folder: whether a folder is wanted.

    Raises:
        DataError: there is no such file, or it is a folder, or the other way round.

    """
    candidates = _candidates(given)
    found = next((c for c in candidates if c.exists()), None)
    what = "folder" if folder else "file"
    if found is None:
        where = (
            ""
            if Path(given).expanduser().is_absolute()
            else "; looked in the scenario's folder and in the folder where pytest runs"
        )
        raise DataError(f"{key}: there is no {what} {given!r}{where}{_nearest(candidates)}")
    if found.is_dir() != folder:
        is_one = "a folder" if found.is_dir() else "a file"
        raise DataError(f"{key}: {given!r} is {is_one}; a {what} is needed")
    return found


def fingerprints(section: BaseModel) -> dict[str, str]:
    """Of each path that a validated section names, the file's `fingerprint`."""
    return {given: fingerprint(given) for given in marked(section, _IsFile)}


def fingerprint(given: str) -> str:
    """Hash of what a file holds, or of the names and contents of all files below a folder.

    Returns:
        64 hexadecimal digits; nothing for a path that is not there.
    """
    found = next((c for c in _candidates(given) if c.exists()), None)
    return "" if found is None else of_path(found)


def of_path(path: Path, of: Optional[Callable[[Path], str]] = None) -> str:
    """Hash of a file that is there, or of a folder's files and their names: 64 hexadecimal digits.

    `of` gives the hash of one file, as `of_file` does.
    """
    of = of or of_file
    if path.is_file():
        return of(path)
    digest = hashlib.sha256()
    for file in sorted(f for f in path.rglob("*") if f.is_file()):
        digest.update(repr((file.relative_to(path).as_posix(), of(file))).encode())
    return digest.hexdigest()


def of_file(file: Path) -> str:
    """Hash of what a file holds, read anew only when it has changed: 64 hexadecimal digits."""
    return _of_file(file, *stamp(file))


def stamp(file: Path) -> tuple[int, int]:
    """Size in bytes and time of change in nanoseconds: with the same, a file is not read again."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def _candidates(given: str) -> list[Path]:
    """Where it may be: the only one for an absolute path."""
    path = Path(given).expanduser()
    if path.is_absolute():
        return [path]
    return [folder / path for folder in folders()]


def _nearest(candidates: list[Path]) -> str:
    for candidate in candidates:
        try:
            names = [p.name for p in candidate.parent.iterdir()]
        except OSError:
            continue
        if close := difflib.get_close_matches(candidate.name, names, n=1, cutoff=0.6):
            return f"; did you mean {close[0]!r}?"
    return ""


@functools.lru_cache(maxsize=1 << 16)
def _of_file(file: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
