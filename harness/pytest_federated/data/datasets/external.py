"""Files of data sets that come neither with a package nor from a path in the scenario.

They are in the folders of TFF, Keras or scikit-learn, or in the cache folder. The result of a run
depends on their contents, so a data set lists them in its trait ``reads``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from pytest_federated.core.files import write_text
from pytest_federated.core.schema import Section
from pytest_federated.data.datasets.dataset import Cache, Reads, datasets
from pytest_federated.user import files as user_files

_LARGE = 1 << 26  # bytes; the hashes of larger files are kept, as reading them takes long
_HASHES = "hashes.json"


def in_cache(*names: str) -> Reads:
    """Returns the trait ``reads`` for files with these names in the cache folder."""
    return lambda settings, cache: [cache.folder / name for name in names]


def fetch(settings: Section, cache: Cache) -> None:
    """Has a data set fetch the files that it reads, if any is missing.

    Raises:
        DataUnavailable: it cannot be fetched.
        DataError: what was fetched cannot be read.

    """
    if not is_here(settings, cache):
        datasets.entry(settings).call(settings, cache)


def is_here(settings: Section, cache: Cache) -> bool:
    """Returns whether all files that a data set reads are on this machine."""
    return all(path.exists() for path in _read_by(settings, cache))


def fingerprints(settings: Section, cache: Cache) -> list[str]:
    """Returns a hash of each file or folder that a data set reads; "" for a missing one.

    The hashes of large files are kept in the cache folder, by size and modification time.
    """
    return [
        user_files.path_hash(path, lambda file: _of_file(file, cache)) if path.exists() else ""
        for path in _read_by(settings, cache)
    ]


def _read_by(settings: Section, cache: Cache) -> Sequence[Path]:
    reads = datasets.entry(settings).spec.reads
    return reads(settings, cache) if reads else ()


def _of_file(file: Path, cache: Cache) -> str:
    size, changed = user_files.stamp(file)
    if size < _LARGE:
        return user_files.file_hash(file)
    hashes_file = cache.folder / _HASHES
    try:
        hashes = json.loads(hashes_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        hashes = {}
    key = f"{file.resolve()} {size} {changed}"
    if key not in hashes:
        hashes = {k: v for k, v in hashes.items() if not k.startswith(f"{file.resolve()} ")}
        hashes[key] = user_files.file_hash(file)
        with contextlib.suppress(OSError):  # then it is hashed again next time
            write_text(hashes_file, json.dumps(hashes, indent=1, sort_keys=True))
    return hashes[key]
