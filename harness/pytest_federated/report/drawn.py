"""A report that has not changed since it was written is not drawn again.

Drawing takes half the time of a session whose trainings are all taken from the cache.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Optional, cast

from pytest_federated.core.files import read_bytes, write_text
from pytest_federated.registry.registry import REGISTRIES
from pytest_federated.report.layout import INDEX
from pytest_federated.report.pages import outdated, report_files, write_files, write_pages
from pytest_federated.report.plots.plot import overview_plots, scenario_plots
from pytest_federated.report.tables.table import tables
from pytest_federated.results.record import Result
from pytest_federated.user.functions import fingerprint_of

_LARGEST = 10_000_000  # bytes of a note or of a file of a report, far above real use
_PACKAGES = ("matplotlib", "numpy", "pydantic", "scipy", "tabulate")  # which pages depend on


def write_pages_once(
    results: Sequence[Result], folder: Path, notes: Optional[Path], code: str
) -> Path:
    """Writes the pages of a report as `write_pages` does, unless they are there already.

    They are if the same code wrote them last, of the same results, and no file has changed since.

    Args:
        results: those of the report, in any order.
        folder: of the report.
        notes: a folder for what is remembered of reports; None remembers nothing.
        code: a fingerprint of pytest-federated.

    Returns:
        The path of the first page.

    Raises:
        FederatedError: as `write_pages`.

    """
    if notes is None:
        return write_pages(results, folder)
    note = notes / f"{_hash(str(folder.resolve()).encode())}.report"
    key = _key(results, code)
    written = _written(note, key)
    if written and _stand(written, folder):
        return folder / INDEX
    files = report_files(results)
    first = write_files(files, folder)
    hashes = {name: _hash(text.encode()) for name, text in files.items()}
    write_text(note, json.dumps({"key": key, "files": hashes}))
    return first


def _key(results: Sequence[Result], code: str) -> str:
    """Returns what stands for all that the pages depend on."""
    registries = [*REGISTRIES.values(), scenario_plots, overview_plots, tables]
    files = {file for one in registries for e in one.entries().values() for file in e.code}
    in_order = sorted(results, key=lambda r: r.id)  # which processes end in any order
    shown = [[r.model_dump_json(), r.local_reason] for r in in_order]
    versions = [platform.python_version(), *map(version, _PACKAGES)]
    return _hash(json.dumps([code, fingerprint_of(files), versions, shown]).encode())


def _written(note: Path, key: str) -> Mapping[str, str]:
    """Returns the hash of each file of the report that was written of that key; else nothing."""
    try:
        noted: Any = json.loads(read_bytes(note, _LARGEST))
        return cast("dict[str, str]", noted["files"]) if noted["key"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is damaged
        return {}


def _stand(written: Mapping[str, str], folder: Path) -> bool:
    """Returns whether the report in a folder still has these files and no older ones."""
    try:
        same = all(_hash(read_bytes(folder / n, _LARGEST)) == h for n, h in written.items())
    except OSError:
        return False
    return same and not outdated(folder, written)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
