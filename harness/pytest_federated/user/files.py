"""The user's data files that scenarios name: finding them, and recognizing them by content.

A path is looked for where the user's functions are: beside the scenario file, then where pytest
runs. A training depends on what a file contains, not on when it changed, so a copy on another
machine counts as the same file.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Optional

from pydantic import BaseModel, Field

from pytest_federated.core.errors import DataError
from pytest_federated.core.progress import tracked
from pytest_federated.user.functions import marked
from pytest_federated.user.modules import folders

_BLOCK = 1 << 20


class _IsFile:
    """Marks a key as one that names a file or a folder."""


# The annotation of a key that names one of the user's data files, or a folder of them.
UserPath = Annotated[str, Field(min_length=1), _IsFile()]


def find(name: str, key: str, *, folder: bool = False) -> Path:
    """Returns the file of that name: absolute, or relative to one of the user's folders.

    Args:
        name: the path as the scenario has it; ``~`` is the home folder.
        key: the scenario's key, for messages.
        folder: whether to find a folder instead of a file.

    Raises:
        DataError: it does not exist, or is a folder where a file is needed, or the reverse.

    """
    candidates = paths_of(name)
    path = next((c for c in candidates if c.exists()), None)
    what = "folder" if folder else "file"
    if path is None:
        where = (
            ""
            if Path(name).expanduser().is_absolute()
            else "; looked in the scenario's folder and in the folder where pytest runs"
        )
        raise DataError(f"{key}: there is no {what} {name!r}{where}{nearest(candidates)}")
    if path.is_dir() != folder:
        actual = "a folder" if path.is_dir() else "a file"
        raise DataError(f"{key}: {name!r} is {actual}; a {what} is needed")
    plain = Path(os.path.normpath(path))  # for messages; beside a link, ".." may be elsewhere
    return plain if plain.exists() and plain.samefile(path) else path


def of_seed(name: str, seed: int) -> str:
    """Returns the name of a seed's own file: ``{seed}`` in it stands for the seed."""
    return name.replace("{seed}", str(seed))


def named_files(section: BaseModel) -> Iterator[tuple[str, str]]:
    """Yields the dotted key of each file or folder that a validated section names, and the path."""
    yield from marked(section, _IsFile)


def fingerprints(named: Iterable[tuple[str, str]], seed: int) -> dict[str, str]:
    """Returns the `fingerprint` of each of the `named_files` of a section, by its path.

    Where the path has ``{seed}`` in it, that of the seed's file as well.
    """
    names = [(name, of_seed(name, seed)) for _, name in named]
    return {
        name: fingerprint(name) + (fingerprint(of_this) if of_this != name else "")
        for name, of_this in names
    }


def fingerprint(name: str) -> str:
    """Returns a hash of a file's content, or of the names and contents of all files of a folder.

    Returns:
        64 hexadecimal digits; an empty text where the path does not exist.
    """
    path = next((c for c in paths_of(name) if c.exists()), None)
    return "" if path is None else path_hash(path)


def path_hash(path: Path, hash_file: Optional[Callable[[Path], str]] = None) -> str:
    """Returns a hash of an existing file, or of a folder's files and names: 64 hexadecimal digits.

    `hash_file` returns the hash of one file; `file_hash` by default.
    """
    hash_file = hash_file or file_hash
    if path.is_file():
        return hash_file(path)
    digest = hashlib.sha256()
    for file in sorted(f for f in path.rglob("*") if f.is_file()):
        digest.update(repr((file.relative_to(path).as_posix(), hash_file(file))).encode())
    return digest.hexdigest()


def file_hash(file: Path) -> str:
    """Returns a hash of a file's content, 64 hexadecimal digits; reads it only if it changed."""
    return _file_hash(file, *stamp(file))


def stamp(file: Path) -> tuple[int, int]:
    """Returns size in bytes and time of change in nanoseconds: they tell whether a file changed."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def paths_of(name: str) -> list[Path]:
    """Returns the places where a file may be; one for an absolute path."""
    path = Path(name).expanduser()
    if path.is_absolute():
        return [path]
    return [folder / path for folder in folders()]


def nearest(candidates: list[Path]) -> str:
    """Returns the end of a message, with the name of an existing file like those missing ones."""
    for candidate in candidates:
        try:
            names = [p.name for p in candidate.parent.iterdir()]
        except OSError:
            continue
        if close := difflib.get_close_matches(candidate.name, names, n=1, cutoff=0.6):
            return f"; did you mean {close[0]!r}?"
    return ""


@functools.lru_cache(maxsize=1 << 16)
def _file_hash(file: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened, tracked(f"hashing {file.name}", size) as advance:
        while block := opened.read(_BLOCK):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()
