"""Records as files."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from harness.errors import HarnessError
from harness.results.record import Result

FOLDER = "records"


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all, making its folder; unchanged files are left alone."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def file_name(result_id: str) -> str:
    """File name of a record: ``name[alpha=0.1]`` becomes ``name-alpha=0.1.json``."""
    plain = result_id.replace("[", "-").replace("]", "")
    return "".join(c if c.isalnum() or c in "-_.=," else "_" for c in plain) + ".json"


def write_result(result: Result, folder: Path) -> Path:
    """Writes one record below `folder` and returns its path."""
    path = folder / FOLDER / file_name(result.id)
    text = json.dumps(result.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n")
    return path


def read_results(folder: Path) -> list[Result]:
    """All records below `folder`, by id.

    Raises:
        HarnessError: there are none, or one of them is not a record.

    """
    found = sorted((folder / FOLDER).glob("*.json"))
    if not found:
        raise HarnessError(
            f"{folder / FOLDER}: no records there; make some with --fed-report={folder}"
        )
    results = []
    for path in found:
        try:
            results.append(Result.model_validate_json(path.read_text(encoding="utf-8")))
        except ValidationError as bad:
            first = bad.errors()[0]
            raise HarnessError(
                f"{path}: not a result record ({first['loc']}: {first['msg']})"
            ) from bad
    return sorted(results, key=lambda r: r.id)
