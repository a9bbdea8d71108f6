"""What data sets read that comes neither with a package nor from a path in the scenario.

Such files are in TFF's, Keras's or scikit-learn's own folders, or in the cache folder. A training
depends on what they hold, so a data set names them, by its trait ``reads``.
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

_LARGE = 1 << 26  # bytes of a file whose hash is kept, as reading it takes long
_HASHES = "hashes.json"


def in_cache(*names: str) -> Reads:
    """Files of these names in the cache folder."""
    return lambda chosen, cache: [cache.folder / name for name in names]


def fetch(chosen: Section, cache: Cache) -> None:
    """Has a data set fetch what it reads, where some of it is not there.

    Raises:
        DataUnavailable: it cannot be fetched.
        DataError: what was fetched cannot be read.

    """
    if not all(path.exists() for path in _read_by(chosen, cache)):
        datasets.entry(chosen).call(chosen, cache)


def fingerprints(chosen: Section, cache: Cache) -> list[str]:
    """Of each file or folder that a data set reads, a hash of what it holds; "" where it is not.

    Those of large files are kept in the cache folder, by size and time of change.
    """
    return [
        user_files.path_hash(path, lambda file: _of_file(file, cache)) if path.exists() else ""
        for path in _read_by(chosen, cache)
    ]


def _read_by(chosen: Section, cache: Cache) -> Sequence[Path]:
    reads = datasets.entry(chosen).spec.reads
    return reads(chosen, cache) if reads else ()


def _of_file(file: Path, cache: Cache) -> str:
    size, changed = user_files.stamp(file)
    if size < _LARGE:
        return user_files.file_hash(file)
    kept = cache.folder / _HASHES
    try:
        known = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    of = f"{file.resolve()} {size} {changed}"
    if of not in known:
        known = {k: v for k, v in known.items() if not k.startswith(f"{file.resolve()} ")}
        known[of] = user_files.file_hash(file)
        with contextlib.suppress(OSError):  # then it is read again
            write_text(kept, json.dumps(known, indent=1, sort_keys=True))
    return known[of]
